//! An archive of images into the store.
//!
//! ```text
//! stream ─> decompress ─> each file: small ones in memory, others as blobs ─> what the archive says is in it
//!        ─> each layer not there yet: unpacked ─> everything recorded in one transaction
//! ```
//! The archive is read once, in order. Until the transaction nothing is visible; when anything fails, what was
//! written is removed again, disk full included.

mod docker;
mod files;
mod legacy;
mod oci;
mod unpack;

use std::io::Read;

use boxship_oci::digest::Digest;
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use boxship_store::{Lease, NewImage, Store};

use crate::Result;
use crate::rest::drop_rest;
use files::Files;
use unpack::Unpacker;
pub(crate) use unpack::{media_type, own_manifest};

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

/// Takes progress events, on whichever thread they happen.
pub type Progress<'a> = &'a mut (dyn FnMut(LoadEvent) + Send);

/// An image as the archive describes it; its parts are in memory or in the content.
#[derive(Debug)]
struct Planned {
    config: Vec<u8>,
    /// The manifest it came with, if it came with one.
    manifest: Option<Vec<u8>>,
    /// The layers' archives, lowest first.
    layers: Vec<Part>,
    names: Vec<Reference>,
}

/// A file of the archive that is a blob in the content.
#[derive(Debug, Clone)]
struct Part {
    digest: Digest,
    size: u64,
    /// The media type it came with.
    media_type: Option<String>,
}

/// Loads all images of an archive. Nothing of it stays when this fails.
pub fn load(
    store: &Store,
    archive: &mut (dyn Read + Send),
    options: &LoadOptions,
    progress: Progress<'_>,
) -> Result<Vec<Loaded>> {
    let lease = store.lease();
    let loaded = load_held(store, archive, options, progress, &lease);
    // Blobs that no image took: side files of the archive, or everything when it failed.
    let cleaned = store.images().abandon(lease);
    if loaded.is_err() {
        // The half unpacked layers are in the trash; a full disk wants their space back now.
        let _ = store.sweep();
        drop_rest(archive);
    }
    let loaded = loaded?;
    cleaned?;
    Ok(loaded)
}

fn load_held(
    store: &Store,
    archive: &mut (dyn Read + Send),
    options: &LoadOptions,
    progress: Progress<'_>,
    lease: &Lease,
) -> Result<Vec<Loaded>> {
    let files = Files::read(store, lease, archive)?;
    let planned = plan(&files, options)?;
    let mut unpacker = Unpacker::new(store, lease, progress);
    let images = planned.iter().map(|image| unpacker.image(image)).collect::<Result<Vec<_>>>()?;
    let loaded = images.iter().map(|image| loaded(store, image)).collect::<Result<Vec<_>>>()?;
    store.images().create(&images, unpacker.finish())?;
    Ok(loaded)
}

/// docker-archive where there is a `manifest.json` (Docker's own archives are OCI layouts too), then OCI layout,
/// then what Docker wrote before 1.10.
fn plan(files: &Files<'_>, options: &LoadOptions) -> Result<Vec<Planned>> {
    if files.contains(docker::MANIFEST) {
        return docker::plan(files, options);
    }
    if files.contains(oci::INDEX) {
        return oci::plan(files, options);
    }
    if files.contains(legacy::REPOSITORIES) {
        return legacy::plan(files, options);
    }
    let reason = "it contains neither manifest.json (docker-archive) nor index.json (OCI layout)";
    Err(crate::Error::Invalid(reason.to_owned()))
}

fn loaded(store: &Store, image: &NewImage) -> Result<Loaded> {
    let mut renamed = Vec::new();
    for name in &image.names {
        if let Some(before) = store.images().by_name(name)?.filter(|before| *before != image.id) {
            renamed.push((name.clone(), before));
        }
    }
    Ok(Loaded { id: image.id.clone(), names: image.names.clone(), renamed })
}

#[cfg(test)]
mod tests;
