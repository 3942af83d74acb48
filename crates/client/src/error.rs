//! What can go wrong between a command and a daemon.

use std::io;

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// An error, as precise as the wire allows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the daemon is none.
    #[error("unable to parse docker host `{0}`")]
    Address(String),
    /// Nobody listens there.
    #[error("cannot connect to the daemon at {address}")]
    Connect {
        /// Where it was tried.
        address: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The socket is there, but not for this user.
    #[error("permission denied while trying to connect to the daemon socket at {address}")]
    Permission {
        /// Where it was tried.
        address: String,
    },
    /// The name of the daemon's host has no address.
    #[error("look up {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// A file for TLS, or the handshake.
    #[error("TLS: {0}")]
    Tls(String),
    /// The daemon answered with an error.
    #[error("{message}")]
    Daemon {
        /// The HTTP status.
        status: u16,
        /// The daemon's own words.
        message: String,
    },
    /// The exchange broke.
    #[error("error during connect: {0}")]
    Exchange(String),
    /// The answer is not what the API promises.
    #[error("unexpected answer from the daemon: {0}")]
    Answer(String),
    /// Reading or writing a stream.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The daemon's status, when it was the daemon that refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Daemon { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        Error::Exchange(chain(&error))
    }
}

/// The error with all its sources: hyper's own words alone ("connection error") tell nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
