//! Tar archive to folder and back: the one extractor of the house.
//!
//! * [`apply`] unpacks a layer's archive (plain, gzip or zstd) below a folder's descriptor, hashing the
//!   uncompressed stream on the way. Whiteouts become overlayfs's own.
//! * [`diff`] packs an overlay's upper folder as a layer, [`pack`] any folder as it is.
//! * [`changes`] lists what an upper folder changes on top of its lower ones, as `docker diff` does.
//!
//! What it must never do: touch anything outside the folder it was given, whatever the archive says.
//! Every name is resolved from the folder's descriptor with openat2 (`RESOLVE_IN_ROOT`), no link that the
//! archive made is followed out of it, and bytes, entries, depth and ratio are bounded ([`Limits`]).

mod apply;
mod changes;
mod compression;
mod contents;
mod error;
mod hashing;
mod limits;
mod lower;
mod metadata;
mod pack;
mod remove;
mod resolve;
pub mod tar;
mod walk;
mod whiteout;

pub use apply::{Applied, Apply, FindLowers, Lowers, apply};
pub use changes::{Change, ChangeKind, changes};
pub use compression::{Compression, Decoder, decoder};
pub use error::{Error, Result, is_disk_full};
pub use hashing::HashReader;
pub use limits::Limits;
pub use pack::{diff, pack};
pub use walk::usage;
