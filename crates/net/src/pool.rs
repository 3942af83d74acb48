//! Namespaces made ahead of need: making one is half of what a container's network costs (about 0.8 ms of 1.8 ms).
//!
//! A background thread keeps some ready. It waits until nothing has been taken for a while: the start of a container
//! should not have to share the kernel's locks with the making of a namespace for the next one.
//!
//! A namespace has the kernel's defaults of the moment it was made; parameters that are changed on the host later
//! (`net.*.conf.default` is copied) do not reach the few that are ready.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Result;
use crate::namespace::Namespace;

/// How long nothing must have been taken before more are made.
const QUIET: Duration = Duration::from_millis(100);

/// Ready namespaces; dropping it ends its thread and them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Namespace>,
    /// How often one was taken.
    taken: u64,
    ended: bool,
}

impl Pool {
    /// Keeps so many ready, soon.
    pub fn new(size: usize) -> Self {
        let shared = Arc::new(Shared { size, state: Mutex::default(), changed: Condvar::new() });
        let filler = shared.clone();
        // Without its thread the pool is empty, and everything works as well, only slower.
        let thread = std::thread::Builder::new().name("netns-pool".into()).spawn(move || filler.keep_full());
        Self { shared, thread: thread.ok() }
    }

    /// A namespace with nothing but its loopback: a ready one, or one made now.
    pub fn take(&self) -> Result<Namespace> {
        let mut state = self.shared.lock();
        state.taken += 1;
        let ready = state.ready.pop();
        drop(state);
        self.shared.changed.notify_all();
        ready.map_or_else(Namespace::create, Ok)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It cannot panic but by a bug, which then has been told already.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked with the lock left a list of namespaces, which is as good as ever.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_full(&self) {
        while self.wait_for_need() {
            match Namespace::create() {
                Ok(namespace) => self.lock().ready.push(namespace),
                Err(error) => {
                    tracing::debug!(%error, "no namespace made ahead");
                    self.wait_for_taking();
                }
            }
            self.changed.notify_all();
        }
    }

    /// Waits until one is missing and nobody has taken one for a while; `false` at the end.
    fn wait_for_need(&self) -> bool {
        let mut state = self.lock();
        loop {
            let full = |state: &mut State| state.ready.len() >= self.size && !state.ended;
            state = self.changed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
            let taken = state.taken;
            let quiet = |state: &mut State| state.taken == taken && !state.ended;
            let (now, waited) =
                self.changed.wait_timeout_while(state, QUIET, quiet).unwrap_or_else(PoisonError::into_inner);
            state = now;
            if state.ended {
                return false;
            }
            if waited.timed_out() {
                return true;
            }
        }
    }

    /// After a failure: the next taking is time enough to try again.
    fn wait_for_taking(&self) {
        let state = self.lock();
        let taken = state.taken;
        let idle = |state: &mut State| state.taken == taken && !state.ended;
        drop(self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(namespace: &Namespace) -> std::path::PathBuf {
        namespace.run(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap()
    }

    #[test]
    fn everybody_gets_another() {
        let pool = Pool::new(2);
        let mut given = std::collections::HashSet::new();
        let mut kept = Vec::new();
        for _ in 0..2 {
            let mut state = pool.shared.lock();
            while state.ready.len() < 2 {
                state = pool.shared.changed.wait(state).unwrap();
            }
            drop(state);
            // Two are ready, the third is made at once.
            for _ in 0..3 {
                let namespace = pool.take().unwrap();
                assert!(given.insert(inode(&namespace)));
                assert_eq!(namespace.interfaces().unwrap().len(), 1);
                kept.push(namespace);
            }
        }
        assert!(!given.contains(&std::fs::read_link("/proc/thread-self/ns/net").unwrap()));
    }

    #[test]
    fn it_ends_at_once() {
        drop(Pool::new(0));
        let pool = Pool::new(3);
        pool.take().unwrap();
        drop(pool);
    }
}
