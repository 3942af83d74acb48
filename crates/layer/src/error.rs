//! What can go wrong between an archive and a folder.

use std::io;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on an archive or folder that failed, and the entry it failed at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive's stream could not be read.
    #[error("read archive")]
    Read(#[source] io::Error),
    /// The archive's stream could not be written.
    #[error("write archive")]
    Write(#[source] io::Error),
    /// The stream ends in the middle of an entry.
    #[error("unexpected EOF: the archive is truncated")]
    Truncated,
    /// The stream is compressed in a way that is not supported.
    #[error("unsupported compression {0}: use gzip, zstd or none")]
    Compression(&'static str),
    /// The stream is no archive, or one that breaks its format's rules.
    #[error("invalid archive: {0}")]
    Format(String),
    /// An entry that must not be unpacked: it would lie outside, or breaks a rule.
    #[error("invalid archive entry {name:?}: {reason}")]
    Entry {
        /// The entry's name as in the archive, made printable.
        name: String,
        /// The rule it breaks.
        reason: String,
    },
    /// One of the [`Limits`](crate::Limits) is exceeded.
    #[error("archive exceeds the limit of {limit} {what}")]
    Limit {
        /// What is bounded.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// The system refused an operation on an entry.
    #[error("{operation} {name:?}")]
    Io {
        /// The verb: create, write, link…
        operation: &'static str,
        /// The entry's name.
        name: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Errors of our own that passed through a `Read` come out again as what they were.
    pub(crate) fn from_read(error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Error::Truncated;
        }
        error.downcast::<Error>().unwrap_or_else(Error::Read)
    }

    /// Whether the disk (or quota) was full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let (Error::Io { source, .. } | Error::Read(source) | Error::Write(source)) = self else {
            return false;
        };
        is_disk_full(source)
    }
}

/// Whether the disk, or what the user may have of it, was full.
#[must_use]
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
