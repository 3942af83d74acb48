//! Images in transit: load, save and import of archives.
//!
//! * [`load`] reads a docker-archive (`docker save`) or an OCI layout, plain, gzip or zstd, once and in order.
//! * [`save`] writes one archive that is both: `docker load` takes it, and so does every OCI tool.
//! * [`import`] makes a one-layer image of a folder's archive, with instructions of a Dockerfile.
//! * [`commit`] makes a container's changes one more layer on its image.
//! * [`history`] and [`config`] tell what an image's configuration says.
//! * [`hello`] is the image built into the executable.
//!
//! Archives are untrusted: every blob is verified against its digest, every unpacked layer against its
//! diff id, and sizes are bounded. When anything fails, nothing of the archive becomes visible or stays on disk.
//!
//! Decision: the content keeps each layer's blob exactly as it came (plain, gzip or zstd), and the manifest it
//! came with. So `save` and a later push give the digests that came in, signatures stay valid and nothing
//! needs to be compressed again; it costs the blob's space on disk beside the unpacked layer.

pub mod changes;
mod commit;
mod config;
mod error;
pub mod hello;
mod history;
mod import;
mod load;
mod rest;
mod save;

pub use commit::{Commit, commit};
pub use config::config;
pub use error::{Error, Result};
pub use history::{HistoryEntry, history};
pub use import::{Import, import};
pub use load::{LoadEvent, LoadOptions, Loaded, Progress, load};
pub use save::{SaveItem, SaveOptions, save, select};
