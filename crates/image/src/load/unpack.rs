//! Layers of planned images become folders, each chain once.

use std::collections::HashMap;
use std::io::{self, Read};

use boxship_layer::{Compression, Limits};
use boxship_oci::descriptor::{OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD};
use boxship_oci::digest::{Digest, chain_id};
use boxship_oci::image::ImageConfig;
use boxship_oci::{Descriptor, Manifest};
use boxship_store::{Expected, ImageLayer, Layer, Lease, NewImage, Store, UnpackedLayer};

use super::files::parse;
use super::{LoadEvent, Part, Planned, Progress};
use crate::{Error, Result};

/// Bytes between two progress events.
const PROGRESS_STEP: u64 = 512 << 10;

/// overlayfs stacks 500 folders.
const MAX_LAYERS: usize = 499;

/// Unpacks what isn't there yet.
pub(super) struct Unpacker<'a> {
    store: &'a Store,
    lease: &'a Lease,
    progress: Progress<'a>,
    /// What was found or unpacked until now, by chain id.
    known: HashMap<Digest, Layer>,
    unpacked: Vec<UnpackedLayer>,
}

impl<'a> Unpacker<'a> {
    pub fn new(store: &'a Store, lease: &'a Lease, progress: Progress<'a>) -> Unpacker<'a> {
        Unpacker { store, lease, progress, known: HashMap::new(), unpacked: Vec::new() }
    }

    /// The unpacked layers, to be recorded.
    pub fn finish(self) -> Vec<UnpackedLayer> {
        self.unpacked
    }

    /// Unpacks an image's layers and puts its documents into the content.
    pub fn image(&mut self, planned: &Planned) -> Result<NewImage> {
        let id = self.store.content().put(&planned.config, self.lease)?;
        let config: ImageConfig = parse(&id.to_string(), &planned.config)?;
        let diff_ids = &config.rootfs.diff_ids;
        if !config.os.is_empty() && !config.os.eq_ignore_ascii_case("linux") {
            return Err(Error::Invalid(format!("cannot load {} image on linux", config.os)));
        }
        if diff_ids.len() != planned.layers.len() {
            let (expected, found) = (diff_ids.len(), planned.layers.len());
            let reason =
                format!("invalid manifest, layers length mismatch: expected {expected}, got {found}");
            return Err(Error::Invalid(reason));
        }
        if diff_ids.len() > MAX_LAYERS {
            return Err(Error::Invalid(format!(
                "max depth exceeded: {} layers, not more than {MAX_LAYERS}",
                diff_ids.len()
            )));
        }
        let mut chain = Vec::new();
        let mut layers = Vec::new();
        let mut below: Option<Digest> = None;
        for (index, (part, diff_id)) in planned.layers.iter().zip(diff_ids).enumerate() {
            // A chain's id depends on the chain below by its id only.
            let both = below.take().map(|below| [below, diff_id.clone()]);
            let chain_id = both.and_then(|both| chain_id(&both)).unwrap_or_else(|| diff_id.clone());
            let layer = self.layer(index, part, diff_id, &chain_id, &chain)?;
            chain.push(layer);
            below = Some(chain_id.clone());
            layers.push(self.image_layer(part, diff_id, chain_id)?);
        }
        let manifest = match &planned.manifest {
            Some(bytes) => self.store.content().put(bytes, self.lease)?,
            None => {
                self.store.content().put(&own_manifest(&id, planned.config.len(), &layers)?, self.lease)?
            }
        };
        Ok(NewImage {
            id,
            manifest,
            layers,
            parent: None,
            names: planned.names.clone(),
            repo_digests: Vec::new(),
        })
    }

    fn layer(
        &mut self,
        index: usize,
        part: &Part,
        diff_id: &Digest,
        chain_id: &Digest,
        parents: &[Layer],
    ) -> Result<Layer> {
        if let Some(layer) = self.known.get(chain_id) {
            return Ok(layer.clone());
        }
        let layer = match self.store.layers().get(chain_id, self.lease)? {
            Some(layer) => layer,
            None => self.unpack(part, diff_id, parents).map_err(|e| diff_id_error(index, diff_id, e))?,
        };
        self.known.insert(chain_id.clone(), layer.clone());
        Ok(layer)
    }

    fn unpack(
        &mut self,
        part: &Part,
        diff_id: &Digest,
        parents: &[Layer],
    ) -> std::result::Result<Layer, boxship_store::Error> {
        let blob = self.store.content().open(&part.digest)?;
        let progress = &mut *self.progress;
        let mut archive = Watched { blob, diff_id, current: 0, told: 0, total: part.size, progress };
        let expected = Expected { diff_id: Some(diff_id), verified: Some(&part.digest) };
        let layers = self.store.layers();
        let unpacked = layers.unpack(&mut archive, parents, expected, &Limits::default(), self.lease)?;
        let layer = unpacked.layer().clone();
        self.unpacked.push(unpacked);
        Ok(layer)
    }

    fn image_layer(&self, part: &Part, diff_id: &Digest, chain_id: Digest) -> Result<ImageLayer> {
        let media_type = match &part.media_type {
            Some(media_type) => media_type.clone(),
            None => media_type(self.store, &part.digest)?.to_owned(),
        };
        let (diff_id, blob) = (diff_id.clone(), part.digest.clone());
        Ok(ImageLayer { diff_id, chain_id, blob, blob_size: part.size, media_type })
    }
}

/// The media type that a layer's first bytes tell.
pub(crate) fn media_type(store: &Store, blob: &Digest) -> Result<&'static str> {
    let mut start = [0; 8];
    let mut file = store.content().open(blob)?;
    let mut have = 0;
    while have < start.len() {
        match file.read(&mut start[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(source) => {
                let source = boxship_layer::Error::Read(source);
                return Err(Error::Archive { operation: "read layer", source });
            }
        }
    }
    let compression = Compression::detect(&start[..have]);
    Ok(match compression.map_err(|source| Error::Archive { operation: "read layer", source })? {
        Compression::None => OCI_LAYER,
        Compression::Gzip => OCI_LAYER_GZIP,
        Compression::Zstd => OCI_LAYER_ZSTD,
    })
}

/// A manifest for an image that came without one.
pub(crate) fn own_manifest(id: &Digest, config_size: usize, layers: &[ImageLayer]) -> Result<Vec<u8>> {
    let config = Descriptor::new(OCI_CONFIG, id.clone(), config_size as u64);
    let layers = layers.iter().map(|l| Descriptor::new(l.media_type.clone(), l.blob.clone(), l.blob_size));
    let manifest = Manifest::oci(config, layers.collect());
    serde_json::to_vec(&manifest).map_err(|source| Error::Json { file: "manifest".to_owned(), source })
}

fn diff_id_error(index: usize, diff_id: &Digest, error: boxship_store::Error) -> Error {
    match error {
        boxship_store::Error::DigestMismatch { expected, found } if expected == *diff_id => {
            Error::DiffId { index, expected, found }
        }
        other => other.into(),
    }
}

/// Tells how far a layer's archive was read.
struct Watched<'a> {
    blob: std::fs::File,
    diff_id: &'a Digest,
    current: u64,
    told: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        self.current += count as u64;
        let ended = count == 0 && self.told != self.current;
        if ended || self.current - self.told >= PROGRESS_STEP {
            self.told = self.current;
            let (current, total) = (self.current, self.total);
            (self.progress)(LoadEvent::Layer { diff_id: self.diff_id.clone(), current, total });
        }
        Ok(count)
    }
}
