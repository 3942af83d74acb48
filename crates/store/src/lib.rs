//! Content, snapshots, image names and the database below the data root.
//!
//! [`Store`] opens the tree that [`Paths`] documents and repairs what a crash left half done. Then:
//!
//! * [`Content`]: blobs by digest, visible only when whole and verified.
//! * [`Partial`]: blobs on their way from a registry, which survive the daemon.
//! * [`Layers`]: layers unpacked once per chain id, shared by all images and containers.
//! * [`Images`]: images by id and the names that point at them.
//! * [`Snapshots`]: a container's own upper folder on top of an image's layers.
//! * [`Db`]: the one database; the engine registers its own tables in it ([`Db::migrate`]).
//!
//! Each change is one transaction. Files come first and become visible by rename; the row that owns them is
//! written after. A file without a row is therefore left over from a crash, and removed at the next open.
//! Removal goes the other way: first the row, then the file is renamed into the trash, which
//! [`Store::sweep`] empties off the caller's path.
//!
//! What is being worked with is protected by a [`Lease`], what is kept by a row; whatever has neither is
//! collected. It never mounts anything: it only describes mounts.

mod content;
mod db;
mod error;
mod hasher;
mod images;
mod layers;
mod leases;
mod open;
mod others;
mod partial;
mod paths;
mod snapshots;
mod sources;
mod sync;
mod trash;
mod usage;

pub use content::{Blob, BlobWriter, Content};
pub use db::Db;
pub use error::{Error, Result};
pub use images::{Deleted, Image, ImageLayer, Images, NewImage};
pub use layers::{Expected, Layer, Layers, UnpackedLayer};
pub use leases::Lease;
pub use open::{Recovered, Store};
pub use others::Others;
pub use partial::Partial;
pub use paths::Paths;
pub use snapshots::{Rootfs, Snapshots};
pub use usage::{ImageUsage, Usage};
