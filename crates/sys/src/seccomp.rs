//! seccomp(2): installing of filter programs and what the kernel supports.
//!
//! The programs themselves are compiled in the runtime; nothing here judges them.

use std::os::fd::{FromRawFd, OwnedFd};

use crate::error::{Error, Result, last_errno};

/// One classic BPF instruction (`struct sock_filter`).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Operation code.
    pub code: u16,
    /// Instructions to skip when the condition holds.
    pub jump_true: u8,
    /// Instructions to skip when it doesn't.
    pub jump_false: u8,
    /// The operand.
    pub k: u32,
}

/// The kernel's limit on the length of a program (`BPF_MAXINSNS`).
pub const MOST_INSTRUCTIONS: usize = 4096;

/// Flags of `SECCOMP_SET_MODE_FILTER`, as the kernel numbers them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// All threads of the process.
    pub const TSYNC: Self = Self(1);
    /// Log every action but allow.
    pub const LOG: Self = Self(2);
    /// Leave speculative store bypass alone.
    pub const SPEC_ALLOW: Self = Self(4);
    /// Answer a descriptor on which the filter's questions are read.
    pub const NEW_LISTENER: Self = Self(8);
    /// With both flags: TSYNC failures as ESRCH, so that a listener can be answered too.
    pub const TSYNC_ESRCH: Self = Self(16);
    /// A process waiting for an answer can only be killed.
    pub const WAIT_KILLABLE_RECV: Self = Self(32);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;

/// Installs a filter on the calling thread. With [`Flags::NEW_LISTENER`] the listener is answered.
///
/// Needs `no_new_privs` or CAP_SYS_ADMIN in the user namespace.
pub fn set_filter(program: &[Instruction], flags: Flags) -> Result<Option<OwnedFd>> {
    let length = program.len().try_into().map_err(|_| failed(crate::Errno::INVAL))?;
    // `struct sock_fprog` has a mutable pointer, but the kernel only reads.
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `filter` describes `program`, laid out as the kernel's sock_filter, and both outlive the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags.0, std::ptr::from_ref(&filter)) };
    if answer < 0 {
        return Err(failed(last_errno()));
    }
    if !flags.has(Flags::NEW_LISTENER) {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER the kernel answers a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(answer as i32) }))
}

/// Whether the kernel knows these flags. It checks them before it looks at the (missing) program: EFAULT means yes.
pub fn supports(flags: Flags) -> bool {
    // SAFETY: the null pointer makes the call fail in every case.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags.0, std::ptr::null::<libc::sock_fprog>())
    };
    answer < 0 && last_errno() == crate::Errno::FAULT
}

/// Whether the kernel knows an action (`SECCOMP_RET_…`).
pub fn supports_action(action: u32) -> bool {
    // SAFETY: the kernel reads one u32 from the pointer, which outlives the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, std::ptr::from_ref(&action)) };
    answer == 0
}

fn failed(errno: crate::Errno) -> Error {
    Error::new("seccomp(SECCOMP_SET_MODE_FILTER)", "filter", errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_the_usual() {
        assert!(supports(Flags::LOG.with(Flags::SPEC_ALLOW)));
        assert!(!supports(Flags(1 << 30)));
        assert!(supports_action(0x7fff_0000));
        assert!(!supports_action(0x1234_0000));
    }
}
