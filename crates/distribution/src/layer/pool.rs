//! The layers and blobs that are on their way: who wants one of them joins, and how many go at a time is said here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use boxship_oci::{Descriptor, Digest};
use boxship_store::Store;
use tokio::sync::{Semaphore, watch};

use super::{Below, Job, Phase, Run, State, Wanted};
use crate::error::{Error, Result};
use crate::fetch::{Fetch, Place};
use crate::session::Patience;

/// What all jobs of a client share.
pub(crate) struct Pool {
    pub store: Store,
    /// Blobs fetched at a time.
    pub downloads: Arc<Semaphore>,
    /// Layers unpacked at a time.
    pub unpacking: Arc<Semaphore>,
    pub patience: Patience,
    pub stall: std::time::Duration,
    jobs: Mutex<HashMap<(Digest, Digest), Weak<Job>>>,
    fetches: Mutex<HashMap<Digest, Weak<Fetch>>>,
    /// One partial blob is opened at a time: a file has one owner.
    opening: tokio::sync::Mutex<()>,
}

impl Pool {
    pub fn new(store: Store, downloads: usize, patience: Patience, stall: std::time::Duration) -> Arc<Pool> {
        Arc::new(Pool {
            store,
            downloads: Arc::new(Semaphore::new(downloads.max(1))),
            unpacking: Arc::new(Semaphore::new(downloads.max(1) + 1)),
            patience,
            stall,
            jobs: Mutex::default(),
            fetches: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        })
    }

    /// Joins the job of this layer, or starts it. `below` is the job of the layer below if that is being fetched.
    pub fn job(self: &Arc<Pool>, wanted: Wanted, below: Option<Arc<Job>>) -> Arc<Job> {
        let key = (wanted.chain_id.clone(), wanted.descriptor.digest.clone());
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let running = jobs.get(&key).and_then(Weak::upgrade).filter(|job| !job.has_failed());
        if let Some(job) = running {
            return job;
        }
        jobs.retain(|_, job| job.strong_count() > 0);
        let job = Arc::new(self.start(wanted, below));
        jobs.insert(key, Arc::downgrade(&job));
        job
    }

    fn start(self: &Arc<Pool>, wanted: Wanted, below: Option<Arc<Job>>) -> Job {
        let state = Arc::new(State {
            phase: AtomicU8::new(Phase::Announced as u8),
            extracted: AtomicU64::new(0),
            stop: Arc::default(),
            flow: Mutex::default(),
            fetch: Mutex::default(),
            turn: watch::Sender::new(false),
        });
        let lease = Arc::new(self.store.lease());
        let (tell, end) = watch::channel(None);
        let run = Run {
            pool: self.clone(),
            wanted: wanted.clone(),
            state: state.clone(),
            lease: lease.clone(),
            below: below.as_ref().map(|job| Below {
                state: job.state.clone(),
                end: job.end.clone(),
                chain_id: job.wanted.chain_id.clone(),
            }),
        };
        let task = tokio::spawn(async move {
            let outcome = run.run().await.map_err(Arc::new);
            tell.send_replace(Some(outcome));
        });
        Job { wanted, state, end, _lease: lease, _below: below, abort: task.abort_handle() }
    }

    /// Joins the fetch of a blob, or starts it.
    pub async fn fetch(&self, descriptor: &Descriptor, places: Vec<Place>) -> Result<Arc<Fetch>> {
        let digest = &descriptor.digest;
        let _one = self.opening.lock().await;
        if let Some(fetch) = self.running(digest) {
            return Ok(fetch);
        }
        let lease = self.store.lease();
        lease.hold_blob(digest);
        let (store, wanted, size) = (self.store.clone(), digest.clone(), descriptor.size);
        let opened = tokio::task::spawn_blocking(move || {
            let partial = match store.whole(&wanted, size, &lease)? {
                Some(whole) => whole,
                None => store.partial(&wanted, size, &lease)?,
            };
            Ok::<_, boxship_store::Error>((partial, lease))
        });
        let (partial, lease) = opened.await.map_err(|_| Error::Cancelled)??;
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.retain(|_, fetch| fetch.strong_count() > 0);
        let slots = self.downloads.clone();
        let fetch = Arc::new(Fetch::start(partial, lease, places, slots, self.patience, self.stall));
        fetches.insert(digest.clone(), Arc::downgrade(&fetch));
        Ok(fetch)
    }

    fn running(&self, digest: &Digest) -> Option<Arc<Fetch>> {
        let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.get(digest).and_then(Weak::upgrade).filter(|fetch| !fetch.has_failed())
    }

    /// Nobody joins this fetch any more: its bytes are wrong.
    pub(super) fn forget(&self, digest: &Digest) {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}
