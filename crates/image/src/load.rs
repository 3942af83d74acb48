//! An archive of images into the store.

use std::io::Read;

use boxship_oci::digest::Digest;
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use boxship_store::Store;

use crate::Result;

/// What `docker load` is told beside the archive.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Which image of an index to take. `None`: this machine's.
    pub platform: Option<Platform>,
}

/// One image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// The names it got; empty when the archive has none for it.
    pub names: Vec<Reference>,
    /// Names that pointed at another image before: `(name, that image)`.
    pub renamed: Vec<(Reference, Digest)>,
}

/// What is going on, for a progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEvent {
    /// A layer is being unpacked.
    Layer {
        /// The layer's diff id.
        diff_id: Digest,
        /// Bytes of its archive read until now.
        current: u64,
        /// Bytes of its archive in all.
        total: u64,
    },
}

/// Loads all images of an archive. Nothing of it stays when this fails.
pub fn load(
    store: &Store,
    archive: &mut (dyn Read + Send),
    options: &LoadOptions,
    progress: &mut dyn FnMut(LoadEvent),
) -> Result<Vec<Loaded>> {
    let _ = (store, archive, options, progress);
    todo!()
}
