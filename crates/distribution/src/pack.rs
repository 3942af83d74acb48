//! A plain archive compressed for a registry: gzip in blocks, on all processors.
//!
//! Each block is a gzip member of its own (RFC 1952 allows several), without names and times: the same archive gives
//! the same blob everywhere.

use std::io::{Read, Write};

use boxship_oci::Digest;
use boxship_store::{Blob, Lease, Store};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::error::{Error, Result};

/// Bytes of one block: large enough that it compresses nearly as well as the whole.
const BLOCK: usize = 1 << 20;
/// Between speed and size.
const LEVEL: u32 = 5;
/// Blocks at a time, at most.
const MOST: usize = 8;

/// Compresses a blob of the store, unless that was done before.
pub(crate) fn packed(store: &Store, plain: &Digest, lease: &Lease) -> Result<Blob> {
    if let Some(known) = store.content().packed(plain)? {
        lease.hold_blob(&known.digest);
        if store.content().size(&known.digest)?.is_some() {
            return Ok(known);
        }
    }
    let mut archive = store.content().open(plain)?;
    let mut writer = store.content().writer(lease)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let failed = |operation| move |source| Error::Io { operation, source };
    loop {
        let mut blocks = Vec::new();
        while blocks.len() < threads {
            let mut block = Vec::with_capacity(BLOCK);
            let read = Read::by_ref(&mut archive).take(BLOCK as u64).read_to_end(&mut block);
            if read.map_err(failed("read layer"))? == 0 {
                break;
            }
            blocks.push(block);
        }
        if blocks.is_empty() {
            break;
        }
        let members = std::thread::scope(|scope| {
            let running: Vec<_> = blocks.iter().map(|block| scope.spawn(|| member(block))).collect();
            let joined = running.into_iter().map(|thread| thread.join());
            joined
                .map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect::<Vec<_>>()
        });
        for member in members {
            writer.append(&member.map_err(failed("compress layer"))?)?;
        }
    }
    let blob = writer.finish(None, None)?;
    store.content().set_packed(plain, &blob)?;
    Ok(blob)
}

fn member(block: &[u8]) -> std::io::Result<Vec<u8>> {
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
}
