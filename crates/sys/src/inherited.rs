//! Descriptors that a parent handed over by number (systemd's sockets, a launcher's pipe): taken once.
//!
//! What this process opens itself is closed by an exec, what it inherited was not: the mark tells the two
//! apart, so a number can neither be taken twice nor taken away from its owner.

use std::os::fd::{FromRawFd, OwnedFd};

use crate::error::{Errno, Error, Result, last_errno};

/// Take the inherited descriptor `number`; from now on an exec closes it.
pub fn take(number: i32) -> Result<OwnedFd> {
    // SAFETY: F_GETFD only asks.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(Error::new("fcntl", number, last_errno()));
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(Error::new("take inherited descriptor", number, Errno::BUSY));
    }
    // SAFETY: F_SETFD changes the mark of an open descriptor and nothing else.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(Error::new("fcntl", number, last_errno()));
    }
    // SAFETY: the number is open and came through an exec; the mark just set keeps anybody else from taking it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_number_is_taken_once() {
        let (reader, _writer) = crate::fd::pipe().unwrap();
        assert!(take(reader.as_raw_fd()).is_err(), "ours, not inherited");
        crate::fd::keep_on_exec(std::os::fd::AsFd::as_fd(&reader)).unwrap();
        let number = crate::fd::leak(reader);
        let taken = take(number).unwrap();
        assert!(take(number).is_err());
        assert_eq!(taken.as_raw_fd(), number);
        assert!(take(-1).is_err());
    }
}
