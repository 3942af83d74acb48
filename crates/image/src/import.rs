//! A folder's archive becomes a one-layer image.

use std::io::{self, Read};

use boxship_layer::Limits;
use boxship_oci::digest::Digest;
use boxship_oci::image::{ContainerConfig, History, ImageConfig, RootFs};
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use boxship_store::{Expected, ImageLayer, Lease, NewImage, Store};

use crate::load::{media_type, own_manifest};
use crate::rest::drop_rest;
use crate::{Error, Result, changes};

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
    let lease = store.lease();
    // The instructions are looked at first: a mistake in them should not cost the unpacking.
    let imported = changes::apply(ContainerConfig::default(), &import.changes)
        .and_then(|config| import_held(store, archive, import, config, &lease));
    let cleaned = store.images().abandon(lease);
    if imported.is_err() {
        // A full disk wants the space of what was half unpacked back now.
        let _ = store.sweep();
        drop_rest(archive);
    }
    let id = imported?;
    cleaned?;
    Ok(id)
}

fn import_held(
    store: &Store,
    archive: &mut (dyn Read + Send),
    import: &Import,
    config: ContainerConfig,
    lease: &Lease,
) -> Result<Digest> {
    let mut writer = store.content().writer(lease)?;
    copy(archive, |piece| Ok(writer.append(piece)?))?;
    let blob = writer.finish(None, None)?;
    let mut archive = store.content().open(&blob.digest)?;
    let expected = Expected { diff_id: None, verified: Some(&blob.digest) };
    let unpacked = store.layers().unpack(&mut archive, &[], expected, &Limits::default(), lease)?;
    let (diff_id, chain_id) = (unpacked.layer().diff_id.clone(), unpacked.layer().chain_id.clone());
    let media_type = media_type(store, &blob.digest)?.to_owned();
    let layer = ImageLayer {
        diff_id: diff_id.clone(),
        chain_id,
        blob: blob.digest,
        blob_size: blob.size,
        media_type,
    };
    let config = encode(&configuration(import, config, diff_id))?;
    let id = store.content().put(&config, lease)?;
    let layers = vec![layer];
    let manifest = store.content().put(&own_manifest(&id, config.len(), &layers)?, lease)?;
    let names = import.name.iter().cloned().collect();
    let image = NewImage { id: id.clone(), manifest, layers, parent: None, names, repo_digests: Vec::new() };
    store.images().create(&[image], vec![unpacked])?;
    Ok(id)
}

fn configuration(import: &Import, config: ContainerConfig, diff_id: Digest) -> ImageConfig {
    let platform = import.platform.clone().unwrap_or_else(Platform::host);
    let created = Some(jiff::Timestamp::now().to_string());
    let message = match &*import.message {
        "" => format!("Imported from {}", import.source),
        message => message.to_owned(),
    };
    ImageConfig {
        created: created.clone(),
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        config: Some(config),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id] },
        history: vec![History { created, comment: Some(message.clone()), ..History::default() }],
        comment: Some(message),
        ..ImageConfig::default()
    }
}

fn encode(config: &ImageConfig) -> Result<Vec<u8>> {
    serde_json::to_vec(config).map_err(|source| Error::Json { file: "configuration".to_owned(), source })
}

/// Hands all of a stream on, piece by piece.
fn copy(from: &mut dyn Read, mut to: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to(&buffer[..count])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(Error::Archive {
                    operation: "read archive",
                    source: boxship_layer::Error::Read(source),
                });
            }
        }
    }
}
