//! The crate's error: what was attempted, on which object, why it failed. Which HTTP status that is, `http` knows.

use std::io;
use std::path::Path;

use boxship_oci::Digest;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call on a file failed.
    #[error("{call} {path}: {source}")]
    Io {
        /// The call.
        call: &'static str,
        /// The file or folder.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is no such repository.
    #[error("repository {0} is not known to the registry")]
    NoRepository(String),
    /// There is no such blob in the repository.
    #[error("blob {0} is not known to the registry")]
    NoBlob(Digest),
    /// There is no such manifest in the repository.
    #[error("manifest {0} is not known to the registry")]
    NoManifest(String),
    /// There is no such upload in the repository.
    #[error("upload {0} is not known to the registry")]
    NoUpload(String),
    /// Somebody else writes to the upload.
    #[error("upload {0} is in use by another request")]
    UploadBusy(String),
    /// So many uploads are under way that no other one may begin.
    #[error("too many uploads are under way ({0})")]
    TooManyUploads(usize),
    /// A chunk does not begin where the upload ends.
    #[error("chunk begins at {start}, the upload ends at {end}")]
    OutOfOrder {
        /// Where the chunk begins.
        start: u64,
        /// Where the upload ends.
        end: u64,
    },
    /// More than a blob may have.
    #[error("blob is larger than the limit of {0} bytes")]
    TooLarge(u64),
    /// Content does not have the digest that was named.
    #[error("content has digest {found}, not {wanted}")]
    Mismatch {
        /// What was named.
        wanted: Digest,
        /// What the content has.
        found: Digest,
    },
    /// What is stored is not what was once pushed.
    #[error("stored content of {0} is damaged")]
    Damaged(Digest),
    /// A manifest that is none.
    #[error("manifest invalid: {0}")]
    ManifestInvalid(String),
    /// A manifest names things that the repository does not have.
    #[error("manifest names content that is not known to the registry: {}", listed(.0))]
    ManifestBlobUnknown(Vec<Digest>),
    /// A setting that cannot be used.
    #[error("{0}")]
    Setting(String),
    /// Another server works on the storage.
    #[error("storage {0} is in use by another server")]
    InUse(String),
}

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the disk, or what the user may have of it, is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// Names the call and the path of a failure.
pub(crate) trait Named<T> {
    /// Adds what was done to what.
    fn named(self, call: &'static str, path: &Path) -> Result<T>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, call: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { call, path: path.display().to_string(), source })
    }
}

impl<T> Named<T> for rustix::io::Result<T> {
    fn named(self, call: &'static str, path: &Path) -> Result<T> {
        self.map_err(io::Error::from).named(call, path)
    }
}

fn listed(digests: &[Digest]) -> String {
    let shown: Vec<String> = digests.iter().take(8).map(Digest::to_string).collect();
    shown.join(", ")
}
