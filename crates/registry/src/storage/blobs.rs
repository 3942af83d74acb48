//! Blobs: found, opened, mounted, made visible, removed.
//!
//! A blob's change time is its lease. A link (push, mount) moves it, and so does being read (a mirror keeps what is
//! used) and being found by a client that asks whether it is there: such a client will not send the blob, and counts on it until its manifest has arrived.
//! Collection leaves alone what changed within its grace.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use boxship_oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha512};

use super::verified::Stamp;
use super::{Storage, disk};
use crate::error::{Error, Named, Result};
use crate::name::RepositoryName;

/// How old a lease may be before it is renewed: asking for a blob again and again writes nothing to the disk.
const RENEW: u64 = 300;

/// How much is read at once when a blob is hashed.
const PIECE: usize = 256 << 10;

/// A blob that is open for reading.
pub(crate) struct OpenBlob {
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    stamp: Stamp,
}

/// A hash of either kind.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::default()),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::sha256(hash.finalize().into()),
            Self::Sha512(hash) => Digest::sha512(hash.finalize().into()),
        }
    }
}

/// The digest of a whole file.
pub(crate) fn hash_file(file: &File, algorithm: Algorithm, path: &Path) -> Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    loop {
        match file.read_at(&mut piece, offset).named("read", path)? {
            0 => return Ok(hasher.finish()),
            read => {
                hasher.update(&piece[..read]);
                offset += read as u64;
            }
        }
    }
}

impl Storage {
    /// The file of a blob in a repository, unless it is known to be damaged.
    fn sound(&self, path: &Path) -> Result<Option<Metadata>> {
        let found = disk::if_there(fs::symlink_metadata(path), "stat", path)?;
        Ok(found.filter(|metadata| metadata.is_file() && !self.verified.is_damaged(Stamp::of(metadata))))
    }

    /// The size of a blob, whose lease this renews.
    pub(crate) fn find_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<u64> {
        let path = self.blob_path(repository, digest);
        let metadata = self.sound(&path)?.ok_or_else(|| Error::NoBlob(digest.clone()))?;
        renew(&path, &metadata);
        Ok(metadata.len())
    }

