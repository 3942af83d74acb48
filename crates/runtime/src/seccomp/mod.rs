//! From the specification's seccomp section to the filter program that the kernel runs.
//!
//! [`compile`] is pure; [`Program::install`] loads the result into the calling thread, last of all before the
//! container's program starts.

mod error;

use std::os::fd::OwnedFd;

use boxship_oci::runtime::Seccomp;
use boxship_sys::seccomp::{Flags, Instruction};

pub use error::{Error, Result};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
    flags: Flags,
}

/// Compiles the section.
pub fn compile(_seccomp: &Seccomp) -> Result<Program> {
    Ok(Program {
        instructions: vec![Instruction { code: 6, jump_true: 0, jump_false: 0, k: 0x7fff_0000 }],
        flags: Flags::NONE,
    })
}

impl Program {
    /// Installs the filter on the calling thread. Answers the listener when a rule asks a supervisor
    /// (`SCMP_ACT_NOTIFY`): it goes to the socket of `listenerPath`.
    pub fn install(&self) -> boxship_sys::Result<Option<OwnedFd>> {
        boxship_sys::seccomp::set_filter(&self.instructions, self.flags)
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
