//! The digest of a blob that is being written: of a large one on a thread of its own, so that hashing and writing
//! share the work.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use boxship_oci::digest::Digest;
use sha2::{Digest as _, Sha256};

/// Blobs up to this size are hashed where they are written: a thread costs more.
const INLINE: u64 = 1 << 20;
/// Pieces on their way at once.
const DEPTH: usize = 8;

/// A running hash.
pub(crate) struct Hasher {
    count: u64,
    state: State,
}

enum State {
    Inline(Sha256),
    Thread { pieces: SyncSender<Vec<u8>>, free: Receiver<Vec<u8>>, hash: JoinHandle<Sha256> },
}

impl Hasher {
    pub fn new() -> Hasher {
        Hasher { count: 0, state: State::Inline(Sha256::new()) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        match &mut self.state {
            State::Inline(hash) if self.count <= INLINE => hash.update(bytes),
            State::Inline(hash) => {
                hash.update(bytes);
                self.state = in_thread(std::mem::take(hash));
            }
            State::Thread { pieces, free, .. } => {
                let mut piece = free.try_recv().unwrap_or_default();
                piece.clear();
                piece.extend_from_slice(bytes);
                // The other end lives until this one is dropped: it only hashes.
                let _ = pieces.send(piece);
            }
        }
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        let hash = match self.state {
            State::Inline(hash) => hash,
            State::Thread { pieces, hash, .. } => {
                drop(pieces);
                hash.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        };
        Digest::sha256(hash.finalize().into())
    }
}

fn in_thread(hash: Sha256) -> State {
    let (pieces, taken) = sync_channel::<Vec<u8>>(DEPTH);
    let (used, free) = sync_channel(DEPTH);
    let hash = std::thread::spawn(move || {
        let mut hash = hash;
        for piece in taken {
            hash.update(&piece);
            // Kept for the next piece if there is room.
            let _ = used.try_send(piece);
        }
        hash
    });
    State::Thread { pieces, free, hash }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_alike() {
        let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n % 253) as u8).collect();
        for length in [0, 1, 1 << 20, (1 << 20) + 1, bytes.len()] {
            for step in [1000, 256 << 10] {
                let mut hasher = Hasher::new();
                bytes[..length].chunks(step).for_each(|piece| hasher.update(piece));
                assert_eq!(hasher.finish(), Digest::of(&bytes[..length]));
            }
        }
    }
}
