//! What can go wrong between the engine and a shim, and within a shim.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::protocol::Failure;

/// An operation that failed, with its object.
#[derive(Debug, Error)]
pub enum Error {
    /// The shim's process could not be started.
    #[error("start the shim of container {id}")]
    Spawn {
        /// The container.
        id: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The shim ended or fell silent before it answered.
    #[error("the shim of container {id} ended before it answered")]
    Silent {
        /// The container.
        id: String,
    },
    /// No shim listens: the container has ended, see `exit.json`.
    #[error("connect to shim at {path}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The conversation broke.
    #[error("{action} shim")]
    Talk {
        /// What was being done: `write to`, `read from`.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What came is no message of the protocol.
    #[error("decode message of {object}")]
    Decode {
        /// Whose message.
        object: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A message is longer than the protocol allows.
    #[error("message longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The shim answered that it could not.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// A file could not be used.
    #[error("{action} {}", path.display())]
    File {
        /// What was being done: `open`, `write`, `rename`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A system call failed.
    #[error("{action}")]
    Call {
        /// What was being done.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A log option that Docker refuses, in Docker's words.
    #[error("{0}")]
    LogOption(String),
    /// A log file holds something that isn't a record.
    #[error("read log {}: {reason}", path.display())]
    LogRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