    /// Whether a blob is there.
    pub(crate) fn has_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        Ok(self.sound(&self.blob_path(repository, digest))?.is_some())
    }

    /// Whether any repository has a blob.
    pub(crate) fn is_pooled(&self, digest: &Digest) -> Result<bool> {
        Ok(self.sound(&self.pool_path(digest))?.is_some())
    }

    /// Opens a blob.
    pub(crate) fn open_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<OpenBlob> {
        let path = self.blob_path(repository, digest);
        let absent = || Error::NoBlob(digest.clone());
        let file = disk::if_there(File::open(&path), "open", &path)?.ok_or_else(absent)?;
        let metadata = file.metadata().named("stat", &path)?;
        let stamp = Stamp::of(&metadata);
        if !metadata.is_file() || self.verified.is_damaged(stamp) {
            return Err(absent());
        }
        renew(&path, &metadata);
        Ok(OpenBlob { file, size: metadata.len(), digest: digest.clone(), stamp })
    }

    /// Whether an open blob is known to be what its name says.
    pub(crate) fn is_verified(&self, blob: &OpenBlob) -> bool {
        self.verified.holds(blob.stamp)
    }

    /// Takes down what reading all of an open blob has shown.
    pub(crate) fn judge(&self, blob: &OpenBlob, found: &Digest) -> Result<()> {
        if *found == blob.digest {
            self.verified.good(blob.stamp);
            return Ok(());
        }
        tracing::error!(digest = %blob.digest, %found, "a stored blob is damaged: it is treated as absent");
        self.verified.damaged(blob.stamp);
        // No further repository shall get this file; those that have it are repaired by their next push.
        let pool = self.pool_path(&blob.digest);
        if fs::symlink_metadata(&pool).is_ok_and(|there| there.ino() == blob.stamp_inode()) {
            disk::remove_file(&pool)?;
        }
        Err(Error::Damaged(blob.digest.clone()))
    }

    /// Hashes an open blob unless that was done before.
    pub(crate) fn verify(&self, blob: &OpenBlob) -> Result<()> {
        if self.is_verified(blob) {
            return Ok(());
        }
        let found = hash_file(&blob.file, blob.digest.algorithm(), Path::new(blob.digest.hex()))?;
        self.judge(blob, &found)
    }

    /// Gives `to` the blob that `from` has, or that any repository has; whether that was possible.
    pub(crate) fn mount(
        &self,
        from: Option<&RepositoryName>,
        to: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool> {
        let source = match from {
            Some(repository) => self.blob_path(repository, digest),
            None => self.pool_path(digest),
        };
        if self.sound(&source)?.is_none() {
            return Ok(false);
        }
        self.link(&source, to, digest)
    }

    /// One more name for a file; whether it could be given.
    fn link(&self, source: &Path, to: &RepositoryName, digest: &Digest) -> Result<bool> {
        let target = self.blob_path(to, digest);
        if let Some(metadata) = self.sound(&target)? {
            renew(&target, &metadata);
            return Ok(true);
        }
        // What is left there is damaged.
        disk::remove_file(&target)?;
        let _held = self.hold(to)?;
        disk::make_folder(target.parent().unwrap_or(&target))?;
        fs::hard_link(source, &target).map(|()| true).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(true),
            // Gone in the meantime, or the file has as many names as a file may have.
            io::ErrorKind::NotFound | io::ErrorKind::TooManyLinks => Ok(false),
            _ => Err(error).named("link", &target),
        })
    }

    /// Makes a finished, hashed file a blob of the repository. `draft` is gone afterwards, whatever happens.
    pub(crate) fn adopt(
        &self,
        draft: &Path,
        file: &File,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        let adopted = self.adopt_or_link(draft, file, repository, digest);
        disk::remove_file(draft)?;
        adopted
    }

    fn adopt_or_link(
        &self,
        draft: &Path,
        file: &File,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        if self.mount(None, repository, digest)? || self.has_blob(repository, digest)? {
            return Ok(());
        }
        // The name must never be durable before the content is.
        file.sync_data().named("fsync", draft)?;
        let target = self.blob_path(repository, digest);
        let _held = self.hold(repository)?;
        disk::make_folder(target.parent().unwrap_or(&target))?;
        fs::rename(draft, &target).named("rename", &target)?;
        self.verified.good(Stamp::of(&file.metadata().named("stat", &target)?));
        // The common pool only saves room: nothing is lost when this name is missing after a crash.
        let pool = self.pool_path(digest);
        disk::make_folder(pool.parent().unwrap_or(&pool))?;
        let pooled = fs::hard_link(&target, &pool);
        if pooled.is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            // It can be there only if it is damaged or has too many names.
            disk::remove_file(&pool)?;
            let _ = fs::hard_link(&target, &pool);
        }
        Ok(())
    }

    /// Takes a blob out of a repository.
    pub(crate) fn delete_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let path = self.blob_path(repository, digest);
        let _alone = disk::lock(&self.folder(repository), true)?;
        if disk::remove_file(&path)? { Ok(()) } else { Err(Error::NoBlob(digest.clone())) }
    }
}

impl OpenBlob {
    fn stamp_inode(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.ino())
    }
}

/// Renews a lease that is not fresh. That it could not be is no reason to refuse: reading is not writing.
fn renew(path: &Path, metadata: &Metadata) {
    if age(metadata) <= RENEW {
        return;
    }
    if let Err(error) = disk::touch(path) {
        tracing::warn!(%error, "a blob's lease could not be renewed");
    }
}

/// Seconds since a file last got or lost a name, or was asked for.
pub(crate) fn age(metadata: &Metadata) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    now.saturating_sub(u64::try_from(metadata.ctime()).unwrap_or(0))
}
