//! Pseudo-terminals: a pair from a given devpts, size, controlling terminal. Names are never looked up twice.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::error::{Errno, Error, Named, Result};
use crate::path::{DEVPTS_SUPER_MAGIC, file_system};

/// The two ends of a pseudo-terminal.
#[derive(Debug)]
pub struct Pair {
    /// The end that plays the terminal's user.
    pub master: OwnedFd,
    /// The end that programs see as their terminal.
    pub terminal: OwnedFd,
}

/// Makes a terminal in the devpts instance mounted at `devpts`, a folder's descriptor.
pub fn open_in(devpts: BorrowedFd<'_>) -> Result<Pair> {
    // An image could have put anything at /dev/pts.
    if file_system(devpts)? != DEVPTS_SUPER_MAGIC {
        return Err(Error::new("open", "devpts", Errno::NODEV));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let master = rustix::fs::openat(devpts, "ptmx", flags, Mode::empty()).named("open", "ptmx")?;
    pair(master)
}

/// Makes a terminal in the host's devpts.
pub fn open() -> Result<Pair> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    pair(crate::path::open(Path::new("/dev/ptmx"), flags)?)
}

fn pair(master: OwnedFd) -> Result<Pair> {
    rustix::pty::unlockpt(&master).named("ioctl TIOCSPTLCK", "ptmx")?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).named("ioctl TIOCGPTPEER", "ptmx")?;
    Ok(Pair { master, terminal })
}

/// Sets the size in characters; zero in both is ignored.
pub fn resize(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> Result<()> {
    if rows == 0 && columns == 0 {
        return Ok(());
    }
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).named("ioctl TIOCSWINSZ", "terminal")
}

/// Makes the terminal the controlling one of this process, which must lead a session without one.
pub fn make_controlling(terminal: BorrowedFd<'_>) -> Result<()> {
    rustix::process::ioctl_tiocsctty(terminal.as_fd()).named("ioctl TIOCSCTTY", "terminal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_seen_at_the_other_end() {
        let pair = open().unwrap();
        resize(pair.master.as_fd(), 33, 77).unwrap();
        let size = rustix::termios::tcgetwinsize(&pair.terminal).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (33, 77));
    }
}
