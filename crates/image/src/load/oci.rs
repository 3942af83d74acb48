//! OCI image layout: `index.json` leads to manifests, perhaps through further indexes (image-spec, image-layout.md).

use std::collections::BTreeMap;

use boxship_oci::Descriptor;
use boxship_oci::descriptor::{ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, Kind};
use boxship_oci::digest::{Algorithm, Digest};
use boxship_oci::image::ImageConfig;
use boxship_oci::manifest::{Index, Manifest};
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use serde::Deserialize;

use super::docker::{mismatch, platform};
use super::files::{Files, parse};
use super::{LoadOptions, Part, Planned};
use crate::{Error, Result};

/// The file that everything begins with.
pub(super) const INDEX: &str = "index.json";
const LAYOUT: &str = "oci-layout";
/// Indexes within indexes.
const MAX_DEPTH: usize = 8;
/// Manifests and indexes looked at in all.
const MAX_DOCUMENTS: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

/// One image of the layout, with its platform.
struct Candidate {
    bytes: Vec<u8>,
    manifest: Manifest,
    config: Vec<u8>,
    platform: Platform,
}

/// What an entry of `index.json` leads to.
#[derive(Default)]
struct Group {
    names: Vec<Reference>,
    candidates: Vec<Candidate>,
    /// Whether there was something to choose from: an index, or several entries of one name.
    choice: bool,
}

/// The name of a blob's file.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// Reads what the layout says about its images.
pub(super) fn plan(files: &Files<'_>, options: &LoadOptions) -> Result<Vec<Planned>> {
    if files.contains(LAYOUT) {
        let layout: Layout = files.json(LAYOUT)?;
        if !layout.image_layout_version.starts_with("1.") {
            return Err(Error::Invalid(format!(
                "OCI layout version {} is unknown",
                layout.image_layout_version
            )));
        }
    }
    let index: Index = files.json(INDEX)?;
    let mut found = Vec::new();
    let mut planned = Vec::new();
    for group in groups(files, &index)?.into_values() {
        found.extend(group.candidates.iter().map(|candidate| candidate.platform.clone()));
        if let Some(candidate) = choose(group.candidates, group.choice, options)? {
            planned.push(image(files, candidate, group.names)?);
        }
    }
    match &options.platform {
        Some(wanted) if planned.is_empty() => Err(mismatch(wanted, &found)),
        None if planned.is_empty() => Err(Error::Invalid("its index has no image".to_owned())),
        _ => Ok(planned),
    }
}

/// The entries of the index; those that have a name in common are the platforms of one image.
fn groups(files: &Files<'_>, index: &Index) -> Result<BTreeMap<String, Group>> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut documents = 0;
    for (number, descriptor) in index.manifests.iter().enumerate() {
        let name = name(descriptor)?;
        let key = name.as_ref().map_or_else(|| format!("#{number:08}"), Reference::canonical);
        let group = groups.entry(key).or_default();
        group.choice |= !group.candidates.is_empty() || descriptor.kind() == Kind::Index;
        if let Some(name) = name
            && !group.names.contains(&name)
        {
            group.names.push(name);
        }
        gather(files, descriptor, 0, &mut documents, &mut group.candidates)?;
    }
    Ok(groups)
}

/// containerd's and Docker's annotation has the full name; the specification's may have it, or just a tag.
fn name(descriptor: &Descriptor) -> Result<Option<Reference>> {
    let full = descriptor.annotations.get(ANNOTATION_CONTAINERD_NAME);
    let plain = descriptor.annotations.get(ANNOTATION_REF_NAME).filter(|name| name.contains([':', '/']));
    let Some(text) = full.or(plain) else { return Ok(None) };
    let reference = Reference::parse_tagged(text).map_err(|e| Error::Name(format!("{e}: {text:?}")))?;
    // A name by digest can't be given to what is loaded: it would claim to come from a registry.
    Ok(reference.tag().and_then(|tag| reference.with_tag(tag).ok()))
}

