//! One blob on its way from a registry to the disk, shared by all who want it.
//!
//! ```text
//! workers: segment ─> ranged request ─> pieces ─> Partial (pwrite)      readers: follow the prefix, blocking
//!              ^ failed: waits, goes on where it was, next server             └─ wake up when it grows
//! ```
//! A short blob has one worker and one request; a long one is fetched by segments, by several workers at a time where
//! the way is slow and the server does ranges. What was written stays when everything else fails: the next pull goes on there.
//! Memory: a few pieces per worker. The digest is not computed here: whoever reads does it on the way.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use boxship_store::{Lease, Partial};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use http::{StatusCode, header};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};

use crate::error::{Error, Failure, Result};
use crate::repository::Repository;
use crate::session::Patience;
use crate::sink::Sink;
use crate::transport::next_piece;
use crate::url::Url;

/// Blobs longer than this are fetched by several workers.
const LONG: u64 = 64 << 20;
/// Workers of one long blob.
const WORKERS: usize = 4;
/// A segment that takes longer than this calls the other workers: on a fast way they would only be in its way.
const SLOW: Duration = Duration::from_millis(300);

/// Where a blob can be fetched.
#[derive(Clone)]
pub(crate) struct Place {
    pub repository: Repository,
    pub url: Url,
}

/// A blob being fetched. Dropping the last one stops it.
pub(crate) struct Fetch {
    pub flow: Arc<Flow>,
    done: Shared<BoxFuture<'static, std::result::Result<(), Arc<Error>>>>,
    abort: AbortHandle,
    /// Keeps what is there of the blob from being pruned.
    _lease: Lease,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.abort.abort();
        self.flow.end(Some("context canceled".to_owned()));
    }
}

impl Fetch {
    /// Starts in the background, when a slot is free.
    pub fn start(
        partial: Partial,
        lease: Lease,
        places: Vec<Place>,
        slots: Arc<Semaphore>,
        patience: Patience,
        stall: Duration,
    ) -> Fetch {
        let flow = Arc::new(Flow::new(partial));
        let work = Arc::new(Work { flow: flow.clone(), places, patience, stall, claimed: Mutex::default() });
        let task: JoinHandle<Result<()>> = tokio::spawn(async move { work.run(&slots).await });
        let abort = task.abort_handle();
        let ended = flow.clone();
        let done = async move {
            let outcome = match task.await {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::Cancelled),
            };
            ended.end(outcome.as_ref().err().map(ToString::to_string));
            outcome.map_err(Arc::new)
        };
        let done = done.boxed().shared();
        // Polled by itself too, so that readers learn of the end when nobody awaits it.
        tokio::spawn(done.clone());
        Fetch { flow, done, abort, _lease: lease }
    }

    /// Whether it ended without all bytes.
    pub fn has_failed(&self) -> bool {
        matches!(&*self.flow.ended.lock().unwrap_or_else(PoisonError::into_inner), Some(Some(_)))
    }

    /// Waits until all bytes are there.
    pub async fn done(&self) -> std::result::Result<(), Arc<Error>> {
        self.done.clone().await
    }
}

/// What is known of a fetch while it runs.
pub(crate) struct Flow {
    pub partial: Partial,
    /// Bytes that were there before.
    pub resumed: u64,
    /// Whether it has a slot.
    pub started: AtomicBool,
    /// Seconds until the next try, 0 while it goes.
    pub waiting: AtomicU64,
    ended: Mutex<Option<Option<String>>>,
    grown: Condvar,
}

impl Flow {
    fn new(partial: Partial) -> Flow {
        let resumed = partial.present();
        Flow {
            partial,
            resumed,
            started: AtomicBool::new(false),
            waiting: AtomicU64::new(0),
            ended: Mutex::default(),
            grown: Condvar::new(),
        }
    }

    fn end(&self, failure: Option<String>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.get_or_insert(failure);
        self.grown.notify_all();
    }

