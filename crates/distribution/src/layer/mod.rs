//! One layer on its way to a folder: fetched, verified, decompressed and unpacked at the same time.
//!
//! ```text
//! Fetch (network → partial blob) ──> Reader ─> digest ─> decompress ─> diff id ─> files      (all at once)
//!                                                             └ waits for the layers below only if it needs them
//! both digests right, layer below recorded ─> recorded: `done`
//! ```
//! Several layers go at a time, and two pulls of the same layer share one [`Job`]. It ends when nobody wants it any
//! more; what was fetched until then stays as a partial blob. Never visible before both digests are right.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use boxship_oci::{Descriptor, Digest};
use boxship_store::{Lease, Store, UnpackedLayer};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::error::{Error, Result};
use crate::fetch::{Fetch, Flow, Place};

mod pool;
mod unpack;

pub(crate) use pool::Pool;
use unpack::Unpack;

/// How far a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Announced,
    Waiting,
    Downloading,
    Verifying,
    Downloaded,
    Extracting,
    Complete,
}

const PHASES: [Phase; 7] = {
    use Phase::*;
    [Announced, Waiting, Downloading, Verifying, Downloaded, Extracting, Complete]
};

/// A layer to be fetched.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub descriptor: Descriptor,
    pub diff_id: Digest,
    pub chain_id: Digest,
    /// The chain below.
    pub parent: Option<Digest>,
    pub places: Vec<Place>,
}

/// The end of a job, once it has one.
type End = Option<std::result::Result<(), Arc<Error>>>;

/// A layer being fetched and unpacked.
pub(crate) struct Job {
    pub wanted: Wanted,
    state: Arc<State>,
    end: watch::Receiver<End>,
    /// Keeps the layer, until an image owns it.
    _lease: Arc<Lease>,
    /// The layer below stays as long as this one.
    _below: Option<Arc<Job>>,
    abort: AbortHandle,
}

struct State {
    phase: AtomicU8,
    extracted: AtomicU64,
    stop: Arc<AtomicBool>,
    flow: Mutex<Option<Arc<Flow>>>,
    fetch: Mutex<Option<Arc<Fetch>>>,
    /// Whether the job has its turn to unpack: those above it may ask for theirs then.
    turn: watch::Sender<bool>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        self.abort.abort();
    }
}

/// What is left of a job after its end: a thread that is about to notice.
pub(crate) struct Trace {
    job: Weak<Job>,
    state: Weak<State>,
}

