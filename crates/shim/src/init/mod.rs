//! Process 1 of `--init` containers.

use std::{ffi::OsString, process::ExitCode};

/// The `init` role: `args` are what follows the role's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _ = args.into_iter();
    todo!()
}
