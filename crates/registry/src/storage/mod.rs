//! The storage folder: plain files that can be looked at, copied and repaired with ordinary tools.
//!
//! ```text
//! <storage>/lock                                       locked by the one server that works here
//! <storage>/mirror                                     the registry whose cache this is, if it is one's
//! <storage>/changed                                    touched by commands that removed repositories
//! <storage>/tmp/                                       drafts of small files; emptied when a server starts
//! <storage>/blobs/<algorithm>/<2 digits>/<digits>      each blob once
//! <storage>/repositories/<name>/_blobs/<algorithm>/<digits>       the same file under a further name (hard link)
//! <storage>/repositories/<name>/_manifests/<algorithm>/<digits>   a manifest, byte for byte
//! <storage>/repositories/<name>/_tags/<tag>            the digest of a manifest
//! <storage>/repositories/<name>/_referrers/<algorithm>/<digits>/<digest>   descriptor of a manifest that names this
//!                                                      one as its subject
//! <storage>/repositories/<name>/_uploads/<id>          what has come of a blob so far
//! ```
//!
//! No component of a repository's name begins with `_`, so `a` and `a/_tags` cannot meet. A blob is in a repository
//! exactly when the repository has a name for its file: who may read the repository may read the blob, and the kernel
//! counts the names. A blob whose only name is the one below `blobs` is in no repository: collection needs no table
//! of references that could be wrong after a crash, and no moment at which everything must stand still.
//!
//! Everything appears by link or rename when it is whole and durable: blob, then manifest, then tag. Everything goes
//! in the opposite order. Whoever adds something holds the repository's lock with others, whoever takes something away
//! from it, or takes its folder, holds it alone: nothing that a manifest being added needs can go between the look and
//! the write.
//!
//! Nothing here knows HTTP, users or rights.

pub(crate) mod blobs;
mod catalog;
pub(crate) mod disk;
pub(crate) mod manifest;
mod manifests;
mod referrers;
mod tags;
pub(crate) mod uploads;
mod verified;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use boxship_oci::Digest;
use rustix::fs::FlockOperation;

use crate::error::{Error, Named, Result};
use crate::name::{RepositoryName, Tag, UploadId};

pub(crate) use blobs::OpenBlob;
pub(crate) use manifests::{LARGEST as LARGEST_MANIFEST, Put};
pub(crate) use tags::order as tag_order;
pub(crate) use uploads::Uploads;

/// A storage folder.
pub struct Storage {
    root: PathBuf,
    verified: verified::Verified,
    catalog: catalog::Catalog,
}

impl Storage {
    /// The storage at `root`, which must be there.
    pub fn open(root: &Path) -> Result<Self> {
        let root = root.canonicalize().named("open", root)?;
        let catalog = catalog::Catalog::default();
        Ok(Self { root, verified: verified::Verified::default(), catalog })
    }