impl Trace {
    /// Waits until nothing of the job works any more, unless somebody else wants it.
    pub async fn gone(&self) {
        for _ in 0..2000 {
            if self.job.strong_count() > 0 || self.state.strong_count() == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Job {
    /// To be kept by whoever clears up after it.
    pub fn trace(self: &Arc<Job>) -> Trace {
        Trace { job: Arc::downgrade(self), state: Arc::downgrade(&self.state) }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        let phase = PHASES[usize::from(self.state.phase.load(Ordering::Relaxed))];
        let flow = self.state.flow.lock().unwrap_or_else(PoisonError::into_inner);
        let started = flow.as_ref().is_some_and(|flow| flow.started.load(Ordering::Relaxed));
        if phase == Phase::Waiting && started { Phase::Downloading } else { phase }
    }

    /// Bytes of the blob that are here.
    pub fn fetched(&self) -> u64 {
        let flow = self.state.flow.lock().unwrap_or_else(PoisonError::into_inner);
        flow.as_ref().map_or(0, |flow| flow.partial.present())
    }

    /// Seconds until the next try, 0 while it goes.
    pub fn waiting(&self) -> u64 {
        let flow = self.state.flow.lock().unwrap_or_else(PoisonError::into_inner);
        flow.as_ref().map_or(0, |flow| flow.waiting.load(Ordering::Relaxed))
    }

    /// Bytes of the blob that were unpacked.
    pub fn extracted(&self) -> u64 {
        self.state.extracted.load(Ordering::Relaxed)
    }

    fn has_failed(&self) -> bool {
        matches!(&*self.end.borrow(), Some(Err(_))) || self.abort.is_finished() && self.end.borrow().is_none()
    }

    /// Waits for its end.
    pub async fn done(&self) -> Result<()> {
        wait(self.end.clone()).await
    }

    /// Makes the blob visible; the layer is recorded already.
    pub fn promote(&self, store: &Store, lease: &Lease) -> Result<()> {
        let digest = &self.wanted.descriptor.digest;
        lease.hold_blob(digest);
        let fetch = self.state.fetch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(fetch) = fetch else { return Ok(()) };
        if store.content().size(digest)?.is_none() {
            fetch.flow.partial.promote(lease)?;
        }
        Ok(())
    }
}

async fn wait(mut end: watch::Receiver<End>) -> Result<()> {
    match end.wait_for(Option::is_some).await {
        Ok(end) => match &*end {
            Some(Err(error)) => Err(Error::Shared(error.clone())),
            _ => Ok(()),
        },
        Err(_) => Err(Error::Cancelled),
    }
}

/// What a job needs to know of the one below.
#[derive(Clone)]
struct Below {
    state: Arc<State>,
    end: watch::Receiver<End>,
    chain_id: Digest,
}

/// The work of one job.
struct Run {
    pool: Arc<Pool>,
    wanted: Wanted,
    state: Arc<State>,
    lease: Arc<Lease>,
    below: Option<Below>,
}

impl Run {
    async fn run(self) -> Result<()> {
        self.enter(Phase::Waiting);
        let mut outcome = self.attempt().await;
        if matches!(outcome, Err(Attempt::Resumed)) {
            // What an earlier pull left was not right: once more from the beginning.
            outcome = self.attempt().await;
        }
        let unpacked = match outcome {
            Ok(unpacked) => unpacked,
            Err(Attempt::Resumed) => return Err(Error::Verification(self.wanted.descriptor.digest.clone())),
            Err(Attempt::Failed(error)) => return Err(error),
        };
        if let Some(below) = &self.below {
            wait(below.end.clone()).await?;
        }
        let store = self.pool.store.clone();
        let state = self.state.clone();
        let recorded = tokio::task::spawn_blocking(move || (store.images().add_layer(unpacked), state));
        recorded.await.map_err(|_| Error::Cancelled)?.0?;
        self.enter(Phase::Complete);
        Ok(())
    }

    fn enter(&self, phase: Phase) {
        self.state.phase.store(phase as u8, Ordering::Relaxed);
    }

    async fn attempt(&self) -> Result<UnpackedLayer, Attempt> {
        let fetch = self.pool.fetch(&self.wanted.descriptor, self.wanted.places.clone()).await?;
        let flow = fetch.flow.clone();
        *self.state.flow.lock().unwrap_or_else(PoisonError::into_inner) = Some(flow.clone());
        *self.state.fetch.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetch.clone());
        let mut unpacking = Box::pin(self.unpack(flow.clone()));
        tokio::select! {
            fetched = fetch.done() => {
                if let Err(error) = fetched {
                    // The reader learns of it too; its folder is gone before the error is told.
                    let _ = unpacking.await;
                    return Err(Attempt::Failed(Error::Shared(error)));
                }
            }
            unpacked = &mut unpacking => {
                return match unpacked {
                    Ok(unpacked) => Ok(unpacked),
                    Err(error) => Err(self.failed(error, &flow).await),
                };
            }
        }
        self.enter(Phase::Extracting);
        match unpacking.await {
            Ok(unpacked) => Ok(unpacked),
            Err(error) => Err(self.failed(error, &flow).await),
        }
    }

    /// Wrong bytes are not kept; those that an earlier pull left get another chance.
    async fn failed(&self, error: Error, flow: &Arc<Flow>) -> Attempt {
        if !matches!(error, Error::Verification(_)) {
            return Attempt::Failed(error);
        }
        self.pool.forget(&self.wanted.descriptor.digest);
        let flow = flow.clone();
        let resumed = flow.resumed > 0;
        let discarded = tokio::task::spawn_blocking(move || flow.partial.reset()).await;
        match discarded {
            Ok(Ok(())) if resumed => Attempt::Resumed,
            _ => Attempt::Failed(error),
        }
    }

    /// Unpacks while the blob comes, when it is its turn.
    async fn unpack(&self, flow: Arc<Flow>) -> Result<UnpackedLayer> {
        // Turns are given from below upwards: whoever has one waits only for those who have one.
        if let Some(below) = &self.below {
            let mut turn = below.state.turn.subscribe();
            tokio::select! {
                _ = turn.wait_for(|has| *has) => {}
                ended = wait(below.end.clone()) => ended?,
            }
        }
        let _turn = self.pool.unpacking.acquire().await;
        self.state.turn.send_replace(true);
        let work = Unpack {
            store: self.pool.store.clone(),
            wanted: self.wanted.clone(),
            state: self.state.clone(),
            lease: self.lease.clone(),
            below: self.below.clone(),
            handle: Handle::current(),
        };
        // The state goes after what was unpacked, also when nobody takes it: then the [`Trace`] is gone with its folder.
        let unpacked = tokio::task::spawn_blocking(move || {
            let state = work.state.clone();
            (work.run(flow), state)
        });
        unpacked.await.map_or(Err(Error::Cancelled), |(unpacked, _)| unpacked)
    }
}

enum Attempt {
    /// The bytes were wrong, but perhaps only those that were here before.
    Resumed,
    Failed(Error),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Attempt {
        Attempt::Failed(error)
    }
}
