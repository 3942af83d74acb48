//! Which blob files are known to hold what their name says.
//!
//! Hashing a blob each time it is read would cost as much as sending it. A blob is therefore hashed when it is
//! written, and once more when it is first read after a start, and then taken as good for as long as its file is the
//! same: same inode, same time of modification, same size. What changes a file behind our back changes its time of
//! modification; what rots on the disk below the kernel's cache is found after the next start, or by a manifest's
//! digest at the client. A file found damaged is treated as absent, so that a push can replace it.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many files are remembered (about 50 bytes each).
const MOST: usize = 32_768;

/// A state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
        }
    }
}

/// What is known of files.
#[derive(Default)]
pub(crate) struct Verified {
    good: Mutex<HashMap<u64, Stamp>>,
    damaged: Mutex<HashSet<Stamp>>,
}

impl Verified {
    /// Whether the file was hashed in this state.
    pub(crate) fn holds(&self, stamp: Stamp) -> bool {
        held(&self.good).get(&stamp.inode) == Some(&stamp)
    }

    /// The file was hashed and is what its name says.
    pub(crate) fn good(&self, stamp: Stamp) {
        let mut good = held(&self.good);
        if good.len() >= MOST {
            // Which ones go matters little: they are hashed again when they are next read.
            let mut keep = false;
            good.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        good.insert(stamp.inode, stamp);
    }

    /// The file was hashed and is not what its name says.
    pub(crate) fn damaged(&self, stamp: Stamp) {
        let mut damaged = held(&self.damaged);
        if damaged.len() >= MOST {
            damaged.clear();
        }
        damaged.insert(stamp);
        held(&self.good).remove(&stamp.inode);
    }

    /// Whether the file is known to be damaged.
    pub(crate) fn is_damaged(&self, stamp: Stamp) -> bool {
        held(&self.damaged).contains(&stamp)
    }
}

/// No invariant spans these maps: what a thread that panicked left is as good as before.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
