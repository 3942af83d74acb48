//! The body of a blob that a mirror is being sent itself: read from the draft as far as that has grown. The blob's last
//! byte waits until all of it was verified, so that nobody can take a wrong or half blob for a whole one; when it does
//! not come to that, the connection is cut.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::body::Pool;
use crate::mirror::{Coming, State};

/// Pieces that may wait for the client.
const WAITING: usize = 2;

/// A part of a blob on its way through.
pub(crate) struct Following {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
}

impl Following {
    /// Streams `part` of the blob.
    pub(crate) fn new(coming: Coming, pool: Arc<Pool>, part: Range<u64>) -> Self {
        let (sender, pieces) = mpsc::channel(WAITING);
        let left = part.end - part.start;
        tokio::spawn(async move {
            if let Err(error) = pass(coming, pool, part, &sender).await {
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { pieces, left }
    }

    /// How many bytes have not been sent yet.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(Ok(bytes)) => {
                self.left -= bytes.len() as u64;
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(error)) => Some(Err(error)),
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }
}

/// Hands on what comes until the part is complete or the client has gone.
async fn pass(
    mut coming: Coming,
    pool: Arc<Pool>,
    part: Range<u64>,
    client: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut at = part.start;
    while at < part.end {
        let there = tokio::select! {
            there = beyond(&mut coming, at) => there?,
            () = client.closed() => return Ok(()),
        };
        let (file, pool, most) = (coming.file.clone(), pool.clone(), there.min(part.end) - at);
        let read = tokio::task::spawn_blocking(move || pool.read(&file, at, most));
        let bytes = read.await.map_err(io::Error::other)??;
        at += bytes.len() as u64;
        if client.send(Ok(bytes)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Waits until there is something to hand on after `at`; up to where.
async fn beyond(coming: &mut Coming, at: u64) -> io::Result<u64> {
    let size = coming.size;
    let until = |state: &State| match state {
        State::Asked => 0,
        State::Coming { written, .. } => (*written).min(size - 1),
        State::Stored => size,
        State::Failed(_) => 0,
    };
    let now = coming.state.wait_for(|state| matches!(state, State::Failed(_)) || until(state) > at).await;
    match now.map(|state| until(&state)) {
        Ok(there) if there > at => Ok(there),
        _ => Err(io::Error::other("the blob did not come from the mirrored registry")),
    }
}
