//! What the kernel knows of a connected socket.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, Named, Result, last_errno};

/// How much of what was sent the far side has not taken yet (SIOCOUTQ): of a unix socket what it has not read, of a
/// TCP socket what it has not acknowledged. Nothing but zero tells an exact number of bytes.
pub fn unread(socket: BorrowedFd<'_>) -> Result<usize> {
    let mut waiting: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int to the address given.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut waiting) };
    if done < 0 {
        return Err(Error::new("ioctl", "SIOCOUTQ", last_errno()));
    }
    Ok(usize::try_from(waiting).unwrap_or(0))
}

/// Whether the far side has closed its socket altogether: half a close (no more input from there) is none.
pub fn is_hung_up(socket: BorrowedFd<'_>) -> Result<bool> {
    let mut asked = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).named("poll", "socket")?;
    Ok(asked[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn what_was_read_is_not_waiting() {
        let (mut near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(unread(near.as_fd()).unwrap(), 0);
        near.write_all(b"head").unwrap();
        assert_ne!(unread(near.as_fd()).unwrap(), 0);
        far.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(unread(near.as_fd()).unwrap(), 0);
    }

    #[test]
    fn half_a_close_is_no_hang_up() {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!is_hung_up(near.as_fd()).unwrap());
        drop(far);
        assert!(is_hung_up(near.as_fd()).unwrap());
    }
}
