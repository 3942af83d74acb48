//! The role `boxship daemon`: Docker's Engine API over HTTP in front of the engine.
//!
//! The daemon reads its configuration, opens its sockets, and turns requests into calls of
//! `boxship-engine`; it holds no domain logic of its own. It is the only room that knows HTTP statuses,
//! API versions and their differences.
//!
//! Overview, from the outside in: [`main`] → `config` (flags, file) → `run` (the daemon's life) →
//! `listen` (sockets, TLS) → `http` (versions, bodies, errors, streams) → `routes` (one file per group)
//! → engine. `adapt` holds every difference between API versions.
//!
//! It must never fork, never touch a container's files itself, and never print: what its process has to
//! say before the log is open is returned as an [`Outcome`] for the command line to print.

mod adapt;
mod config;
mod error;
mod guard;
mod http;
mod listen;
mod log;
mod notify;
mod routes;
mod run;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use config::Wish;
use error::Error;

/// How the role ended and what its process has to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The process's exit code.
    pub code: u8,
    /// Text for standard output (help, version, the result of `--validate`).
    pub stdout: String,
    /// Text for standard error.
    pub stderr: String,
}

/// Run the daemon with the arguments that follow `boxship daemon`, until it is told to stop.
pub fn main(args: Vec<OsString>) -> Outcome {
    let said = |stdout: String| Outcome { stdout, ..Outcome::default() };
    match config::read(args) {
        Ok(Wish::Help) => said(config::help()),
        Ok(Wish::Version) => said(format!("Boxship version {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Wish::Validate) => said("configuration OK\n".to_owned()),
        Ok(Wish::Run(config)) => {
            run::run(*config).map_or_else(|error| failed(&error), |()| Outcome::default())
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> Outcome {
    let hint = match error {
        Error::Usage { .. } => "\nSee 'boxship daemon --help'.",
        _ => "",
    };
    let code = if matches!(error, Error::Usage { .. }) { 125 } else { 1 };
    Outcome {
        code,
        stdout: String::new(),
        stderr: format!("failed to start daemon: {}{hint}\n", error.told()),
    }
}
