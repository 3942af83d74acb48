//! What is being worked with and must not be collected meanwhile.
//!
//! Leases live in memory only: after a crash nothing is being worked with. Whoever wants to use a thing takes the
//! lease first and looks whether it is there afterwards; the collection looks for leases under the same lock that
//! it removes under. So either the collection sees the lease or the user sees that the thing is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boxship_oci::digest::Digest;

/// What a lease can hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    Blob(Digest),
    Layer(Digest),
}

/// All leases of a store: how many hold a thing.
#[derive(Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<Held, usize>>,
}

impl Leases {
    /// Locks the leases: nobody takes one while the guard lives.
    pub fn lock(&self) -> LeasesGuard<'_> {
        LeasesGuard(self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The locked leases.
pub(crate) struct LeasesGuard<'a>(MutexGuard<'a, HashMap<Held, usize>>);

impl LeasesGuard<'_> {
    pub fn holds(&self, thing: &Held) -> bool {
        self.0.contains_key(thing)
    }
}

/// Protects blobs and layers from collection until dropped.
pub struct Lease {
    leases: Arc<Leases>,
    mine: Mutex<Vec<Held>>,
}

impl Lease {
    pub(crate) fn new(leases: Arc<Leases>) -> Lease {
        Lease { leases, mine: Mutex::default() }
    }

    /// Holds a blob, whether it is there already or not.
    pub fn hold_blob(&self, digest: &Digest) {
        self.hold(Held::Blob(digest.clone()));
    }

    /// Holds an unpacked layer, whether it is there already or not.
    pub fn hold_layer(&self, chain_id: &Digest) {
        self.hold(Held::Layer(chain_id.clone()));
    }

    fn hold(&self, thing: Held) {
        *self.leases.lock().0.entry(thing.clone()).or_default() += 1;
        self.mine.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }

    /// The blobs it holds: what a failed operation may have left.
    pub(crate) fn blobs(&self) -> Vec<Digest> {
        let mine = self.mine.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = |thing: &Held| match thing {
            Held::Blob(digest) => Some(digest.clone()),
            Held::Layer(_) => None,
        };
        mine.iter().filter_map(digest).collect()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.lock();
        for thing in self.mine.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(count) = held.0.get_mut(&thing) {
                *count -= 1;
                if *count == 0 {
                    held.0.remove(&thing);
                }
            }
        }
    }
}
