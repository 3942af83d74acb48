//! A folder's archive becomes a one-layer image.

use std::io::Read;

use boxship_oci::digest::Digest;
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use boxship_store::Store;

use crate::Result;

/// What `docker import` is told beside the archive.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The name to give.
    pub name: Option<Reference>,
    /// Dockerfile instructions (`-c`), several per string allowed (one per line).
    pub changes: Vec<String>,
    /// The commit message (`-m`).
    pub message: String,
    /// The platform to write into the configuration; this machine's when `None`.
    pub platform: Option<Platform>,
    /// Where the archive came from, as history shows it (`Imported from -`).
    pub source: String,
}

/// Imports an archive (plain, gzip or zstd) and returns the new image's id.
pub fn import(store: &Store, archive: &mut (dyn Read + Send), import: &Import) -> Result<Digest> {
    let _ = (store, archive, import);
    todo!()
}
