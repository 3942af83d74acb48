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
    #[error("lookup {host}: {reason}")]
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
    /// The connection broke before the daemon had taken the request.
    #[error("error during connect: {0}")]
    Lost(String),
    /// The connection ended within an answer: the daemon is gone.
    #[error("unexpected EOF")]
    Eof,
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

    /// Whether the daemon can't have seen the request: nobody took the connection, or nobody read from it.
    pub(crate) fn is_unseen(&self) -> bool {
        match self {
            Error::Lost(_) => true,
            Error::Connect { source, .. } => {
                matches!(source.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
            }
            _ => false,
        }
    }
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        match broken(&error) {
            Some(io::ErrorKind::UnexpectedEof) => Error::Eof,
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Error::Lost(chain(&error)),
            _ if error.is_incomplete_message() => Error::Eof,
            _ => Error::Exchange(chain(&error)),
        }
    }
}

/// How the connection below an error broke, when that is its cause.
fn broken(error: &dyn std::error::Error) -> Option<io::ErrorKind> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(source) = source.downcast_ref::<io::Error>() {
            return Some(source.kind());
        }
        next = source.source();
    }
    None
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
