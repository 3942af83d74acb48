//! The files of an archive of images: small ones in memory, the others as blobs in the content.
//!
//! Names are keys of a map and never become paths on disk. A file below `blobs/sha256/` must have the digest that
//! its name says.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;

use boxship_layer::tar::{Entry, Kind, Reader};
use boxship_layer::{Limits, decoder};
use boxship_oci::digest::Digest;
use boxship_store::{Lease, Store};
use serde::de::DeserializeOwned;

use super::Part;
use crate::{Error, Result};

/// Files up to this size are kept in memory…
const SMALL: u64 = 64 << 10;
/// …until there is this much of them.
const MAX_MEMORY: usize = 128 << 20;
/// No JSON document of an image is longer: registries take no longer manifest either.
const MAX_JSON: u64 = 4 << 20;
/// Bytes of documents read in all. One document may be named by thousands of entries, each of which reads and keeps it.
const MAX_DOCUMENTS: u64 = 256 << 20;
/// Links that lead to links.
const MAX_LINKS: usize = 8;

enum Stored {
    Memory(Vec<u8>),
    Blob(Digest, u64),
    Link(String),
}

/// All files of an archive.
pub(super) struct Files<'a> {
    store: &'a Store,
    lease: &'a Lease,
    files: HashMap<String, Stored>,
    memory: usize,
    /// Bytes of documents read until now.
    read: Cell<u64>,
}

fn broken(source: boxship_layer::Error) -> Error {
    Error::Archive { operation: "read archive", source }
}

impl<'a> Files<'a> {
    /// Reads the whole archive, plain, gzip or zstd.
    pub fn read(store: &'a Store, lease: &'a Lease, archive: &mut (dyn Read + Send)) -> Result<Files<'a>> {
        let limits = Limits { max_entries: 1_000_000, ..Limits::default() };
        let mut files = Files { store, lease, files: HashMap::new(), memory: 0, read: Cell::new(0) };
        let mut stream = decoder(archive, &limits).map_err(broken)?;
        let mut reader = Reader::new(&mut stream, &limits);
        while let Some(entry) = reader.next_entry().map_err(broken)? {
            files.add(&entry, &mut reader)?;
        }
        reader.drain().map_err(broken)?;
        Ok(files)
    }

    fn add(&mut self, entry: &Entry, reader: &mut Reader<'_>) -> Result<()> {
        let name = clean("", &entry.name);
        let stored = match entry.kind {
            Kind::File if entry.sparse.is_some() => {
                return Err(Error::Invalid(format!("{name} is a sparse file")));
            }
            Kind::File if entry.size <= SMALL => self.add_small(entry, reader)?,
            Kind::File => self.add_blob(&name, entry, reader)?,
            // Docker before 25 links a layer that two images share.
            Kind::Symlink => Stored::Link(clean(folder(&name), &entry.link)),
            Kind::HardLink => Stored::Link(clean("", &entry.link)),
            _ => return Ok(()),
        };
        self.count(name.len() + 64)?;
        if let Stored::Memory(bytes) = &stored
            && let Some(expected) = digest_of_name(&name)
        {
            verify(&expected, Digest::of(bytes))?;
        }
        self.files.insert(name, stored);
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<()> {
        self.memory += bytes;
        if self.memory > MAX_MEMORY {
            Err(Error::Invalid("it has too many small files".to_owned()))
        } else {
            Ok(())
        }
    }

    fn add_small(&mut self, entry: &Entry, reader: &mut Reader<'_>) -> Result<Stored> {
        self.count(entry.size as usize)?;
        let mut bytes = Vec::with_capacity(entry.size as usize);
        loop {
            let piece = reader.data(u64::MAX).map_err(broken)?;
            if piece.is_empty() {
                return Ok(Stored::Memory(bytes));
            }
            bytes.extend_from_slice(piece);
        }
    }

    fn add_blob(&mut self, name: &str, entry: &Entry, reader: &mut Reader<'_>) -> Result<Stored> {
        let expected = digest_of_name(name);
        let mut writer = self.store.content().writer(self.lease)?;
        loop {
            let piece = reader.data(u64::MAX).map_err(broken)?;
            if piece.is_empty() {
                break;
            }
            writer.append(piece)?;
        }
        let blob = writer.finish(expected.as_ref(), Some(entry.size))?;
        Ok(Stored::Blob(blob.digest, blob.size))
    }

    /// Whether there is a file of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A file's bytes: a JSON document, so of bounded length.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        match self.find(name) {
            Some(Stored::Memory(bytes)) => {
                self.count_read(bytes.len() as u64)?;
                Ok(bytes.clone())
            }
            Some(Stored::Blob(digest, size)) if *size <= MAX_JSON => {
                self.count_read(*size)?;
                Ok(self.store.content().read(digest, MAX_JSON)?)
            }
            Some(Stored::Blob(..)) => Err(Error::Invalid(format!("{name} is longer than {MAX_JSON} bytes"))),
            Some(Stored::Link(_)) | None => Err(Error::Missing(name.to_owned())),
        }
    }

    fn count_read(&self, bytes: u64) -> Result<()> {
        self.read.set(self.read.get().saturating_add(bytes));
        if self.read.get() > MAX_DOCUMENTS {
            return Err(Error::Invalid(format!(
                "its documents name more than {MAX_DOCUMENTS} bytes of others"
            )));
        }
        Ok(())
    }

    /// A file's JSON document.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        parse(name, &self.bytes(name)?)
    }

    /// A file as a blob in the content.
    pub fn part(&self, name: &str) -> Result<Part> {
        let (digest, size) = match self.find(name) {
            Some(Stored::Memory(bytes)) => (self.store.content().put(bytes, self.lease)?, bytes.len() as u64),
            Some(Stored::Blob(digest, size)) => (digest.clone(), *size),
            Some(Stored::Link(_)) | None => return Err(Error::Missing(name.to_owned())),
        };
        Ok(Part { digest, size, media_type: None })
    }

    /// Opens a blob for reading.
    pub fn open(&self, part: &Part) -> Result<std::fs::File> {
        Ok(self.store.content().open(&part.digest)?)
    }

    /// Finds a file, through links if need be.
    fn find(&self, name: &str) -> Option<&Stored> {
        let mut name = clean("", name.as_bytes());
        for _ in 0..MAX_LINKS {
            match self.files.get(&name)? {
                Stored::Link(target) => name.clone_from(target),
                stored => return Some(stored),
            }
        }
        None
    }
}

/// Parses a JSON document, saying which it is when it can't be.
pub(super) fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { file: name.to_owned(), source })
}

fn verify(expected: &Digest, found: Digest) -> Result<()> {
    if *expected == found {
        return Ok(());
    }
    Err(boxship_store::Error::DigestMismatch { expected: expected.clone(), found }.into())
}

fn digest_of_name(name: &str) -> Option<Digest> {
    name.strip_prefix("blobs/sha256/").and_then(|hex| Digest::from_sha256_hex(hex).ok())
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A name in one form, as seen from `folder`: without `.`, `..` and double slashes.
fn clean(folder: &str, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let mut parts: Vec<&str> = Vec::new();
    let start = if name.starts_with('/') { "" } else { folder };
    for part in start.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for (folder, name, expect) in [
            ("", "./manifest.json", "manifest.json"),
            ("", "/a//b/../c", "a/c"),
            ("x", "../y/layer.tar", "y/layer.tar"),
            ("x", "/y", "y"),
            ("", "../../etc/passwd", "etc/passwd"),
        ] {
            assert_eq!(clean(folder, name.as_bytes()), expect);
        }
    }
}
