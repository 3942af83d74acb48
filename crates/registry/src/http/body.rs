//! Bodies of answers, above all the streaming of blobs.
//!
//! What is in the page cache is read where we are, without waiting (`RWF_NOWAIT`); only what the disk has to deliver
//! goes to a thread that may block. Pieces are large and come from a pool, so that a thousand pulls cost what the
//! pieces in flight need and no page faults. A blob that was not hashed since it was last changed is hashed while it
//! streams; its last piece leaves only when the hash is right, so that no client ever holds a damaged blob that looks
//! complete.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use rustix::io::ReadWriteFlags;
use tokio::task::JoinHandle;

use super::following::Following;
use crate::error::Error;
use crate::storage::blobs::Hasher;
use crate::storage::{OpenBlob, Storage};

/// How much is read and sent at once.
const PIECE: usize = 128 << 10;

/// How many free pieces are kept.
const KEPT: usize = 32;

/// Buffers that are used again.
#[derive(Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Vec<u8>>>,
}

/// A buffer that goes back to its pool.
struct Piece {
    bytes: Vec<u8>,
    length: usize,
    pool: Arc<Pool>,
}

impl Pool {
    fn take(self: &Arc<Self>) -> Piece {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| vec![0; PIECE]);
        Piece { bytes, length: 0, pool: self.clone() }
    }

    /// What a file has at some place, at most a piece; it may block.
    pub(super) fn read(self: &Arc<Self>, file: &File, at: u64, most: u64) -> io::Result<Bytes> {
        let mut piece = self.take();
        let length = most.min(PIECE as u64) as usize;
        piece.length = file.read_at(&mut piece.bytes[..length], at)?;
        if piece.length == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
        }
        Ok(Bytes::from_owner(piece))
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The body of an answer.
pub(crate) enum ReplyBody {
    Empty,
    Bytes(Option<Bytes>),
    Blob(Box<BlobBody>),
    Following(Box<Following>),
}

/// A blob, or a part of one, on its way out.
pub(crate) struct BlobBody {
    source: Arc<Source>,
    left: Range<u64>,
    /// Runs along when the blob is not known to be good.
    hasher: Option<Hasher>,
    /// Whether reading without waiting is worth a try.
    eager: bool,
    reading: Option<Reading>,
}

/// A piece that a thread is reading, and the hash so far.
type Reading = JoinHandle<io::Result<(Piece, Option<Hasher>)>>;

struct Source {
    storage: Arc<Storage>,
    blob: OpenBlob,
    pool: Arc<Pool>,
}

impl BlobBody {
    /// Streams `part` of the blob. Only all of it can be hashed on the way: parts are of verified blobs.
    pub(crate) fn new(storage: Arc<Storage>, blob: OpenBlob, pool: Arc<Pool>, part: Range<u64>) -> Self {
        let whole = part == (0..blob.size);
        let hasher = (whole && !storage.is_verified(&blob)).then(|| Hasher::new(blob.digest.algorithm()));
        let source = Arc::new(Source { storage, blob, pool });
        Self { source, left: part, hasher, eager: true, reading: None }
    }

    fn length(&self) -> usize {
        (self.left.end - self.left.start).min(PIECE as u64) as usize
    }

    /// What the page cache has.
    fn read_now(&mut self) -> Option<Piece> {
        if !self.eager || self.hasher.is_some() {
            return None;
        }
        let mut piece = self.source.pool.take();
        let length = self.length();
        let file = &self.source.blob.file;
        let read = {
            let mut slices = [IoSliceMut::new(&mut piece.bytes[..length])];
            rustix::io::preadv2(file, &mut slices, self.left.start, ReadWriteFlags::NOWAIT)
        };
        match read {
            Ok(read) if read > 0 => {
                piece.length = read;
                Some(piece)
            }
            Err(rustix::io::Errno::OPNOTSUPP) => {
                self.eager = false;
                None
            }
            _ => None,
        }
    }

    /// The same from the disk.
    fn read_later(&mut self) -> Reading {
        let (source, mut hasher) = (self.source.clone(), self.hasher.take());
        let (at, length, end) = (self.left.start, self.length(), self.left.end);
        tokio::task::spawn_blocking(move || {
            let mut piece = source.pool.take();
            piece.length = source.blob.file.read_at(&mut piece.bytes[..length], at)?;
            if piece.length == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the blob's file has become shorter",
                ));
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(piece.as_ref());
            }
            let last = at + piece.length as u64 == end;
            if let Some(hasher) = hasher.take_if(|_| last) {
                source.storage.judge(&source.blob, &hasher.finish()).map_err(told)?;
            }
            Ok((piece, hasher))
        })
    }

    fn send(&mut self, piece: Piece) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.left.start += piece.length as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.reading.is_none() {
            if self.left.is_empty() {
                return Poll::Ready(None);
            }
            if let Some(piece) = self.read_now() {
                return self.send(piece);
            }
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.read_later());
        match Pin::new(&mut reading).poll(context) {
            Poll::Pending => {
                self.reading = Some(reading);
                Poll::Pending
            }
            Poll::Ready(Ok(Ok((piece, hasher)))) => {
                self.hasher = hasher;
                self.send(piece)
            }
            Poll::Ready(Ok(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(io::Error::other(error)))),
        }
    }
}

fn told(error: Error) -> io::Error {
    io::Error::other(error.to_string())
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Blob(blob) => blob.poll(context),
            Self::Following(following) => following.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Bytes(None) => true,
            Self::Bytes(Some(bytes)) => bytes.is_empty(),
            Self::Blob(blob) => blob.left.is_empty() && blob.reading.is_none(),
            Self::Following(following) => following.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Bytes(None) => SizeHint::with_exact(0),
            Self::Bytes(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Blob(blob) => SizeHint::with_exact(blob.left.end - blob.left.start),
            Self::Following(following) => SizeHint::with_exact(following.left()),
        }
    }
}
