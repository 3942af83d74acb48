//! Signals: their names and numbers, sending them by pidfd, and a clean slate for a process about to exec.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::error::{Error, Result, last_errno};

/// A signal's number, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

/// Linux names on x86_64 and aarch64, in the order of their numbers from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const OTHER_NAMES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl Signal {
    /// Ends a process that cannot object.
    pub const KILL: Signal = Signal(9);
    /// Asks a process to end.
    pub const TERM: Signal = Signal(15);
    /// Wakes a stopped process.
    pub const CONT: Signal = Signal(18);
    /// Tells that the terminal's size changed.
    pub const WINCH: Signal = Signal(28);

    /// A signal by its number, if there is such a signal.
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=RTMAX).contains(&number).then_some(Self(number))
    }

    /// A signal by number or name: `9`, `KILL`, `SIGKILL`, `sigrtmin+3`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Self::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return Some(Self(index as i32 + 1));
        }
        if let Some((_, number)) = OTHER_NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Self(*number));
        }
        real_time(name)
    }

    /// The number.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The name with its prefix, `SIGKILL`.
    pub fn name(self) -> String {
        match NAMES.get(self.0 as usize - 1) {
            Some(name) => format!("SIG{name}"),
            None if self.0 >= RTMIN => format!("SIGRTMIN+{}", self.0 - RTMIN),
            None => format!("SIG{}", self.0),
        }
    }
}

fn real_time(name: &str) -> Option<Signal> {
    let (base, sign, rest) = if let Some(rest) = name.strip_prefix("RTMIN") {
        (RTMIN, 1, rest.strip_prefix('+'))
    } else {
        (RTMAX, -1, name.strip_prefix("RTMAX")?.strip_prefix('-'))
    };
    let offset: i32 = match rest {
        Some(digits) => digits.parse().ok().filter(|offset| (0..=30).contains(offset))?,
        None if name.len() == 5 => 0,
        None => return None,
    };
    Some(Signal(base + sign * offset))
}

/// Sends a signal to the process a pidfd holds.
pub fn send(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<()> {
    // SAFETY: a null siginfo is allowed; the descriptor is borrowed for the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal.0,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::new("pidfd_send_signal", signal.name(), last_errno())) }
}

/// Gives every signal its default action and blocks none: what a program may expect when it starts.
/// (Rust programs ignore SIGPIPE, supervisors block what they read from a signalfd; both would be inherited.)
pub fn reset() {
    /// The kernel's own structure: the C library's call would keep two signals for itself.
    #[repr(C)]
    struct Action {
        handler: usize,
        flags: u64,
        restorer: usize,
        mask: u64,
    }
    let default = Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    let none: u64 = 0;
    // SAFETY: default actions and an empty mask need no handler of ours; both structures have the size told and outlive
    // the calls. KILL and STOP cannot be set, which is as it should be.
    unsafe {
        for number in 1..=RTMAX {
            let nothing = std::ptr::null_mut::<Action>();
            libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, nothing, size_of::<u64>());
        }
        let nothing = std::ptr::null_mut::<u64>();
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            nothing,
            size_of::<u64>(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let cases: &[(&str, Option<i32>)] = &[
            ("9", Some(9)),
            ("KILL", Some(9)),
            ("SIGTERM", Some(15)),
            ("sigusr1", Some(10)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("RTMAX", Some(64)),
            ("IOT", Some(6)),
            ("0", None),
            ("65", None),
            ("-9", None),
            ("RTMIN+99", None),
            ("RTMINX", None),
            ("NOPE", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Signal::parse(text).map(Signal::number), *expected, "{text}");
        }
        assert_eq!(Signal::KILL.name(), "SIGKILL");
        assert_eq!(Signal::parse("37").unwrap().name(), "SIGRTMIN+3");
    }
}
