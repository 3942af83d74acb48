//! The shim's process.

use std::process::ExitCode;

/// The hidden `shim` role.
pub fn main() -> ExitCode {
    todo!()
}
