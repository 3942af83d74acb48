//! What can go wrong in the store.

use std::io;
use std::path::{Path, PathBuf};

use boxship_oci::digest::Digest;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation of the store that failed, and its object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the data root could not be worked with.
    #[error("{operation} {}", path.display())]
    Io {
        /// The verb: create, rename, sync…
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The database refused.
    #[error("database: {operation}")]
    Database {
        /// What was being done.
        operation: &'static str,
        /// SQLite's answer.
        #[source]
        source: rusqlite::Error,
    },
    /// The database was written by a newer Boxship.
    #[error("database tables of {room} have version {found}, this Boxship knows up to {known}")]
    Newer {
        /// Whose tables.
        room: String,
        /// The version in the file.
        found: usize,
        /// The newest version known here.
        known: usize,
    },
    /// Another process owns the data root.
    #[error("data root {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// A short id that begins several images' ids.
    #[error("image id prefix {0} is ambiguous: more than one image begins with it")]
    Ambiguous(String),
    /// No blob has this digest.
    #[error("no blob {0}")]
    NoSuchBlob(Digest),
    /// No unpacked layer has this chain id.
    #[error("no layer with chain id {0}")]
    NoSuchLayer(Digest),
    /// A container has no root filesystem here.
    #[error("no root filesystem of container {0}")]
    NoSuchSnapshot(String),
    /// The bytes don't have the digest that was promised.
    #[error("unexpected digest {found}, expected {expected}")]
    DigestMismatch {
        /// What was promised.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// There are more or fewer bytes than promised.
    #[error("unexpected size {found}, expected {expected} bytes")]
    SizeMismatch {
        /// What was promised.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A layer's archive could not be unpacked.
    #[error("unpack {layer}")]
    Unpack {
        /// The layer, as its image calls it, or the archive.
        layer: String,
        /// The extractor's answer.
        #[source]
        source: boxship_layer::Error,
    },
    /// A root filesystem could not be looked through.
    #[error("list changes of {id}")]
    Changes {
        /// The container.
        id: String,
        /// The reason.
        #[source]
        source: boxship_layer::Error,
    },
    /// A record in the database or a blob that isn't what it must be.
    #[error("corrupt {object}: {reason}")]
    Corrupt {
        /// The record.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// For `map_err`: the verb and the file, then the system's answer.
pub(crate) fn io<E: Into<io::Error>>(operation: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    move |source| Error::Io { operation, path: path.to_owned(), source: source.into() }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Error {
        Error::Database { operation: "run a statement", source }
    }
}

impl Error {
    /// Whether the disk (or quota) was full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Io { source, .. } => boxship_layer::is_disk_full(source),
            Error::Database { source: rusqlite::Error::SqliteFailure(error, _), .. } => {
                error.code == rusqlite::ErrorCode::DiskFull
            }
            Error::Unpack { source, .. } | Error::Changes { source, .. } => source.is_disk_full(),
            _ => false,
        }
    }
}
