//! Blobs by digest: immutable, visible only when whole and verified.
//!
//! A blob is written under a random name and renamed to its digest. It becomes durable with the row that owns it:
//! whoever records such a row syncs first ([`crate::Images::create`] does). A crash of the machine before that may
//! leave a damaged blob, but one that nobody owns and that is removed at the next open.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use boxship_oci::digest::Digest;
use rusqlite::Connection;

use crate::error::io as failed;
use crate::hasher::Hasher;
use crate::leases::Held;
use crate::open::Inner;
use crate::{Error, Lease, Result, trash};

/// The blobs of a store.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    pub(crate) store: &'a Inner,
}

/// A blob as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// A blob being written. Dropped without [`BlobWriter::finish`], nothing is left of it.
pub struct BlobWriter<'a> {
    store: &'a Inner,
    lease: &'a Lease,
    file: File,
    /// Where it is being written; `None` once it is renamed.
    path: Option<PathBuf>,
    hash: Hasher,
    size: u64,
}

impl<'a> Content<'a> {
    /// Starts a blob. `lease` will protect it once it is whole.
    pub fn writer(&self, lease: &'a Lease) -> Result<BlobWriter<'a>> {
        let path = self.store.paths.ingest().join(trash::random_name()?);
        let file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed("create", &path))?;
        Ok(BlobWriter { store: self.store, lease, file, path: Some(path), hash: Hasher::new(), size: 0 })
    }

    /// Writes a small blob at once.
    pub fn put(&self, bytes: &[u8], lease: &Lease) -> Result<Digest> {
        let digest = Digest::of(bytes);
        lease.hold_blob(&digest);
        if self.size(&digest)?.is_some() {
            return Ok(digest);
        }
        let mut writer = self.store.content().writer(lease)?;
        writer.append(bytes)?;
        Ok(writer.finish(None, None)?.digest)
    }

    /// Opens a blob for reading.
    pub fn open(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NoSuchBlob(digest.clone()),
            _ => failed("open", &path)(e),
        })
    }

    /// Reads a blob of at most `limit` bytes.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let file = self.open(digest)?;
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(failed("read", &self.path(digest)))?;
        if bytes.len() as u64 > limit {
            let reason = format!("it is longer than {limit} bytes");
            return Err(Error::Corrupt { object: format!("blob {digest}"), reason });
        }
        Ok(bytes)
    }

    /// A blob's length, `None` when there is no such blob.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.path(digest);
        match path.symlink_metadata() {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("stat", &path)(e)),
        }
    }

    /// All whole blobs.
    pub fn list(&self) -> Result<Vec<Blob>> {
        let folder = self.store.paths.blobs();
        let mut blobs = Vec::new();
        for entry in folder.read_dir().map_err(failed("list", &folder))? {
            let entry = entry.map_err(failed("list", &folder))?;
            let digest = entry.file_name().to_str().and_then(|hex| Digest::from_sha256_hex(hex).ok());
            if let (Some(digest), Ok(metadata)) = (digest, entry.metadata()) {
                blobs.push(Blob { digest, size: metadata.len() });
            }
        }
        Ok(blobs)
    }

    /// Removes those of `candidates` that nobody owns and nobody holds. Returns their bytes.
    pub(crate) fn remove_unused(&self, candidates: impl IntoIterator<Item = Digest>) -> Result<u64> {
        let mut freed = 0;
        for digest in candidates {
            let leases = self.store.leases.lock();
            if leases.holds(&Held::Blob(digest.clone())) || self.store.db.read(|c| is_owned(c, &digest))? {
                continue;
            }
            let size = self.size(&digest)?.unwrap_or(0);
            let path = self.path(&digest);
            match std::fs::remove_file(&path) {
                Ok(()) => freed += size,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed("remove", &path)(e)),
            }
        }
        Ok(freed)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.store.paths.blob(digest)
    }
}

/// Whether an image owns the blob.
fn is_owned(c: &Connection, digest: &Digest) -> Result<bool> {
    let mut query = c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM images WHERE id = ?1 OR manifest = ?1)
             OR EXISTS (SELECT 1 FROM image_layers WHERE blob = ?1)
             OR EXISTS (SELECT 1 FROM packed WHERE blob = ?1)",
    )?;
    Ok(query.query_row([digest.to_string()], |row| row.get(0))?)
}

impl BlobWriter<'_> {
    /// Bytes written until now.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Opens what is being written for reading along; the file stays readable when it gets its name.
    pub fn reader(&self) -> Result<File> {
        let path = self.path.clone().unwrap_or_default();
        File::open(&path).map_err(failed("open", &path))
    }

    /// Writes the next bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.path.clone().unwrap_or_default();
        self.write_all(bytes).map_err(failed("write", &path))
    }

    /// Verifies what was promised and makes the blob visible.
    pub fn finish(mut self, expected: Option<&Digest>, size: Option<u64>) -> Result<Blob> {
        let found = std::mem::replace(&mut self.hash, Hasher::new()).finish();
        if let Some(expected) = size.filter(|size| *size != self.size) {
            return Err(Error::SizeMismatch { expected, found: self.size });
        }
        if let Some(expected) = expected.filter(|expected| **expected != found) {
            return Err(Error::DigestMismatch { expected: expected.clone(), found });
        }
        self.lease.hold_blob(&found);
        if let Some(path) = self.path.clone() {
            let target = self.store.paths.blob(&found);
            std::fs::rename(&path, &target).map_err(failed("rename", &path))?;
            self.path = None;
        }
        Ok(Blob { digest: found, size: self.size })
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // What can't be removed now is removed at the next open.
            let _ = std::fs::remove_file(path);
        }
    }
}