    /// The same, made when it is not there.
    pub fn create(root: &Path) -> Result<Self> {
        disk::make_folder(&std::path::absolute(root).named("find", root)?)?;
        let storage = Self::open(root)?;
        for folder in ["tmp", "blobs", "repositories"] {
            disk::make_folder(&storage.root.join(folder))?;
        }
        Ok(storage)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes this process the storage's only server for as long as the returned file is open, and clears up what a
    /// server before it left half done.
    pub(crate) fn serve_alone(&self) -> Result<File> {
        let path = self.root.join("lock");
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(&path).named("open", &path)?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Error::InUse(self.root.display().to_string()));
        }
        let drafts = self.root.join("tmp");
        for name in disk::names(&drafts)? {
            disk::remove_file(&drafts.join(name))?;
        }
        Ok(file)
    }

    /// Makes the storage the cache of a registry, or sees that it is none. The two must not mix: what was pushed here
    /// exists nowhere else, what was cached is incomplete and goes when it is not used.
    pub(crate) fn belong_to(&self, upstream: Option<&str>) -> Result<()> {
        let path = self.root.join("mirror");
        let root = self.root.display();
        let owner = disk::if_there(std::fs::read_to_string(&path), "read", &path)?;
        match (owner.as_deref().map(str::trim), upstream) {
            (None, None) => Ok(()),
            (Some(owner), Some(upstream)) if owner == upstream => Ok(()),
            (Some(owner), _) => Err(Error::Setting(format!("storage {root} is a mirror's, of {owner}"))),
            (None, Some(upstream)) if self.every_folder()?.is_empty() => {
                self.write(&path, upstream.as_bytes())
            }
            (None, Some(_)) => Err(Error::Setting(format!(
                "storage {root} holds what was pushed to it, a mirror needs a folder of its own"
            ))),
        }
    }

    pub(crate) fn repositories_folder(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(crate) fn pool(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn folder(&self, repository: &RepositoryName) -> PathBuf {
        self.repositories_folder().join(repository.as_str())
    }

    /// Makes a repository's folder, durably, and locks it for somebody who adds: collection can't take it away, empty as
    /// it is. What is slow, making it durable, is done under the lock: collection that never rests would always be
    /// faster.
    pub(crate) fn hold(&self, repository: &RepositoryName) -> Result<disk::Lock> {
        let (folder, top) = (self.folder(repository), self.repositories_folder());
        loop {
            match std::fs::create_dir_all(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                outcome => outcome.named("mkdir", &folder)?,
            }
            let Some(lock) = disk::lock(&folder, false)? else { continue };
            // Nothing comes into it before its name is durable, whoever made it.
            if !["_uploads", "_blobs", "_manifests"].iter().any(|part| folder.join(part).is_dir()) {
                let mut above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&top));
                above.try_for_each(disk::sync_folder)?;
            }
            return Ok(lock);
        }
    }

    pub(crate) fn part(&self, repository: &RepositoryName, part: &str) -> PathBuf {
        self.folder(repository).join(part)
    }

    fn pool_path(&self, digest: &Digest) -> PathBuf {
        self.pool().join(digest.algorithm().as_str()).join(&digest.hex()[..2]).join(digest.hex())
    }

    pub(crate) fn blob_path(&self, repository: &RepositoryName, digest: &Digest) -> PathBuf {
        self.part(repository, "_blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    pub(crate) fn manifest_path(&self, repository: &RepositoryName, digest: &Digest) -> PathBuf {
        self.part(repository, "_manifests").join(digest.algorithm().as_str()).join(digest.hex())
    }

    fn tag_path(&self, repository: &RepositoryName, tag: &Tag) -> PathBuf {
        self.part(repository, "_tags").join(tag.as_str())
    }

    fn referrers_path(&self, repository: &RepositoryName, subject: &Digest) -> PathBuf {
        self.part(repository, "_referrers").join(subject.algorithm().as_str()).join(subject.hex())
    }

    fn draft(&self) -> Result<PathBuf> {
        let id = UploadId::random().map_err(|why| Error::Setting(format!("random numbers: {why}")))?;
        Ok(self.root.join("tmp").join(id.as_str()))
    }

    /// Writes a small file durably; the folder it is in is made when it is missing.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        disk::make_folder(path.parent().unwrap_or(path))?;
        disk::write_whole(&self.draft()?, path, bytes)
    }

    /// Whether the repository holds, or ever held and still may hold, anything.
    pub(crate) fn knows(&self, repository: &RepositoryName) -> bool {
        ["_manifests", "_blobs"].iter().any(|part| self.part(repository, part).is_dir())
    }

    /// The digests that a folder `<algorithm>/<digits>` holds.
    pub(crate) fn digests(&self, folder: &Path) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            let names = disk::names(&folder.join(algorithm))?;
            digests
                .extend(names.iter().filter_map(|hex| format!("{algorithm}:{hex}").parse::<Digest>().ok()));
        }
        Ok(digests)
    }
}

#[cfg(test)]
mod tests;
