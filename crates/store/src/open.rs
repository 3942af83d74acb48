//! Opening the store: the lock, the tables, and repair of what a crash left half done.

use crate::{Content, Db, Images, Layers, Lease, Paths, Result, Snapshots, Usage};

/// The opened store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {}

/// What opening found left over from a crash and moved to the trash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Blobs half written or owned by nobody.
    pub blobs: u64,
    /// Layers half unpacked or owned by nobody.
    pub layers: u64,
    /// Containers' folders without a row.
    pub containers: u64,
}

impl Store {
    /// Opens the tree (making it when new), takes its lock and repairs it. What was left over is in the trash
    /// afterwards: call [`Store::sweep`] in the background.
    pub fn open(paths: Paths) -> Result<(Store, Recovered)> {
        let _ = paths;
        todo!()
    }

    /// Where everything lies.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        todo!()
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        todo!()
    }

    /// Blobs by digest.
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        todo!()
    }

    /// Unpacked layers by chain id.
    #[must_use]
    pub fn layers(&self) -> Layers<'_> {
        todo!()
    }

    /// Images and their names.
    #[must_use]
    pub fn images(&self) -> Images<'_> {
        todo!()
    }

    /// Containers' root filesystems.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots<'_> {
        todo!()
    }

    /// An empty lease: what is added to it stays until it is dropped.
    #[must_use]
    pub fn lease(&self) -> Lease {
        todo!()
    }

    /// Deletes what is in the trash. May take long; call it in the background after removals and at start.
    /// Returns how many things were deleted.
    pub fn sweep(&self) -> Result<u64> {
        todo!()
    }

    /// Removes every blob and layer that no image, container or lease uses. Returns the bytes to be freed.
    pub fn collect(&self) -> Result<u64> {
        todo!()
    }

    /// What `system df` tells.
    pub fn usage(&self) -> Result<Usage> {
        todo!()
    }
}
