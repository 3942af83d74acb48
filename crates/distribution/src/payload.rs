//! Bodies of requests, which can be sent again: nothing, bytes, a stretch of a file, a file that is being written.

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
use tokio::sync::watch;

use crate::pack::Growth;

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
    /// A file that is sent while it grows: nobody knows yet how long it will be.
    Growing {
        growth: watch::Receiver<Growth>,
        sent: Arc<AtomicU64>,
    },
}

impl Payload {
    /// Its length, where a length must be told.
    pub fn length(&self) -> Option<u64> {
        match self {
            Payload::Empty | Payload::Growing { .. } => None,
            Payload::Bytes(bytes) => Some(bytes.len() as u64),
            Payload::File { length, .. } => Some(*length),
        }
    }

    /// How much of it was sent, where that takes time.
    pub fn sent(&self) -> Option<&AtomicU64> {
        match self {
            Payload::File { sent, .. } | Payload::Growing { sent, .. } => Some(sent),
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
            Payload::Growing { growth, sent } => {
                sent.store(0, Ordering::Relaxed);
                let state = (growth.clone(), 0, sent.clone());
                StreamBody::new(stream::try_unfold(state, grown)).boxed()
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
    let bytes = read(file.clone(), at, length).await?;
    sent.fetch_add(length, Ordering::Relaxed);
    Ok(Some((Frame::data(bytes), (file, at + length, end, sent))))
}

type GrowingState = (watch::Receiver<Growth>, u64, Arc<AtomicU64>);

async fn grown((mut growth, at, sent): GrowingState) -> io::Result<Option<(Frame<Bytes>, GrowingState)>> {
    let given_up = |_| io::Error::other("the layer could not be compressed");
    let now = growth.wait_for(|growth| growth.packed > at || growth.whole).await.map_err(given_up)?.clone();
    let length = PIECE.min(now.packed - at);
    let Some(file) = now.file.filter(|_| length > 0) else { return Ok(None) };
    let bytes = read(file, at, length).await?;
    sent.fetch_add(length, Ordering::Relaxed);
    Ok(Some((Frame::data(bytes), (growth, at + length, sent))))
}

async fn read(file: Arc<File>, at: u64, length: u64) -> io::Result<Bytes> {
    let bytes = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
    });
    bytes.await.map_err(io::Error::other)?
}
