//! A plain archive compressed for a registry: gzip in blocks, on all processors.
//!
//! Each block is a gzip member of its own (RFC 1952 allows several), without names and times: the same archive gives
//! the same blob everywhere.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use boxship_oci::Digest;
use boxship_store::{Blob, Lease, Store};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use tokio::sync::watch;

use crate::error::{Error, Result};

/// Bytes of one block: large enough that it compresses nearly as well as the whole.
const BLOCK: usize = 512 << 10;
/// Between speed and size: a few percent larger than what Docker sends, in half the time.
const LEVEL: u32 = 3;
/// Blocks at a time, at most.
const MOST: usize = 8;

/// How far a packing is. Whoever watches it learns of a failure by the sender's end before the whole is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growth {
    /// The compressed file, once there is one; readable as far as `packed`.
    pub file: Option<Arc<File>>,
    /// Bytes of the archive that were compressed.
    pub plain: u64,
    /// Bytes that were made of them.
    pub packed: u64,
    /// Whether nothing more comes.
    pub whole: bool,
}

impl Growth {
    /// How many of the archive's bytes the first `sent` compressed ones are, as far as can be told.
    pub fn source(&self, sent: u64) -> u64 {
        let plain = u128::from(self.plain) * u128::from(sent.min(self.packed));
        plain.checked_div(u128::from(self.packed)).unwrap_or(0) as u64
    }
}

/// A blob's compressed form, if it was made before.
pub(crate) fn known(store: &Store, plain: &Digest, lease: &Lease) -> Result<Option<Blob>> {
    let Some(known) = store.content().packed(plain)? else { return Ok(None) };
    lease.hold_blob(&known.digest);
    Ok(store.content().size(&known.digest)?.map(|_| known))
}

/// Compresses a blob of the store, unless that was done before.
pub(crate) fn packed(store: &Store, plain: &Digest, lease: &Lease) -> Result<Blob> {
    match known(store, plain, lease)? {
        Some(known) => Ok(known),
        None => pack(store, plain, lease, &watch::Sender::default()),
    }
}

/// Compresses a blob of the store and tells how far it is.
pub(crate) fn pack(
    store: &Store,
    plain: &Digest,
    lease: &Lease,
    growth: &watch::Sender<Growth>,
) -> Result<Blob> {
    let archive = store.content().open(plain)?;
    let size = store.content().size(plain)?.unwrap_or_default();
    let mut writer = store.content().writer(lease)?;
    let file = Arc::new(writer.reader()?);
    compress(archive, |member| {
        writer.append(member)?;
        growth.send_modify(|growth| {
            growth.file.get_or_insert_with(|| file.clone());
            growth.plain = size.min(growth.plain + BLOCK as u64);
            growth.packed = writer.len();
        });
        Ok(())
    })?;
    let blob = writer.finish(None, None)?;
    store.content().set_packed(plain, &blob)?;
    growth.send_modify(|growth| growth.whole = true);
    Ok(blob)
}

/// A block's member of the archive, once it is made.
type Member = io::Result<Vec<u8>>;

/// A block, and where its member is waited for.
struct Task {
    block: Vec<u8>,
    done: SyncSender<Member>,
}

/// Reads, compresses and writes at the same time: `put` gets the members in order. All threads end with this function,
/// for each ends when the one behind it does.
fn compress(archive: File, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let (tasks, taken) = sync_channel::<Task>(threads);
    let (order, ordered) = sync_channel(threads * 2);
    std::thread::scope(|scope| {
        // Owned by this scope's threads alone: who waits to hand out a task learns that nobody takes it.
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..threads {
            let taken = taken.clone();
            scope.spawn(move || work(&taken));
        }
        drop(taken);
        scope.spawn(move || cut(archive, &tasks, &order));
        // Nothing is waited for any more when this ends early.
        for member in ordered {
            let member = member.recv().unwrap_or_else(|_| Err(io::Error::other("a thread has ended")));
            put(&member.map_err(|source| Error::Io { operation: "compress layer", source })?)?;
        }
        Ok(())
    })
}

/// Cuts the archive into blocks, as long as somebody wants them.
fn cut(mut archive: File, tasks: &SyncSender<Task>, order: &SyncSender<Receiver<Member>>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let read = Read::by_ref(&mut archive).take(BLOCK as u64).read_to_end(&mut block);
        let (done, member) = sync_channel(1);
        match read {
            Ok(0) => return,
            Err(error) => {
                // There is room for one; who doesn't look any more has failed already.
                let _ = done.send(Err(error));
                let _ = order.send(member);
                return;
            }
            Ok(_) => {}
        }
        if order.send(member).is_err() || tasks.send(Task { block, done }).is_err() {
            return;
        }
    }
}

fn work(tasks: &Mutex<Receiver<Task>>) {
    loop {
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Task { block, done }) = task else { return };
        // Nobody waits for it when writing has failed.
        let _ = done.send(member(&block));
    }
}

fn member(block: &[u8]) -> Member {
    let out = Vec::with_capacity(block.len() / 2);
    let mut encoder: GzEncoder<Vec<u8>> = GzBuilder::new().mtime(0).write(out, Compression::new(LEVEL));
    encoder.write_all(block)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_store::Paths;

    #[test]
    fn what_is_packed_unpacks() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Paths::new(dir.path().join("d"), dir.path().join("e"))).unwrap().0;
        let lease = store.lease();
        let bytes: Vec<u8> = (0..3_500_000u32).map(|n| (n / 7 % 251) as u8).collect();
        let plain = store.content().put(&bytes, &lease).unwrap();
        let blob = packed(&store, &plain, &lease).unwrap();
        assert!(blob.size < bytes.len() as u64 / 2);
        let mut out = Vec::new();
        let file = store.content().open(&blob.digest).unwrap();
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut out).unwrap();
        assert!(out == bytes);
        assert_eq!(packed(&store, &plain, &lease).unwrap(), blob);
    }

    #[test]
    fn a_failure_ends_all_threads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("archive");
        std::fs::write(&path, vec![7; 40 * BLOCK]).unwrap();
        let mut count = 0;
        let full = compress(File::open(&path).unwrap(), |_| {
            count += 1;
            if count < 3 { Ok(()) } else { Err(Error::Cancelled) }
        });
        assert!(matches!(full, Err(Error::Cancelled)) && count == 3);
        let folder = compress(File::open(dir.path()).unwrap(), |_| Ok(())).unwrap_err();
        assert!(folder.to_string().contains("compress layer"), "{folder}");
    }
}
