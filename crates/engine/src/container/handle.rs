//! A container as all but its driver see it: a snapshot to read, a queue to ask.

use std::sync::{Arc, Mutex, PoisonError};

use boxship_shim::protocol::Streams;
use tokio::sync::{mpsc, oneshot, watch};

use super::configuration::Configuration;
use super::driver::Driver;
use super::request::Request;
use super::state::State;
use crate::shim_link::{Joined, ShimLink};
use crate::{Engine, Error, Result};

/// What is, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// What was asked.
    pub(crate) configuration: Arc<Configuration>,
    /// How it is.
    pub(crate) state: State,
}

/// A client that attached before the container runs: joined between create and start, so that it misses nothing.
pub(crate) struct Waiting {
    /// What it wants.
    pub(crate) streams: Streams,
    /// Where the joined stream goes; dropped when there will be none.
    pub(crate) reply: oneshot::Sender<Joined>,
}

/// A container.
pub(crate) struct Container {
    /// Its identifier.
    pub(crate) id: String,
    /// Written by the driver only.
    snapshot: watch::Receiver<Snapshot>,
    /// To the driver, in order.
    requests: mpsc::UnboundedSender<Request>,
    /// Clients waiting for the next start; taken by the driver.
    waiting: Mutex<Vec<Waiting>>,
    /// How to speak to its shim.
    pub(crate) shim: ShimLink,
}

impl Container {
    /// The container and its driver, not running yet: see [`Driver::run`].
    pub(crate) fn new(engine: &Engine, configuration: Configuration, state: State) -> (Arc<Self>, Driver) {
        let id = configuration.id.clone();
        let (publish, snapshot) = watch::channel(Snapshot { configuration: Arc::new(configuration), state });
        let (requests, queue) = mpsc::unbounded_channel();
        let shim = ShimLink::new(engine.store().paths().exec_container(&id));
        let container = Arc::new(Self { id, snapshot, requests, waiting: Mutex::default(), shim });
        let driver = Driver::new(engine.clone(), container.clone(), publish, queue);
        (container, driver)
    }

    /// A container without driver.
    #[cfg(test)]
    pub(crate) fn detached(configuration: Configuration) -> Arc<Self> {
        let id = configuration.id.clone();
        let state = State::default();
        let (_, snapshot) = watch::channel(Snapshot { configuration: Arc::new(configuration), state });
        let (requests, _) = mpsc::unbounded_channel();
        let shim = ShimLink::new(id.clone().into());
        Arc::new(Self { id, snapshot, requests, waiting: Mutex::default(), shim })
    }

    /// What is now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// What was asked.
    pub(crate) fn configuration(&self) -> Arc<Configuration> {
        self.snapshot.borrow().configuration.clone()
    }

    /// How it is.
    pub(crate) fn state(&self) -> State {
        self.snapshot.borrow().state.clone()
    }

    /// To be told of changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.clone()
    }

    /// Asks the driver and waits for its answer. The request is carried out even if the caller stops waiting.
    pub(crate) async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::no_container(&self.id);
        self.requests.send(make(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// How it is when what is under way is done: who starts it holds the others off, as Docker's lock does.
    pub(crate) async fn settled(&self) -> State {
        // Without a driver nothing is under way.
        let _ = self.ask(Request::Settle).await;
        self.state()
    }

    /// Tells the driver without waiting; without a driver there is nothing to be told.
    pub(crate) fn tell(&self, request: Request) {
        let _ = self.requests.send(request);
    }

    /// Queues a client for the next start.
    pub(crate) fn enqueue(&self, waiting: Waiting) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
    }

    /// Takes the clients that wait.
    pub(crate) fn take_waiting(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
