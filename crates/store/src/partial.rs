//! Blobs that are still on their way from a registry: they survive the daemon, so that an interrupted pull goes on.
//!
//! A blob comes in segments of fixed length, several at a time. Beside its bytes (`<hex>.part`, sparse) lies a map
//! (`<hex>.map`): how many bytes of each segment are there. The map is written after the bytes, both through the page
//! cache: after the death of the daemon both are exact, after a crash of the machine the map may promise too much.
//! Nothing here is believed: the blob's digest is computed over all of it before it becomes visible, and a partial
//! blob that turns out wrong is started anew ([`Partial::reset`]).
//!
//! It never knows where bytes come from. One partial blob has one owner in the process; the caller sees to that.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use boxship_oci::digest::Digest;

use crate::error::io as failed;
use crate::leases::Held;
use crate::open::Inner;
use crate::{Blob, Lease, Result, Store};

const MAGIC: &[u8; 8] = b"BXPART01";
/// Magic, length of the blob, length of a segment.
const HEADER: u64 = 24;
/// The shortest segment.
const SEGMENT: u64 = 16 << 20;
/// Segments of one blob, at most: longer blobs have longer segments.
const MAX_SEGMENTS: u64 = 4096;
/// An abandoned partial blob is kept this long.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Abandoned partial blobs take this much of the disk at most; the oldest go first.
const MAX_ABANDONED: u64 = 20 << 30;

/// A blob being fetched.
pub struct Partial {
    digest: Digest,
    size: u64,
    segment: u64,
    data: File,
    map: File,
    data_path: PathBuf,
    map_path: PathBuf,
    blob_path: PathBuf,
    /// Bytes there of each segment.
    done: Vec<AtomicU64>,
    /// Segments before this one are whole.
    whole: AtomicUsize,
}

impl Store {
    /// Opens what is there of a blob of this length, or begins it. `lease` keeps it from being pruned.
    pub fn partial(&self, digest: &Digest, size: u64, lease: &Lease) -> Result<Partial> {
        lease.hold_blob(digest);
        let paths = self.paths();
        let stem = paths.ingest().join(digest.hex());
        let (data_path, map_path) = (stem.with_extension("part"), stem.with_extension("map"));
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(path).map_err(failed("open", path))
        };
        let segment = SEGMENT.max(size.div_ceil(MAX_SEGMENTS));
        let count = size.div_ceil(segment);
        let partial = Partial {
            digest: digest.clone(),
            size,
            segment,
            data: open(&data_path)?,
            map: open(&map_path)?,
            data_path,
            map_path,
            blob_path: paths.blob(digest),
            done: (0..count).map(|_| AtomicU64::new(0)).collect(),
            whole: AtomicUsize::new(0),
        };
        if !partial.read_map()? {
            partial.reset()?;
        }
        Ok(partial)
    }

    /// A blob that is here already, to be read as if it had just come. `None` when it isn't here.
    pub fn whole(&self, digest: &Digest, size: u64, lease: &Lease) -> Result<Option<Partial>> {
        lease.hold_blob(digest);
        if self.content().size(digest)? != Some(size) {
            return Ok(None);
        }
        let path = self.paths().blob(digest);
        let data = self.content().open(digest)?;
        // Opened for reading: nothing can be written through either.
        let map = data.try_clone().map_err(failed("open", &path))?;
        let segment = size.max(1);
        let done = (0..size.div_ceil(segment)).map(|_| AtomicU64::new(size)).collect();
        let (data_path, map_path, whole) = (path.clone(), path.clone(), AtomicUsize::new(0));
        let (digest, blob_path) = (digest.clone(), path);
        Ok(Some(Partial { digest, size, segment, data, map, data_path, map_path, blob_path, done, whole }))
    }

    /// Removes partial blobs that no pull is working on. Returns their bytes on disk.
    pub fn prune_partials(&self) -> Result<u64> {
        prune(self.inner(), |_| true)
    }
}

/// Bytes on disk of all partial blobs.
pub(crate) fn usage(store: &Inner) -> Result<u64> {
    Ok(list(&store.paths.ingest())?.iter().map(|found| found.on_disk).sum())
}

/// At the store's opening: what is too old, too much or no partial blob at all goes.
pub(crate) fn recover(store: &Inner) -> Result<u64> {
    let mut found = list(&store.paths.ingest())?;
    found.sort_by_key(|found| std::cmp::Reverse(found.modified));
    let mut kept = 0;
    let mut removed = 0;
    for one in found {
        let old = one.modified.elapsed().is_ok_and(|age| age > KEPT);
        if one.digest.is_none() || old || kept + one.on_disk > MAX_ABANDONED {
            std::fs::remove_file(&one.path).map_err(failed("remove", &one.path))?;
            removed += 1;
        } else {
            kept += one.on_disk;
        }
    }
    Ok(removed)
}