/// Collects the images that a descriptor leads to; what is no image (attestations, signatures) is passed over.
fn gather(
    files: &Files<'_>,
    descriptor: &Descriptor,
    depth: usize,
    documents: &mut usize,
    found: &mut Vec<Candidate>,
) -> Result<()> {
    *documents += 1;
    if depth > MAX_DEPTH || *documents > MAX_DOCUMENTS {
        return Err(Error::Invalid("its indexes are nested too deeply or too large".to_owned()));
    }
    let unknown = descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
    match descriptor.kind() {
        Kind::Index => {
            // An index may name what was left out of the archive: other platforms.
            let Some(bytes) = document(files, descriptor, depth > 0)? else { return Ok(()) };
            let index: Index = parse(&blob_name(&descriptor.digest), &bytes)?;
            index.manifests.iter().try_for_each(|next| gather(files, next, depth + 1, documents, found))
        }
        Kind::Manifest if !unknown => {
            let Some(bytes) = document(files, descriptor, depth > 0)? else { return Ok(()) };
            let manifest: Manifest = parse(&blob_name(&descriptor.digest), &bytes)?;
            if manifest.config.kind() == Kind::Config {
                found.push(candidate(files, bytes, manifest)?);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn candidate(files: &Files<'_>, bytes: Vec<u8>, manifest: Manifest) -> Result<Candidate> {
    let name = blob_name(&manifest.config.digest);
    let config = document(files, &manifest.config, false)?.ok_or_else(|| Error::Missing(name.clone()))?;
    let platform = platform(&parse::<ImageConfig>(&name, &config)?);
    Ok(Candidate { bytes, manifest, config, platform })
}

/// The JSON document that a descriptor names; its file was verified against its name when it was read.
fn document(files: &Files<'_>, descriptor: &Descriptor, may_be_missing: bool) -> Result<Option<Vec<u8>>> {
    let name = checked_name(descriptor)?;
    if may_be_missing && !files.contains(&name) {
        return Ok(None);
    }
    let bytes = files.bytes(&name)?;
    check_size(descriptor, bytes.len() as u64)?;
    Ok(Some(bytes))
}

fn checked_name(descriptor: &Descriptor) -> Result<String> {
    match descriptor.digest.algorithm() {
        Algorithm::Sha256 => Ok(blob_name(&descriptor.digest)),
        other => Err(Error::Invalid(format!("digests by {} are not supported", other.as_str()))),
    }
}

fn check_size(descriptor: &Descriptor, found: u64) -> Result<()> {
    if descriptor.size == found {
        return Ok(());
    }
    Err(boxship_store::Error::SizeMismatch { expected: descriptor.size, found }.into())
}

/// Takes the image for the wanted platform. Without a wish, what stands alone is taken whatever it is for.
fn choose(mut candidates: Vec<Candidate>, choice: bool, options: &LoadOptions) -> Result<Option<Candidate>> {
    if candidates.is_empty() {
        return Ok(None);
    }
    let host = Platform::host();
    let wanted = options.platform.as_ref().unwrap_or(&host);
    let best = (0..candidates.len())
        .filter_map(|at| wanted.preference(&candidates[at].platform).map(|rank| (rank, at)))
        .min()
        .map(|(_, at)| at);
    match best {
        Some(at) => Ok(Some(candidates.swap_remove(at))),
        None if options.platform.is_some() => Ok(None),
        None if !choice || candidates.len() == 1 => Ok(Some(candidates.swap_remove(0))),
        None => {
            let found: Vec<Platform> =
                candidates.iter().map(|candidate| candidate.platform.clone()).collect();
            Err(mismatch(wanted, &found))
        }
    }
}

fn image(files: &Files<'_>, candidate: Candidate, names: Vec<Reference>) -> Result<Planned> {
    let mut layers = Vec::new();
    for descriptor in &candidate.manifest.layers {
        let part = files.part(&checked_name(descriptor)?)?;
        check_size(descriptor, part.size)?;
        layers.push(Part { media_type: Some(descriptor.media_type.clone()), ..part });
    }
    Ok(Planned { config: candidate.config, manifest: Some(candidate.bytes), layers, names })
}
