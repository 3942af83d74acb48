//! signalfd(2): signals as something to poll for, for supervisors that have one thread and no handlers.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Errno, Error, Result, last_errno};
use crate::signal::Signal;

/// Blocks signals for this thread and reads them instead. What is blocked stays blocked after a drop: a program
/// started later wants [`crate::signal::reset`].
#[derive(Debug)]
pub struct SignalFd {
    descriptor: OwnedFd,
}

impl SignalFd {
    /// Of all signals but those that report faults of the program itself (and KILL and STOP, which can't be).
    pub fn all() -> Result<Self> {
        const FAULTS: [i32; 6] =
            [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV];
        // SAFETY: the set is initialised by sigfillset before anything else reads it; the calls only use it while it
        // lives.
        let descriptor = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut set);
            for fault in FAULTS {
                libc::sigdelset(&raw mut set, fault);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
                return Err(Error::new("sigprocmask", "all signals", last_errno()));
            }
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if descriptor < 0 {
            return Err(Error::new("signalfd", "all signals", last_errno()));
        }
        // SAFETY: signalfd answers a new descriptor that nobody else owns.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) } })
    }

    /// The next signal that has arrived, if any.
    pub fn next(&self) -> Result<Option<Signal>> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut record = [0_u8; SIZE];
        // SAFETY: the kernel writes at most SIZE bytes into an array of that size.
        let count = unsafe { libc::read(self.descriptor.as_raw_fd(), record.as_mut_ptr().cast(), SIZE) };
        if count < 0 {
            return match last_errno() {
                Errno::AGAIN | Errno::INTR => Ok(None),
                errno => Err(Error::new("read", "signalfd", errno)),
            };
        }
        // `ssi_signo` is the first field of the record.
        let [a, b, c, d, ..] = record;
        Ok(Signal::from_number(i32::from_ne_bytes([a, b, c, d])))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
