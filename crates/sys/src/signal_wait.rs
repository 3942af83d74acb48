//! Signals for processes that supervise: ignoring them, or taking them one by one instead of being interrupted.

use crate::error::{Error, Result, last_errno};
use crate::signal::Signal;

/// Ignores a signal (inherited by children until [`crate::signal::reset`]).
pub fn ignore(signal: Signal) -> Result<()> {
    // SAFETY: SIG_IGN is a disposition the kernel knows; no code of ours runs on the signal.
    let before = unsafe { libc::signal(signal.number(), libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(Error::new("signal", signal.name(), last_errno())) } else { Ok(()) }
}

/// Holds back every signal but those a fault of the process itself causes, for [`next`] to take.
pub fn hold_all() -> Result<()> {
    let all = all_but_faults();
    // SAFETY: the set is initialised and outlives the call.
    let done = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(Error::new("sigprocmask", "all signals", last_errno())) }
}

/// Waits for the next signal held back and takes it.
pub fn next() -> Result<Signal> {
    let all = all_but_faults();
    loop {
        // SAFETY: the set is initialised and outlives the call; no information about the signal is asked for.
        let number = unsafe { libc::sigwaitinfo(&raw const all, std::ptr::null_mut()) };
        match Signal::from_number(number) {
            Some(signal) => return Ok(signal),
            None if last_errno() == crate::Errno::INTR => {}
            None => return Err(Error::new("sigwaitinfo", "all signals", last_errno())),
        }
    }
}

fn all_but_faults() -> libc::sigset_t {
    // SAFETY: a signal set is plain memory that sigfillset initialises; the numbers removed are valid.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        for fault in [
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGABRT,
            libc::SIGTRAP,
            libc::SIGSYS,
        ] {
            libc::sigdelset(&raw mut set, fault);
        }
        set
    }
}
