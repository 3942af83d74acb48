//! From the specification's seccomp section to the filter program that the kernel runs.
//!
//! [`compile`] is pure: rules are sorted by calling convention and number (`rules`), then assembled (`assemble`).
//! [`Program::install`] loads the result into the calling thread, last of all before the container's program
//! starts. Nothing is loosened on the way: what cannot be expressed is an error.
//!
//! 32-bit and x32 programs live under the rules of their own convention when the profile names it, and are killed
//! when it doesn't, as with libseccomp. What no filter can see stays as the profile has it: the arguments of i386's
//! `socketcall` are in memory, so a profile that allows `socketcall` (Docker's does, 32-bit programs need it) allows
//! every socket family to them.

mod abi;
mod assemble;
mod error;
mod rules;

#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;

use boxship_oci::runtime::{Seccomp, SeccompFlag};
use boxship_sys::seccomp::{Flags, Instruction, MOST_INSTRUCTIONS, set_filter, supports};

use abi::Abi;
pub use error::{Error, Result};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
    flags: Flags,
    flags_asked: bool,
}

/// Compiles a section for this machine.
pub fn compile(seccomp: &Seccomp) -> Result<Program> {
    let rules = rules::Rules::of(seccomp, Abi::NATIVE)?;
    let instructions = assemble::program(&rules);
    if instructions.len() > MOST_INSTRUCTIONS {
        return Err(Error::TooLong(instructions.len()));
    }
    let mut flags = seccomp.flags.iter().fold(Flags::NONE, |flags, flag| flags.with(number(*flag)));
    if rules.notifies {
        flags = flags.with(Flags::NEW_LISTENER);
        if flags.has(Flags::TSYNC) {
            flags = flags.with(Flags::TSYNC_ESRCH);
        }
    } else if flags.has(Flags::WAIT_KILLABLE_RECV) {
        return Err(Error::Listener(
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY",
        ));
    }
    Ok(Program { instructions, flags, flags_asked: !seccomp.flags.is_empty() })
}

fn number(flag: SeccompFlag) -> Flags {
    match flag {
        SeccompFlag::Tsync => Flags::TSYNC,
        SeccompFlag::Log => Flags::LOG,
        SeccompFlag::SpecAllow => Flags::SPEC_ALLOW,
        SeccompFlag::WaitKillableRecv => Flags::WAIT_KILLABLE_RECV,
    }
}

impl Program {
    /// Installs the filter on the calling thread. Answers the listener when a rule asks a supervisor
    /// (`SCMP_ACT_NOTIFY`): it goes to the socket of `listenerPath`.
    ///
    /// A profile without flags gets `SPEC_ALLOW` where the kernel has it, as runc does: the mitigation that it turns
    /// off costs every filtered program dearly on older kernels.
    pub fn install(&self) -> boxship_sys::Result<Option<OwnedFd>> {
        let mut flags = self.flags;
        if !self.flags_asked && supports(Flags::SPEC_ALLOW) {
            flags = flags.with(Flags::SPEC_ALLOW);
        }
        set_filter(&self.instructions, flags)
    }

    /// Whether installing answers a listener.
    pub fn has_listener(&self) -> bool {
        self.flags.has(Flags::NEW_LISTENER)
    }

    /// The program.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }
}

/// What `features` tells: actions, operators, calling conventions and flags by name.
pub mod supported {
    /// Actions.
    pub const ACTIONS: &[&str] = &[
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG",
        "SCMP_ACT_NOTIFY",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_TRAP",
    ];
    /// Operators.
    pub const OPERATORS: &[&str] = &[
        "SCMP_CMP_EQ",
        "SCMP_CMP_GE",
        "SCMP_CMP_GT",
        "SCMP_CMP_LE",
        "SCMP_CMP_LT",
        "SCMP_CMP_MASKED_EQ",
        "SCMP_CMP_NE",
    ];
    /// Calling conventions.
    pub const ARCHITECTURES: &[&str] =
        &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"];

    /// Flags, with whether this kernel has them.
    pub fn flags() -> [(&'static str, bool); 4] {
        use boxship_sys::seccomp::{Flags, supports};
        // WAIT_KILLABLE_RECV is only valid together with a listener.
        let killable = Flags::WAIT_KILLABLE_RECV.with(Flags::NEW_LISTENER);
        [
            ("SECCOMP_FILTER_FLAG_TSYNC", supports(Flags::TSYNC)),
            ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", supports(Flags::SPEC_ALLOW)),
            ("SECCOMP_FILTER_FLAG_LOG", supports(Flags::LOG)),
            ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", supports(killable)),
        ]
    }
}
