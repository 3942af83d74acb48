//! From the pieces of one answer to the disk: each byte to its segment, in batches, while the next pieces come.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::fetch::Work;

/// Bytes collected before they are written.
const BATCH: usize = 512 << 10;
/// Bytes are written at the latest after this long: a killed daemon loses no more.
const FLUSH: Duration = Duration::from_millis(100);

/// Puts the pieces of one answer where they belong, in batches, while the next ones come.
pub(crate) struct Sink<'a> {
    work: &'a Work,
    /// The segment that is being written, held by this worker.
    segment: usize,
    first: usize,
    /// Where the answer's next byte belongs.
    at: u64,
    /// Where the segment's next byte belongs, counting those on their way to the disk.
    next: u64,
    /// Whether segments of others may be passed over: the server sends everything.
    all: bool,
    batch: Vec<Bytes>,
    size: usize,
    since: Instant,
    writing: Option<JoinHandle<Result<()>>>,
}

impl<'a> Sink<'a> {
    /// Of the answer that begins at this byte. `all`: the server sends everything, whatever others have already.
    pub fn new(work: &'a Work, segment: usize, at: u64, all: bool) -> Sink<'a> {
        let since = Instant::now();
        let next = work.flow.partial.next(segment);
        let batch = Vec::new();
        Sink { work, segment, first: segment, at, next, all, batch, size: 0, since, writing: None }
    }

    /// Whether nothing waits to be written.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// When what waits is to be written.
    pub fn due(&self) -> Instant {
        self.since + FLUSH
    }

    /// Takes the next piece; `false` when nothing further of the answer is wanted.
    pub async fn take(&mut self, bytes: Bytes) -> Result<bool> {
        let partial = &self.work.flow.partial;
        let mut bytes = bytes;
        while !bytes.is_empty() {
            if self.at >= partial.size() {
                return Err(Error::Store(boxship_store::Error::SizeMismatch {
                    expected: partial.size(),
                    found: self.at + bytes.len() as u64,
                }));
            }
            let here = partial.segment_of(self.at);
            let end = partial.bounds(here).1;
            let mine = bytes.split_to(bytes.len().min((end - self.at) as usize));
            let start = self.at;
            self.at += mine.len() as u64;
            if here != self.segment {
                self.flush().await?;
                self.settle().await?;
                if !self.move_to(here) && !self.all {
                    return Ok(false);
                }
            }
            if here == self.segment {
                // Bytes that are there already are not written again.
                let skip = self.next.saturating_sub(start).min(mine.len() as u64) as usize;
                self.push(mine.slice(skip..)).await?;
            }
        }
        Ok(true)
    }

    /// Goes on in the next segment if it is free.
    fn move_to(&mut self, segment: usize) -> bool {
        if segment != self.first && self.work.claim(Some(segment)).is_none() {
            return false;
        }
        if self.segment != self.first {
            self.work.release(self.segment);
        }
        self.segment = segment;
        self.next = self.work.flow.partial.next(segment);
        true
    }

    async fn push(&mut self, bytes: Bytes) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.batch.is_empty() {
            self.since = Instant::now();
        }
        self.size += bytes.len();
        self.next += bytes.len() as u64;
        self.batch.push(bytes);
        if self.size >= BATCH { self.flush().await } else { Ok(()) }
    }

    /// Hands the batch to a thread that writes it.
    pub async fn flush(&mut self) -> Result<()> {
        self.settle().await?;
        if self.batch.is_empty() {
            return Ok(());
        }
        let (batch, flow, segment) = (std::mem::take(&mut self.batch), self.work.flow.clone(), self.segment);
        self.size = 0;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            batch.iter().try_for_each(|bytes| flow.partial.append(segment, bytes))?;
            flow.wake();
            Ok(())
        }));
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        match self.writing.take() {
            Some(writing) => writing.await.unwrap_or(Err(Error::Cancelled)),
            None => Ok(()),
        }
    }

    /// Writes what is left; where the answer ended.
    pub async fn finish(&mut self) -> Result<u64> {
        self.flush().await?;
        self.settle().await?;
        if self.segment != self.first {
            self.work.release(self.segment);
        }
        Ok(self.at)
    }
}
