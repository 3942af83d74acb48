//! Bodies of requests, which can be sent again: nothing, bytes, or a stretch of a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;

/// A body on its way.
pub(crate) type Outgoing = BoxBody<Bytes, io::Error>;

/// The size of the pieces in which a file is sent.
const PIECE: u64 = 256 << 10;

/// A request's body.
#[derive(Clone)]
pub(crate) enum Payload {
    Empty,
    Bytes(Bytes),
    /// A stretch of a file; `sent` counts what was handed to the connection, over all tries.
    File {
        file: Arc<File>,
        offset: u64,
        length: u64,
        sent: Arc<AtomicU64>,
    },
}

impl Payload {
    /// Its length, where a length must be told.
    pub fn length(&self) -> Option<u64> {
        match self {
            Payload::Empty => None,
            Payload::Bytes(bytes) => Some(bytes.len() as u64),
            Payload::File { length, .. } => Some(*length),
        }
    }

    /// How much of it was sent, where that takes time.
    pub fn sent(&self) -> Option<&AtomicU64> {
        match self {
            Payload::File { sent, .. } => Some(sent),
            _ => None,
        }
    }

    /// The body, from its beginning.
    pub fn stream(&self) -> Outgoing {
        match self {
            Payload::Empty => Empty::new().map_err(|never| match never {}).boxed(),
            Payload::Bytes(bytes) => Full::new(bytes.clone()).map_err(|never| match never {}).boxed(),
            Payload::File { file, offset, length, sent } => {
                let state = (file.clone(), *offset, offset + length, sent.clone());
                StreamBody::new(stream::try_unfold(state, piece)).boxed()
            }
        }
    }
}

type State = (Arc<File>, u64, u64, Arc<AtomicU64>);

async fn piece((file, at, end, sent): State) -> io::Result<Option<(Frame<Bytes>, State)>> {
    if at >= end {
        return Ok(None);
    }
    let length = PIECE.min(end - at);
    let reader = file.clone();
    let bytes = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; length as usize];
        reader.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
    });
    let bytes = bytes.await.map_err(io::Error::other)??;
    sent.fetch_add(length, Ordering::Relaxed);
    Ok(Some((Frame::data(bytes), (file, at + length, end, sent))))
}
