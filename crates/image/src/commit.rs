//! A container's changes become one more layer on its image.
//!
//! The container's folder is only read; whoever asks keeps it still meanwhile.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use boxship_layer::Limits;
use boxship_oci::digest::Digest;
use boxship_oci::image::{ContainerConfig, History, ImageConfig};
use boxship_oci::reference::Reference;
use boxship_store::{BlobWriter, Expected, Image, ImageLayer, Lease, NewImage, Store, UnpackedLayer};

use crate::load::{media_type, own_manifest};
use crate::{Error, Result, config};

/// An archive without any entry: two blocks of zeros.
const EMPTY_ARCHIVE: u64 = 1024;

/// What `docker commit` makes an image of.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The image that the container was made from.
    pub parent: Digest,
    /// The folder with the container's changes, as overlayfs keeps them.
    pub upper: PathBuf,
    /// What containers of the new image inherit.
    pub config: ContainerConfig,
    /// The name to give.
    pub name: Option<Reference>,
    /// Who made it; empty: nobody in particular.
    pub author: String,
    /// The message; empty: none.
    pub comment: String,
    /// The container's command, for the history.
    pub command: String,
}

/// Makes the image and returns its id.
pub fn commit(store: &Store, commit: &Commit) -> Result<Digest> {
    let lease = store.lease();
    let made = commit_held(store, commit, &lease);
    let cleaned = store.images().abandon(lease);
    let id = made?;
    cleaned?;
    Ok(id)
}

fn commit_held(store: &Store, commit: &Commit, lease: &Lease) -> Result<Digest> {
    let parent = store.images().get(&commit.parent)?;
    let mut layers = parent.layers.clone();
    let added = add_layer(store, commit, &parent, lease)?;
    let mut unpacked = Vec::new();
    if let Some((layer, folder)) = added {
        layers.push(layer);
        unpacked.push(folder);
    }
    let config = configuration(config(store, &parent.id)?, commit, &layers, unpacked.is_empty());
    let config = serde_json::to_vec(&config)
        .map_err(|source| Error::Json { file: "configuration".to_owned(), source })?;
    let id = store.content().put(&config, lease)?;
    let manifest = store.content().put(&own_manifest(&id, config.len(), &layers)?, lease)?;
    let names = commit.name.iter().cloned().collect();
    let image = NewImage {
        id: id.clone(),
        manifest,
        layers,
        parent: Some(parent.id),
        names,
        repo_digests: Vec::new(),
    };
    store.images().create(&[image], unpacked)?;
    Ok(id)
}

/// Packs the changes and unpacks them on the image's layers; nothing where nothing was changed.
fn add_layer(
    store: &Store,
    commit: &Commit,
    parent: &Image,
    lease: &Lease,
) -> Result<Option<(ImageLayer, UnpackedLayer)>> {
    let fail = |source| Error::Archive { operation: "pack the container's changes", source };
    let upper = File::open(&commit.upper).map_err(|source| fail(boxship_layer::Error::Read(source)))?;
    let mut blob = Blob(store.content().writer(lease)?);
    boxship_layer::diff(upper.as_fd(), &mut blob).map_err(fail)?;
    let blob = blob.0.finish(None, None)?;
    if blob.size <= EMPTY_ARCHIVE {
        return Ok(None);
    }
    let mut below = Vec::new();
    if let Some(top) = parent.top() {
        // Held before it is looked at, so that it can't be collected in between.
        store.layers().get(top, lease)?;
        below = store.layers().chain(top)?;
    }
    let mut archive = store.content().open(&blob.digest)?;
    let expected = Expected { diff_id: None, verified: Some(&blob.digest) };
    let unpacked = store.layers().unpack(&mut archive, &below, expected, &Limits::default(), lease)?;
    let layer = ImageLayer {
        diff_id: unpacked.layer().diff_id.clone(),
        chain_id: unpacked.layer().chain_id.clone(),
        media_type: media_type(store, &blob.digest)?.to_owned(),
        blob: blob.digest,
        blob_size: blob.size,
    };
    Ok(Some((layer, unpacked)))
}

fn configuration(
    parent: ImageConfig,
    commit: &Commit,
    layers: &[ImageLayer],
    unchanged: bool,
) -> ImageConfig {
    let created = Some(jiff::Timestamp::now().to_string());
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut image = parent;
    image.history.push(History {
        created: created.clone(),
        created_by: said(&commit.command),
        author: said(&commit.author),
        comment: said(&commit.comment),
        empty_layer: unchanged,
    });
    image.created = created;
    image.author = said(&commit.author);
    image.comment = said(&commit.comment);
    image.config = Some(commit.config.clone());
    image.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    image
}

/// The content's writer as a stream.
struct Blob<'a>(BlobWriter<'a>);

impl Write for Blob<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
