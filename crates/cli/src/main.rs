//! The executable `boxship`: dispatch by role.
//!
//! The role is the first argument (`daemon`, `shim`, `init`, `runtime`; anything else is a command of the client) or
//! the name the file is called by. The only room that prints.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod absent;
mod autostart;
mod client_role;
mod command;
mod commands;
mod credentials;
mod detach;
mod failure;
mod flags;
mod format;
mod globals;
mod invocation;
mod runtime;
mod streams;
mod terminal;
mod tree;
mod values;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rest: Vec<OsString> = arguments.collect();
    let first = rest.first().and_then(|word| word.to_str()).unwrap_or_default();
    match (name.as_str(), first) {
        ("docker-init", _) => boxship_shim::init::main(rest),
        ("boxship-runtime", _) => runtime::main(rest),
        (_, "shim") => boxship_shim::main(),
        (_, "init") => boxship_shim::init::main(rest.into_iter().skip(1)),
        (_, "runtime") => runtime::main(rest.into_iter().skip(1)),
        (_, "daemon") => daemon(rest.into_iter().skip(1).collect()),
        _ => client_role::main(&name, rest),
    }
}

fn daemon(arguments: Vec<OsString>) -> ExitCode {
    autostart::leave_session();
    let outcome = boxship_daemon::main(arguments);
    print!("{}", outcome.stdout);
    eprint!("{}", outcome.stderr);
    ExitCode::from(outcome.code)
}
