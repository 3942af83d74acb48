//! Blobs by digest: immutable, visible only when whole and verified.

use std::fs::File;
use std::io::{self, Write};

use boxship_oci::digest::Digest;

use crate::{Lease, Result};

/// The blobs of a store.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    _store: std::marker::PhantomData<&'a ()>,
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
pub struct BlobWriter {}

impl Content<'_> {
    /// Starts a blob. `lease` will protect it once it is whole.
    pub fn writer(&self, lease: &Lease) -> Result<BlobWriter> {
        let _ = lease;
        todo!()
    }

    /// Writes a small blob at once.
    pub fn put(&self, bytes: &[u8], lease: &Lease) -> Result<Digest> {
        let _ = (bytes, lease);
        todo!()
    }

    /// Opens a blob for reading.
    pub fn open(&self, digest: &Digest) -> Result<File> {
        let _ = digest;
        todo!()
    }

    /// Reads a blob of at most `limit` bytes.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let _ = (digest, limit);
        todo!()
    }

    /// A blob's length, `None` when there is no such blob.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let _ = digest;
        todo!()
    }

    /// All whole blobs.
    pub fn list(&self) -> Result<Vec<Blob>> {
        todo!()
    }
}

impl BlobWriter {
    /// Bytes written until now.
    #[must_use]
    pub fn len(&self) -> u64 {
        todo!()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Verifies what was promised and makes the blob visible and durable.
    pub fn finish(self, expected: Option<&Digest>, size: Option<u64>) -> Result<Blob> {
        let _ = (expected, size);
        todo!()
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = bytes;
        todo!()
    }

    fn flush(&mut self) -> io::Result<()> {
        todo!()
    }
}
