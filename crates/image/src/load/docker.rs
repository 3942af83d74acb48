//! docker-archive: `manifest.json` names each image's configuration, layers and tags (image spec v1.2).

use std::collections::HashMap;

use boxship_oci::descriptor::Kind;
use boxship_oci::digest::Digest;
use boxship_oci::image::ImageConfig;
use boxship_oci::manifest::{Index, Manifest};
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use serde::Deserialize;

use super::files::{Files, parse};
use super::{LoadOptions, Planned, oci};
use crate::{Error, Result};

/// The file that tells what is in the archive.
pub(super) const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Manifests and their bytes, by the configuration they name.
type Manifests = HashMap<Digest, Vec<(Vec<u8>, Manifest)>>;

/// Reads what the archive says about its images.
pub(super) fn plan(files: &Files<'_>, options: &LoadOptions) -> Result<Vec<Planned>> {
    let items: Vec<Item> = files.json(MANIFEST)?;
    let manifests = manifests(files);
    let mut planned = Vec::new();
    let mut found = Vec::new();
    for item in &items {
        let image = image(files, item, &manifests)?;
        let platform = platform(&parse::<ImageConfig>(&item.config, &image.config)?);
        if options.platform.as_ref().is_none_or(|wanted| wanted.matches(&platform)) {
            planned.push(image);
        }
        found.push(platform);
    }
    match &options.platform {
        Some(wanted) if planned.is_empty() => Err(mismatch(wanted, &found)),
        _ => Ok(planned),
    }
}

/// The error of an archive that has nothing for the platform.
pub(super) fn mismatch(wanted: &Platform, found: &[Platform]) -> Error {
    let found: Vec<String> = found.iter().map(Platform::to_string).collect();
    let found = if found.is_empty() { "no image".to_owned() } else { found.join(", ") };
    Error::Platform { wanted: wanted.to_string(), found }
}

/// The platform that a configuration is for.
pub(super) fn platform(config: &ImageConfig) -> Platform {
    Platform::new(&config.os, &config.architecture, config.variant.as_deref())
}

fn image(files: &Files<'_>, item: &Item, manifests: &Manifests) -> Result<Planned> {
    let config = files.bytes(&item.config)?;
    let layers = item.layers.iter().flatten().map(|name| files.part(name)).collect::<Result<Vec<_>>>()?;
    let names = item.repo_tags.iter().flatten().map(|tag| tagged(tag)).collect::<Result<Vec<_>>>()?;
    let id = Digest::of(&config);
    let same = |manifest: &Manifest| {
        let digests = manifest.layers.iter().map(|layer| &layer.digest);
        digests.eq(layers.iter().map(|layer| &layer.digest))
    };
    let of_config = manifests.get(&id).into_iter().flatten();
    let own = of_config.clone().find(|(_, manifest)| same(manifest)).map(|(bytes, _)| bytes.clone());
    Ok(Planned { config, manifest: own, layers, names })
}

/// A name with its tag, as Docker wants it here.
pub(super) fn tagged(name: &str) -> Result<Reference> {
    let reference = Reference::parse(name).map_err(|e| Error::Name(format!("{e}: {name:?}")))?;
    match reference.tag() {
        Some(_) => Ok(reference),
        None => Err(Error::Name(format!("invalid tag {name:?}"))),
    }
}

/// The manifests of an archive that is an OCI layout too. They only help to keep digests: what is wrong with them
/// doesn't matter here.
fn manifests(files: &Files<'_>) -> Manifests {
    let Ok(index) = files.json::<Index>(oci::INDEX) else { return Manifests::new() };
    let manifest = |descriptor: &boxship_oci::Descriptor| {
        let bytes = files.bytes(&oci::blob_name(&descriptor.digest)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        Some((bytes, manifest))
    };
    let mut manifests = Manifests::new();
    for found in
        index.manifests.iter().filter(|d| d.kind() == Kind::Manifest).take(10_000).filter_map(manifest)
    {
        manifests.entry(found.1.config.digest.clone()).or_default().push(found);
    }
    manifests
}