struct Found {
    path: PathBuf,
    /// `None`: a blob being written, or no file of ours.
    digest: Option<Digest>,
    on_disk: u64,
    modified: SystemTime,
}

fn list(folder: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(failed("list", folder))? {
        let path = entry.map_err(failed("list", folder))?.path();
        // Gone meanwhile: promoted, or written to its end.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let ours = path.extension().is_some_and(|extension| extension == "part" || extension == "map");
        let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| ours);
        let digest = stem.and_then(|hex| Digest::from_sha256_hex(hex).ok());
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        found.push(Found { path, digest, on_disk: metadata.blocks() * 512, modified });
    }
    Ok(found)
}

fn prune(store: &Inner, wanted: impl Fn(&Found) -> bool) -> Result<u64> {
    let mut freed = 0;
    for one in list(&store.paths.ingest())? {
        let Some(digest) = one.digest.clone().filter(|_| wanted(&one)) else { continue };
        let leases = store.leases.lock();
        if leases.holds(&Held::Blob(digest)) {
            continue;
        }
        match std::fs::remove_file(&one.path) {
            Ok(()) => freed += one.on_disk,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed("remove", &one.path)(e)),
        }
    }
    Ok(freed)
}

impl Partial {
    /// The blob's name.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The blob's length.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many segments it has.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.done.len()
    }

    /// Where a segment begins and ends.
    #[must_use]
    pub fn bounds(&self, segment: usize) -> (u64, u64) {
        let start = segment as u64 * self.segment;
        (start, (start + self.segment).min(self.size))
    }

    /// Which segment a byte is in.
    #[must_use]
    pub fn segment_of(&self, offset: u64) -> usize {
        (offset / self.segment) as usize
    }

    /// Where a segment's next byte belongs.
    #[must_use]
    pub fn next(&self, segment: usize) -> u64 {
        self.bounds(segment).0 + self.done[segment].load(Ordering::Acquire)
    }

    /// Whether all bytes of a segment are there.
    #[must_use]
    pub fn is_whole(&self, segment: usize) -> bool {
        self.next(segment) >= self.bounds(segment).1
    }

    /// Bytes there in all.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.done.iter().map(|done| done.load(Ordering::Acquire)).sum()
    }

    /// Bytes there from the blob's beginning on without a gap.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        let mut at = self.whole.load(Ordering::Acquire);
        while at < self.done.len() && self.is_whole(at) {
            at += 1;
        }
        self.whole.store(at, Ordering::Release);
        if at < self.done.len() { self.next(at) } else { self.size }
    }

    /// Adds bytes to the end of a segment. Only one thread at a time writes to a segment.
    pub fn append(&self, segment: usize, bytes: &[u8]) -> Result<()> {
        let at = self.next(segment);
        let end = self.bounds(segment).1;
        if at + bytes.len() as u64 > end {
            return Err(crate::Error::SizeMismatch { expected: end, found: at + bytes.len() as u64 });
        }
        self.data.write_all_at(bytes, at).map_err(failed("write", &self.data_path))?;
        let done = self.done[segment].load(Ordering::Acquire) + bytes.len() as u64;
        self.write_map(segment, done)?;
        self.done[segment].store(done, Ordering::Release);
        Ok(())
    }

    /// Reads bytes that are there ([`Partial::prefix`]).
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.data.read_at(buffer, offset)
    }

    /// Forgets all bytes: they were not what the digest promised.
    pub fn reset(&self) -> Result<()> {
        self.map.set_len(0).map_err(failed("write", &self.map_path))?;
        self.data.set_len(0).map_err(failed("write", &self.data_path))?;
        self.data.set_len(self.size).map_err(failed("write", &self.data_path))?;
        let mut header = MAGIC.to_vec();
        header.extend(self.size.to_le_bytes());
        header.extend(self.segment.to_le_bytes());
        self.map.write_all_at(&header, 0).map_err(failed("write", &self.map_path))?;
        self.done.iter().for_each(|done| done.store(0, Ordering::Release));
        self.whole.store(0, Ordering::Release);
        Ok(())
    }

    /// Makes the blob visible. The caller has verified its digest; `lease` protects it until a row owns it.
    pub fn promote(&self, lease: &Lease) -> Result<Blob> {
        lease.hold_blob(&self.digest);
        if self.data_path == self.blob_path {
            return Ok(Blob { digest: self.digest.clone(), size: self.size });
        }
        match std::fs::rename(&self.data_path, &self.blob_path) {
            Ok(()) => {}
            // Of two pulls that share it, the other was first.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.blob_path.exists() => {}
            Err(e) => return Err(failed("rename", &self.data_path)(e)),
        }
        // What can't be removed now is removed by age.
        let _ = std::fs::remove_file(&self.map_path);
        Ok(Blob { digest: self.digest.clone(), size: self.size })
    }

    fn write_map(&self, segment: usize, done: u64) -> Result<()> {
        let at = HEADER + segment as u64 * 8;
        self.map.write_all_at(&done.to_le_bytes(), at).map_err(failed("write", &self.map_path))
    }

    /// Takes over what an earlier pull left; `false` when it is of no use.
    fn read_map(&self) -> Result<bool> {
        let length = self.map.metadata().map_err(failed("stat", &self.map_path))?.len();
        let data = self.data.metadata().map_err(failed("stat", &self.data_path))?.len();
        let longest = HEADER + self.done.len() as u64 * 8;
        if !(HEADER..=longest).contains(&length) || data != self.size {
            return Ok(false);
        }
        let mut bytes = vec![0; length as usize];
        self.map.read_exact_at(&mut bytes, 0).map_err(failed("read", &self.map_path))?;
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        if &bytes[..8] != MAGIC || number(8) != self.size || number(16) != self.segment {
            return Ok(false);
        }
        for (segment, done) in self.done.iter().enumerate() {
            let at = HEADER as usize + segment * 8;
            let (start, end) = self.bounds(segment);
            let there = if at + 8 <= bytes.len() { number(at) } else { 0 };
            done.store(there.min(end - start), Ordering::Release);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paths;

    fn store(dir: &Path) -> Store {
        Store::open(Paths::new(dir.join("data"), dir.join("exec"))).unwrap().0
    }

    #[test]
    fn what_came_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let size = SEGMENT + 10;
        let digest = Digest::of("x");
        {
            let store = store(dir.path());
            let lease = store.lease();
            let partial = store.partial(&digest, size, &lease).unwrap();
            assert_eq!((partial.segments(), partial.prefix()), (2, 0));
            partial.append(1, b"later").unwrap();
            assert_eq!((partial.prefix(), partial.present()), (0, 5));
            partial.append(0, b"first").unwrap();
            assert_eq!(store.prune_partials().unwrap(), 0, "it is held");
        }
        let store = store(dir.path());
        let lease = store.lease();
        let partial = store.partial(&digest, size, &lease).unwrap();
        assert_eq!((partial.prefix(), partial.present()), (5, 10));
        assert!(partial.append(1, &[0; 6]).is_err(), "longer than promised");
        partial.append(1, b"12345").unwrap();
        partial.append(0, &vec![1; SEGMENT as usize - 5]).unwrap();
        assert_eq!(partial.prefix(), size);
        // Another length is another blob.
        drop(partial);
        let partial = store.partial(&digest, 3, &lease).unwrap();
        assert_eq!(partial.present(), 0);
        drop((partial, lease));
        store.prune_partials().unwrap();
        assert_eq!(store.usage().unwrap().partial, 0);
        assert_eq!(std::fs::read_dir(store.paths().ingest()).unwrap().count(), 0);
    }

    #[test]
    fn promotion_makes_it_a_blob() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let lease = store.lease();
        let digest = Digest::of("hello");
        let partial = store.partial(&digest, 5, &lease).unwrap();
        partial.append(0, b"hello").unwrap();
        partial.promote(&lease).unwrap();
        assert_eq!(store.content().read(&digest, 10).unwrap(), b"hello");
        // Two pulls may share it, and neither knows when the other ends.
        partial.promote(&lease).unwrap();
        assert_eq!(store.content().read(&digest, 10).unwrap(), b"hello");
    }

    #[test]
    fn garbage_is_started_anew() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let lease = store.lease();
        let digest = Digest::of("hello");
        for garbage in [&b""[..], b"BXPART01", &[0xff; 32], &[0xff; 4000]] {
            let stem = store.paths().ingest().join(digest.hex());
            std::fs::write(stem.with_extension("map"), garbage).unwrap();
            std::fs::write(stem.with_extension("part"), b"what").unwrap();
            assert_eq!(store.partial(&digest, 5, &lease).unwrap().present(), 0);
        }
    }
}
