//! What can go wrong with an archive of images.

use std::io;

use boxship_oci::digest::Digest;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on an archive of images that failed, and its object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive's tar or compression is broken.
    #[error("{operation}")]
    Archive {
        /// What was being done.
        operation: &'static str,
        /// The reader's answer.
        #[source]
        source: boxship_layer::Error,
    },
    /// The archive is readable, but is no archive of images, or one that contradicts itself.
    #[error("invalid archive: {0}")]
    Invalid(String),
    /// A file of the archive that isn't the JSON it must be.
    #[error("invalid {file} in archive")]
    Json {
        /// The file.
        file: String,
        /// The parser's answer.
        #[source]
        source: serde_json::Error,
    },
    /// The archive names a file that it doesn't contain.
    #[error("invalid archive: {0} is missing")]
    Missing(String),
    /// Nothing in the archive is for the wanted platform.
    #[error("no image in the archive is for platform {wanted}: it has {found}")]
    Platform {
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// An unpacked layer isn't the one that the image's configuration names.
    #[error("invalid diffID for layer {index}: expected {expected}, got {found}")]
    DiffId {
        /// The layer's number from the bottom.
        index: usize,
        /// As the configuration says.
        expected: Digest,
        /// As unpacked.
        found: Digest,
    },
    /// An instruction given to import that can't be understood or used.
    #[error("{0}")]
    Change(String),
    /// A name for an image that is not well formed.
    #[error("{0}")]
    Name(String),
    /// The archive could not be written to its taker.
    #[error("write archive")]
    Write(#[source] io::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] boxship_store::Error),
}

impl Error {
    /// Whether the disk (or quota) was full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Store(source) => source.is_disk_full(),
            Error::Archive { source, .. } => source.is_disk_full(),
            _ => false,
        }
    }

    /// Whether the caller's input is to blame (an answer 400 rather than 500).
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        !self.is_disk_full() && !matches!(self, Error::Write(_) | Error::Store(_))
    }
}
