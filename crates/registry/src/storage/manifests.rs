//! Manifests: put, read, removed. The order of writes is such that at each moment what is visible is whole: blobs are
//! durable before the manifest that names them, the manifest before the tag.

use std::fs;
use std::io::Read;

use boxship_oci::{Algorithm, Digest};

use super::manifest::{self, Parsed};
use super::{Storage, blobs, disk};
use crate::error::{Error, Named, Result};
use crate::name::{Reference, RepositoryName, Tag};

/// The largest manifest, as the distribution specification proposes.
pub(crate) const LARGEST: usize = 4 << 20;

/// A manifest to be put.
pub(crate) struct Put<'a> {
    pub(crate) repository: &'a RepositoryName,
    pub(crate) reference: &'a Reference,
    /// Further tags that shall name it.
    pub(crate) tags: &'a [Tag],
    pub(crate) content_type: Option<&'a str>,
    pub(crate) bytes: &'a [u8],
}

/// A manifest that was put or read.
pub(crate) struct StoredManifest {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) subject: Option<Digest>,
}

impl Storage {
    /// Stores a manifest and points tags at it; what it names must be there.
    pub(crate) fn put_manifest(&self, put: &Put<'_>) -> Result<StoredManifest> {
        self.store_manifest(put, true)
    }

    /// The same for a mirror, where what a manifest names comes when it is asked for.
    pub(crate) fn keep_manifest(&self, put: &Put<'_>) -> Result<StoredManifest> {
        self.store_manifest(put, false)
    }

    fn store_manifest(&self, put: &Put<'_>, whole: bool) -> Result<StoredManifest> {
        let digest = match put.reference {
            Reference::Digest(wanted) => {
                let found = Digest::compute(wanted.algorithm(), put.bytes);
                if found != *wanted {
                    return Err(Error::Mismatch { wanted: wanted.clone(), found });
                }
                found
            }
            Reference::Tag(_) => Digest::compute(Algorithm::Sha256, put.bytes),
        };
        let parsed = manifest::parse(put.bytes, put.content_type)?;
        let _together = self.hold(put.repository)?;
        if whole {
            self.require(put.repository, &parsed)?;
        }
        if let Some(subject) = &parsed.subject {
            let referrer = parsed.referrer(&digest, put.bytes.len() as u64);
            self.add_referrer(put.repository, subject, &referrer)?;
        }
        let path = self.manifest_path(put.repository, &digest);
        match disk::if_there(fs::read(&path), "read", &path)? {
            Some(there) if there == put.bytes => disk::touch(&path)?,
            _ => self.write(&path, put.bytes)?,
        }
        let named = match put.reference {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        };
        for tag in named.into_iter().chain(put.tags) {
            self.point(put.repository, tag, &digest)?;
        }
        self.catalog.add(put.repository);
        let bytes = Vec::new();
        Ok(StoredManifest { digest, media_type: parsed.media_type, bytes, subject: parsed.subject })
    }

    /// Everything that a manifest names must be in the repository, and durable.
    fn require(&self, repository: &RepositoryName, parsed: &Parsed) -> Result<()> {
        let mut missing = Vec::new();
        for digest in &parsed.blobs {
            if !self.has_blob(repository, digest)? {
                missing.push(digest.clone());
            }
        }
        for digest in &parsed.children {
            let path = self.manifest_path(repository, digest);
            if disk::if_there(fs::symlink_metadata(&path), "stat", &path)?.is_none() {
                missing.push(digest.clone());
            }
        }
        if !missing.is_empty() {
            return Err(Error::ManifestBlobUnknown(missing));
        }
        // The blobs' content was made durable when they were pushed; their names are, once for all of them, here.
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            if parsed.blobs.iter().any(|digest| digest.algorithm() == algorithm) {
                disk::sync_folder(&self.part(repository, "_blobs").join(algorithm.as_str()))?;
            }
        }
        Ok(())
    }

    /// The digest that a reference means now.
    pub(crate) fn resolve(&self, repository: &RepositoryName, reference: &Reference) -> Result<Digest> {
        match reference {
            Reference::Digest(digest) => Ok(digest.clone()),
            Reference::Tag(tag) => self
                .tag_target(repository, tag)?
                .ok_or_else(|| self.no_manifest(repository, &tag.to_string())),
        }
    }

    fn no_manifest(&self, repository: &RepositoryName, reference: &str) -> Error {
        match self.knows(repository) {
            true => Error::NoManifest(reference.to_owned()),
            false => Error::NoRepository(repository.to_string()),
        }
    }

    /// A manifest; its content is hashed each time, which for so little costs nothing.
    pub(crate) fn manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<StoredManifest> {
        let path = self.manifest_path(repository, digest);
        let absent = || self.no_manifest(repository, &digest.to_string());
        let file = disk::if_there(fs::File::open(&path), "open", &path)?.ok_or_else(absent)?;
        let metadata = file.metadata().named("stat", &path)?;
        if blobs::age(&metadata) > 300 {
            // A client that finds a manifest may count on it for an index that it is about to push.
            let _ = disk::touch(&path);
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize % (LARGEST + 1));
        file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).named("read", &path)?;
        if Digest::compute(digest.algorithm(), &bytes) != *digest {
            return Err(Error::Damaged(digest.clone()));
        }
        let parsed = manifest::parse(&bytes, None)?;
        Ok(StoredManifest {
            digest: digest.clone(),
            media_type: parsed.media_type,
            bytes,
            subject: parsed.subject,
        })
    }

    /// Removes a manifest with the tags that name it.
    pub(crate) fn delete_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let folder = self.folder(repository);
        let _alone = disk::lock(&folder, true)?;
        for tag in self.all_tags(repository)? {
            if self.tag_target(repository, &tag)?.as_ref() == Some(digest) {
                disk::remove_file(&self.tag_path(repository, &tag))?;
            }
        }
        self.remove_manifest(repository, digest)
    }

    /// Removes a manifest that no tag names; the caller holds the repository's lock alone.
    pub(crate) fn remove_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let path = self.manifest_path(repository, digest);
        let absent = || self.no_manifest(repository, &digest.to_string());
        let bytes = disk::if_there(fs::read(&path), "read", &path)?.ok_or_else(absent)?;
        disk::remove_file(&path)?;
        if let Ok(Some(subject)) = manifest::parse(&bytes, None).map(|parsed| parsed.subject) {
            self.remove_referrer(repository, &subject, digest)?;
        }
        Ok(())
    }

    /// All manifests of a repository.
    pub(crate) fn manifests(&self, repository: &RepositoryName) -> Result<Vec<Digest>> {
        self.digests(&self.part(repository, "_manifests"))
    }
}
