//! What can keep the daemon from starting or make it end: one enum, told once, to standard error or the log.
//!
//! Failures of requests aren't here: they are answers (`http::failure`).

use std::io;
use std::path::PathBuf;

/// A failure of the daemon itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line is wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
    },
    /// A directive stands in both the file and the flags.
    #[error(
        "the following directives are specified both as a flag and in the configuration file: {directives}"
    )]
    Conflict {
        /// The directives with both their values.
        directives: String,
    },
    /// The configuration makes no sense.
    #[error("unable to configure the daemon: {why}")]
    Configuration {
        /// Why not.
        why: String,
    },
    /// A file couldn't be read.
    #[error("unable to read {what} {}", path.display())]
    ReadFile {
        /// What the file is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A file or folder couldn't be written.
    #[error("unable to write {what} {}", path.display())]
    WriteFile {
        /// What it is for.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// Another daemon is alive.
    #[error("{why}")]
    Busy {
        /// Which object tells so.
        why: String,
    },
    /// A socket couldn't be opened.
    #[error("unable to listen on {address}")]
    Listen {
        /// The address as it was given.
        address: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// Certificates or keys don't serve.
    #[error("unable to set up TLS: {why}")]
    Tls {
        /// Why not.
        why: String,
    },
    /// The process lacks something it needs from the kernel.
    #[error("unable to {operation}")]
    Process {
        /// What failed.
        operation: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The engine couldn't be opened.
    #[error("unable to start the engine")]
    Engine(#[source] boxship_engine::Error),
}

impl Error {
    /// The whole chain in one line.
    pub(crate) fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
