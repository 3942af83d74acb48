//! Ends the flows of ports that are no longer published, on a thread: to find them the kernel walks its whole table of
//! connections (9 ms with 262,144 buckets), which nobody who ends a container should wait for.
//!
//! Who publishes waits for what is pending, so that no flow of a newcomer at the same address is ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::flows;
use crate::Result;
use crate::netlink::{Connection, Protocol};
use crate::ports::Published;

/// See the module.
#[derive(Debug)]
pub(super) struct Endings {
    /// Of its own and kept open: closing one waits for the kernel's deletions.
    connection: Arc<Connection>,
    pending: Mutex<Option<JoinHandle<()>>>,
}

impl Endings {
    pub(super) fn open() -> Result<Self> {
        Ok(Self { connection: Arc::new(Connection::open(Protocol::Netfilter)?), pending: Mutex::default() })
    }

    /// Ends the flows of these ports, soon.
    pub(super) fn begin(&self, ports: &[Published]) {
        if ports.is_empty() {
            return;
        }
        let mut pending = self.pending();
        let (before, connection, ports) = (pending.take(), self.connection.clone(), ports.to_vec());
        let work = move || {
            wait_for(before);
            if let Err(error) = flows::end(&connection, &ports) {
                tracing::warn!(%error, "connections of ports that are no longer published not ended");
            }
        };
        match std::thread::Builder::new().name("flows".into()).spawn(work) {
            Ok(thread) => *pending = Some(thread),
            Err(error) => tracing::warn!(%error, "no thread to end connections of published ports"),
        }
    }

    /// Returns when all that was begun is done.
    pub(super) fn wait(&self) {
        wait_for(self.pending().take());
    }

    fn pending(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        self.wait();
    }
}

fn wait_for(thread: Option<JoinHandle<()>>) {
    // One that panicked has told so itself.
    drop(thread.map(JoinHandle::join));
}