    pub fn wake(&self) {
        // Taken, so that no reader is between looking and waiting.
        drop(self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        self.grown.notify_all();
    }
}

/// Reads a blob while it comes; blocks where it is not there yet. Each reader begins at the beginning.
pub(crate) struct Reader {
    flow: Arc<Flow>,
    at: u64,
    stop: Arc<AtomicBool>,
}

impl Reader {
    /// `stop` ends it from outside, at the latest after a moment.
    pub fn new(flow: Arc<Flow>, stop: Arc<AtomicBool>) -> Reader {
        Reader { flow, at: 0, stop }
    }

    /// Waits for bytes behind those read; how many there are, 0 at the end.
    fn wait(&self) -> io::Result<u64> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("context canceled"));
            }
            let ended = self.flow.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let there = self.flow.partial.prefix() - self.at;
            if there > 0 || self.at == self.flow.partial.size() {
                return Ok(there);
            }
            if let Some(failure) = &*ended {
                let reason = failure.clone().unwrap_or_else(|| "the blob is not whole".to_owned());
                return Err(io::Error::other(reason));
            }
            let waited = self.flow.grown.wait_timeout(ended, Duration::from_millis(200));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let there = self.wait()?;
        if there == 0 {
            return Ok(0);
        }
        let length = buffer.len().min(usize::try_from(there).unwrap_or(usize::MAX));
        let count = self.flow.partial.read_at(&mut buffer[..length], self.at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// What the workers share.
pub(crate) struct Work {
    pub flow: Arc<Flow>,
    places: Vec<Place>,
    patience: Patience,
    stall: Duration,
    /// Segments that a worker has.
    claimed: Mutex<Vec<bool>>,
}

impl Work {
    async fn run(self: Arc<Work>, slots: &Semaphore) -> Result<()> {
        let partial = &self.flow.partial;
        if partial.present() == partial.size() {
            self.flow.started.store(true, Ordering::Relaxed);
            return Ok(());
        }
        // Nobody closes the semaphore.
        let _slot = slots.acquire().await;
        self.flow.started.store(true, Ordering::Relaxed);
        let count = partial.segments();
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = vec![false; count];
        let left = partial.size() - partial.present();
        self.clone().worker(left > LONG, true).await?;
        let partial = &self.flow.partial;
        match partial.present() == partial.size() {
            true => Ok(()),
            false => Err(Error::invalid("the blob is not whole")),
        }
    }

    /// The next segment that nobody has and that is not whole.
    pub fn claim(&self, only: Option<usize>) -> Option<usize> {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let free = |at: &usize| !claimed[*at] && !self.flow.partial.is_whole(*at);
        let found = match only {
            Some(at) => (at < claimed.len()).then_some(at).filter(free),
            None => (0..claimed.len()).find(free),
        }?;
        claimed[found] = true;
        Some(found)
    }

    pub fn release(&self, segment: usize) {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)[segment] = false;
    }

    /// One more worker of a long blob.
    fn another(self: Arc<Work>) -> BoxFuture<'static, Result<()>> {
        self.worker(true, false).boxed()
    }

    /// Fetches segments until none is left; goes on after failures as long as there is patience.
    async fn worker(self: Arc<Work>, bounded: bool, leads: bool) -> Result<()> {
        let mut failures = 0;
        let mut place = 0;
        let mut others: Option<tokio::task::JoinSet<Result<()>>> = None;
        while let Some(segment) = self.claim(None) {
            let before = self.flow.partial.present();
            let mut more = || {
                if leads && bounded && others.is_none() {
                    let mut set = tokio::task::JoinSet::new();
                    for _ in 1..WORKERS {
                        set.spawn(self.clone().another());
                    }
                    others = Some(set);
                }
            };
            match self.segment(segment, &self.places[place], bounded, &mut more).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    self.release(segment);
                    if self.flow.partial.present() > before {
                        failures = 0;
                    }
                    let gone_on = self.next_try(error, &mut failures, &mut place).await;
                    gone_on?;
                }
            }
        }
        if let Some(mut others) = others {
            while let Some(ended) = others.join_next().await {
                ended.unwrap_or(Err(Error::Cancelled))?;
            }
        }
        Ok(())
    }

    /// After a failure: waits before the same server is asked again, or turns to the next one.
    async fn next_try(&self, error: Error, failures: &mut u32, place: &mut usize) -> Result<()> {
        *failures += 1;
        let digest = self.flow.partial.digest();
        if matches!(error, Error::Store(_)) {
            return Err(error);
        }
        if !error.is_temporary() || *failures >= self.patience.attempts {
            if *place + 1 < self.places.len() {
                (*place, *failures) = (*place + 1, 0);
                return Ok(());
            }
            return Err(Error::Blob { digest: digest.clone(), source: Box::new(error) });
        }
        let wait = self.patience.wait(*failures - 1, error.retry_after());
        tracing::debug!(%digest, %error, ?wait, "fetch goes on after a failure");
        self.flow.waiting.store(wait.as_secs().max(1), Ordering::Relaxed);
        tokio::time::sleep(wait).await;
        self.flow.waiting.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Fetches from a segment's next byte on: to its end when `bounded`, else on through the blob.
    async fn segment(
        &self,
        segment: usize,
        place: &Place,
        bounded: bool,
        call_others: &mut (dyn FnMut() + Send),
    ) -> Result<()> {
        let partial = &self.flow.partial;
        let from = partial.next(segment);
        let to = bounded.then(|| partial.bounds(segment).1);
        let response = place.repository.blob(&place.url, from, to).await?;
        let failed =
            |source| Error::Request { method: http::Method::GET, url: place.url.to_string(), source };
        let begun = Instant::now();
        let mut ranges = response.status() == StatusCode::PARTIAL_CONTENT;
        let told = Told::of(response.headers());
        if ranges && !told.is_range(from, partial.size()) {
            return Err(failed(Failure::Broken("the server sent another range".into())));
        }
        let begins = if ranges { from } else { 0 };
        if let Some(found) =
            told.length.filter(|length| begins == 0 && to.is_none() && *length != partial.size())
        {
            return Err(Error::Store(boxship_store::Error::SizeMismatch { expected: partial.size(), found }));
        }
        let mut sink = Sink::new(self, segment, begins, begins == 0);
        let mut body = response.into_body();
        loop {
            if ranges && begun.elapsed() > SLOW {
                call_others();
                ranges = false;
            }
            let due = sink.due();
            let piece = tokio::select! {
                piece = next_piece(&mut body, self.stall) => piece,
                () = tokio::time::sleep_until(due.into()), if !sink.is_empty() => {
                    sink.flush().await?;
                    continue;
                }
            };
            match piece {
                Ok(Some(bytes)) => {
                    if !sink.take(bytes).await? {
                        sink.finish().await?;
                        return Ok(());
                    }
                }
                Ok(None) => {
                    let at = sink.finish().await?;
                    let wanted = to.unwrap_or(partial.size());
                    if at < wanted {
                        return Err(failed(Failure::Broken("unexpected EOF".into())));
                    }
                    return Ok(());
                }
                Err(failure) => {
                    sink.finish().await?;
                    return Err(failed(failure));
                }
            }
        }
    }
}

/// What an answer's header says of its body.
struct Told {
    length: Option<u64>,
    /// Where the range begins, and the length of the whole.
    range: Option<(u64, Option<u64>)>,
}

impl Told {
    fn of(headers: &http::HeaderMap) -> Told {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Told {
            length: text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            range: text(header::CONTENT_RANGE).and_then(content_range),
        }
    }

    /// Whether it can be the range from here on, of a blob of this size; what isn't said is taken to be right.
    fn is_range(&self, from: u64, size: u64) -> bool {
        self.range.is_none_or(|(start, total)| start == from && total.is_none_or(|total| total == size))
    }
}

/// `bytes 0-99/200`: where it begins, and the length of the whole.
pub(crate) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expect) in [
            ("bytes 5-9/20", Some((5, Some(20)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes */20", None),
            ("5-9/20", None),
            ("bytes -1-9/20", None),
        ] {
            assert_eq!(content_range(text), expect, "{text}");
        }
    }
}
