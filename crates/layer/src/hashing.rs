//! Hashing a stream on its way, on a thread of its own so that hashing and unpacking share the work.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use boxship_oci::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

const PIECE: usize = 256 << 10;
/// Pieces on their way at once: enough to let either side run ahead, little enough for many at a time.
const DEPTH: usize = 8;

/// Runs `consume` on what `source` delivers; `source` is read (decompressed) and hashed by another thread. The
/// digest is of the whole stream, provided that `consume` reads to its end.
pub(crate) fn hashed<T>(
    source: &mut (dyn Read + Send),
    consume: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<(T, Digest)> {
    std::thread::scope(|scope| {
        let (full, pieces) = sync_channel(DEPTH);
        let (empties, free) = sync_channel(DEPTH + 2);
        let producer = scope.spawn(move || produce(source, &full, &free));
        let mut stream = Pieces { pieces, empties, current: Vec::new(), at: 0 };
        let consumed = consume(&mut stream);
        drop(stream);
        let digest = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((consumed?, digest))
    })
}

fn produce(
    source: &mut (dyn Read + Send),
    full: &SyncSender<io::Result<Vec<u8>>>,
    free: &Receiver<Vec<u8>>,
) -> Digest {
    let mut hash = Sha256::new();
    loop {
        let mut piece = free.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let read = fill(source, &mut piece);
        let last = !matches!(read, Ok(count) if count > 0);
        let message = read.map(|count| {
            piece.truncate(count);
            hash.update(&piece);
            piece
        });
        if full.send(message).is_err() || last {
            return Digest::sha256(hash.finalize().into());
        }
    }
}

/// Reads until the buffer is full or the stream ends.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match source.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

struct Pieces {
    pieces: Receiver<io::Result<Vec<u8>>>,
    empties: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            // After the last piece the other end is gone: the stream stays at its end.
            let next = self.pieces.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            let used = std::mem::replace(&mut self.current, next);
            // Nobody takes it back any more when the stream has ended.
            let _ = self.empties.try_send(used);
            self.at = 0;
        }
        let count = buffer.len().min(self.current.len() - self.at);
        buffer[..count].copy_from_slice(&self.current[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Hashes what is read through it.
pub struct HashReader<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> HashReader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> HashReader<R> {
        HashReader { inner, hash: Sha256::new(), count: 0 }
    }

    /// The digest of what was read, and its length.
    pub fn finish(self) -> (Digest, u64) {
        (Digest::sha256(self.hash.finalize().into()), self.count)
    }

    /// Reads the rest of the stream.
    pub fn drain(&mut self) -> Result<()> {
        io::copy(self, &mut io::sink()).map(drop).map_err(Error::from_read)
    }
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_all_that_was_read() {
        for length in [0, 1, PIECE, PIECE + 1, 20 * PIECE + 5] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let mut source = &bytes[..];
            let (read, digest) = hashed(&mut source, |stream| {
                let mut out = Vec::new();
                stream.read_to_end(&mut out).map_err(Error::Read)?;
                Ok(out)
            })
            .unwrap();
            assert!(read == bytes);
            assert_eq!(digest, Digest::of(&bytes));
        }
    }

    #[test]
    fn a_consumer_that_gives_up_stops_the_producer() {
        let mut endless = io::repeat(1);
        let result: Result<((), _)> = hashed(&mut endless, |_| Err(Error::Truncated));
        assert!(matches!(result, Err(Error::Truncated)));
    }
}
