//! A container's own upper folder on top of an image's layers.
//!
//! The row of a snapshot is what keeps the image "in use" and its layers alive.

use std::path::PathBuf;

use boxship_layer::Change;
use boxship_oci::digest::Digest;
use boxship_oci::rootfs::OverlayMount;
use rusqlite::Transaction;

use crate::Result;

/// The containers' root filesystems of a store.
#[derive(Clone, Copy)]
pub struct Snapshots<'a> {
    _store: std::marker::PhantomData<&'a ()>,
}

/// A container's root filesystem as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// The container.
    pub container: String,
    /// The image it was made from.
    pub image: Digest,
    /// The chain id of the image's topmost layer; `None` when the image has no layer.
    pub top: Option<Digest>,
    /// The container's upper folder.
    pub upper: PathBuf,
}

impl Snapshots<'_> {
    /// Makes a container's folders and records them, in a transaction of its own: [`Snapshots::make`], then
    /// [`Snapshots::record`].
    pub fn prepare(&self, container: &str, image: &Digest) -> Result<Rootfs> {
        let _ = (container, image);
        todo!()
    }

    /// Makes `containers/<id>/{upper,work}`. Without a record they are removed at the next open.
    pub fn make(&self, container: &str) -> Result<()> {
        let _ = container;
        todo!()
    }

    /// Records the root filesystem in the transaction that writes the container's row. The image must be there.
    pub fn record(&self, tx: &Transaction<'_>, container: &str, image: &Digest) -> Result<Rootfs> {
        let _ = (tx, container, image);
        todo!()
    }

    /// The record of a container's root filesystem.
    pub fn get(&self, container: &str) -> Result<Rootfs> {
        let _ = container;
        todo!()
    }

    /// The overlay to be mounted as the container's root. Nothing is mounted here.
    pub fn mount(&self, container: &str) -> Result<OverlayMount> {
        let _ = container;
        todo!()
    }

    /// Forgets and discards: [`Snapshots::forget`] in a transaction of its own, then [`Snapshots::discard`].
    pub fn remove(&self, container: &str) -> Result<()> {
        let _ = container;
        todo!()
    }

    /// Deletes the record in the transaction that deletes the container's row.
    pub fn forget(&self, tx: &Transaction<'_>, container: &str) -> Result<()> {
        let _ = (tx, container);
        todo!()
    }

    /// Moves the whole folder `containers/<id>` to the trash, and layers nobody uses any more. After the
    /// transaction that forgot it; no harm done when there is nothing.
    pub fn discard(&self, container: &str) -> Result<()> {
        let _ = container;
        todo!()
    }

    /// Bytes in the upper folder's regular files (`SizeRw`).
    pub fn usage(&self, container: &str) -> Result<u64> {
        let _ = container;
        todo!()
    }

    /// What the container changed (`docker diff`).
    pub fn changes(&self, container: &str) -> Result<Vec<Change>> {
        let _ = container;
        todo!()
    }
}
