//! From a tag to one image: the choice among an index's platforms, the manifest, the configuration, all verified.

use boxship_oci::descriptor::Kind as Media;
use boxship_oci::digest::Algorithm;
use boxship_oci::image::ImageConfig;
use boxship_oci::manifest::{Index, Manifest};
use boxship_oci::platform::Platform;
use boxship_oci::{Descriptor, Digest};
use serde::de::DeserializeOwned;

use crate::error::{Error, Kind, Result};
use crate::repository::{Fetched, Repository};

/// Indexes within indexes.
const MAX_DEPTH: usize = 4;
/// The longest configuration.
pub(crate) const MAX_CONFIG: usize = 32 << 20;
/// The longest archive of a layer (what the extractor takes).
const MAX_LAYER: u64 = 256 << 30;
/// overlayfs stacks 500 folders.
const MAX_LAYERS: usize = 499;

/// An image that a registry has, ready to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// What was asked for: an index or the manifest.
    pub top: Fetched,
    /// The image's manifest.
    pub manifest: Fetched,
    pub parsed: Manifest,
    /// Its configuration.
    pub config: Vec<u8>,
    pub image: ImageConfig,
    /// What to say when its configuration names another platform than the one asked for. As with Docker that stops
    /// no pull: the index has chosen, and many images' configurations are wrong about it.
    pub mismatch: Option<String>,
}

impl Found {
    /// The image's id.
    pub fn id(&self) -> &Digest {
        &self.parsed.config.digest
    }

    /// Each layer's descriptor with its diff id, lowest first.
    pub fn layers(&self) -> impl Iterator<Item = (&Descriptor, &Digest)> {
        self.parsed.layers.iter().zip(&self.image.rootfs.diff_ids)
    }
}

/// Follows a manifest or index to the image for `wanted`. `name` is for messages.
pub(crate) async fn find(
    repository: &Repository,
    top: Fetched,
    wanted: Option<&Platform>,
    name: &str,
) -> Result<Found> {
    let mut manifest = top.clone();
    let mut depth = 0;
    while boxship_oci::descriptor::kind(&manifest.media_type) == Media::Index {
        depth += 1;
        if depth > MAX_DEPTH {
            return Err(Error::invalid("invalid manifest from registry: indexes are nested too deeply"));
        }
        let index: Index = json(&manifest.bytes, "manifest list")?;
        let chosen = choose(&index, wanted, name)?;
        manifest = repository.manifest(&chosen.digest.to_string()).await?;
        if manifest.bytes.len() as u64 != chosen.size {
            return Err(Error::invalid(format!(
                "manifest {} is not as long as its index says",
                chosen.digest
            )));
        }
    }
    let parsed: Manifest = json(&manifest.bytes, "manifest")?;
    check(&parsed)?;
    let config = repository.small_blob(&parsed.config, MAX_CONFIG).await?;
    let image: ImageConfig = json(&config, "image configuration")?;
    check_image(&parsed, &image)?;
    let mismatch = wanted.and_then(|wanted| mismatch(&image, wanted, name));
    Ok(Found { top, manifest, parsed, config, image, mismatch })
}

/// The entry of an index for the platform; attestations and what is no image are passed over.
fn choose<'a>(index: &'a Index, wanted: Option<&Platform>, name: &str) -> Result<&'a Descriptor> {
    let host = Platform::host();
    let wanted = wanted.unwrap_or(&host);
    let image = |descriptor: &&Descriptor| {
        matches!(descriptor.kind(), Media::Manifest | Media::Index)
            && descriptor.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
            && !descriptor.annotations.contains_key("vnd.docker.reference.type")
    };
    let candidates: Vec<&Descriptor> = index.manifests.iter().filter(image).collect();
    let best = candidates
        .iter()
        .filter_map(|d| Some((wanted.preference(d.platform.as_ref()?)?, *d)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, descriptor)| descriptor)
        // One that says nothing may be for anything: its configuration will tell.
        .or_else(|| candidates.iter().copied().find(|descriptor| descriptor.platform.is_none()));
    best.ok_or_else(|| no_match(wanted, name))
}

fn no_match(wanted: &Platform, name: &str) -> Error {
    Error::told(
        Kind::NotFound,
        format!("no matching manifest for {wanted} in the manifest list entries: {name}"),
    )
}

fn check(manifest: &Manifest) -> Result<()> {
    if manifest.config.kind() != Media::Config {
        let found = &manifest.config.media_type;
        return Err(Error::told(
            Kind::Invalid,
            format!("unsupported media type {found}: invalid or unknown image config media type"),
        ));
    }
    if manifest.layers.len() > MAX_LAYERS {
        let count = manifest.layers.len();
        return Err(Error::invalid(format!(
            "max depth exceeded: {count} layers, not more than {MAX_LAYERS}"
        )));
    }
    for descriptor in manifest.layers.iter().chain([&manifest.config]) {
        if descriptor.digest.algorithm() != Algorithm::Sha256 {
            return Err(Error::invalid(format!("unsupported digest algorithm: {}", descriptor.digest)));
        }
    }
    for layer in &manifest.layers {
        if layer.size > MAX_LAYER {
            return Err(Error::invalid(format!(
                "layer {} of {} bytes is too long",
                layer.digest, layer.size
            )));
        }
        if layer.kind() == Media::Other {
            let kind = &layer.media_type;
            return Err(Error::told(Kind::Invalid, format!("unsupported layer media type {kind}")));
        }
    }
    Ok(())
}

fn check_image(manifest: &Manifest, image: &ImageConfig) -> Result<()> {
    if !image.os.is_empty() && !image.os.eq_ignore_ascii_case("linux") {
        let message = format!(
            "image operating system {:?} cannot be used on this platform: operating system is not supported",
            image.os
        );
        return Err(Error::told(Kind::Invalid, message));
    }
    let (expected, found) = (image.rootfs.diff_ids.len(), manifest.layers.len());
    if expected != found {
        return Err(Error::invalid(format!(
            "invalid manifest, layers length mismatch: expected {expected}, got {found}"
        )));
    }
    Ok(())
}

fn mismatch(image: &ImageConfig, wanted: &Platform, name: &str) -> Option<String> {
    let has = Platform::new(&image.os, &image.architecture, image.variant.as_deref());
    let message = || {
        format!(
            "image with reference {name} was found but does not match the specified platform: wanted {wanted}, \
             actual: {has}"
        )
    };
    (!wanted.matches(&has)).then(message)
}

pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::invalid(format!("invalid {what} from registry: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(text: &str) -> Index {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn platforms_are_chosen() {
        let entry = |letter: &str, platform: &str, more: &str| {
            let digest = Digest::of(letter);
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1{platform}{more}}}"#
            )
        };
        let on = |os: &str, arch: &str, variant: &str| {
            format!(r#","platform":{{"os":"{os}","architecture":"{arch}","variant":"{variant}"}}"#)
        };
        let index = index(&format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{},{},{}]}}"#,
            entry(
                "attest",
                &on("unknown", "unknown", ""),
                r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#
            ),
            entry("arm6", &on("linux", "arm", "v6"), ""),
            entry("arm7", &on("linux", "arm", "v7"), ""),
            entry("amd", &on("linux", "amd64", ""), ""),
            entry("win", &on("windows", "amd64", ""), ""),
        ));
        for (platform, expect) in [
            ("linux/amd64", Some("amd")),
            ("linux/arm/v7", Some("arm7")),
            ("linux/arm/v8", Some("arm7")),
            ("linux/arm/v6", Some("arm6")),
            ("linux/arm/v5", None),
            ("linux/s390x", None),
        ] {
            let wanted: Platform = platform.parse().unwrap();
            let found = choose(&index, Some(&wanted), "x").ok().map(|found| found.digest.clone());
            assert_eq!(found, expect.map(Digest::of), "{platform}");
        }
        let wanted = "linux/s390x".parse().unwrap();
        assert_eq!(
            choose(&index, Some(&wanted), "a:b").unwrap_err().to_string(),
            "no matching manifest for linux/s390x in the manifest list entries: a:b"
        );
    }

    #[test]
    fn another_platform_than_asked_for_is_told() {
        let image = |text: &str| serde_json::from_str::<ImageConfig>(text).unwrap();
        let arm = image(r#"{"os":"linux","architecture":"arm64","rootfs":{"type":"layers","diff_ids":[]}}"#);
        let told = |wanted: &str| mismatch(&arm, &wanted.parse().unwrap(), "a:b");
        assert_eq!(told("linux/arm64"), None);
        assert_eq!(
            told("linux/s390x").unwrap(),
            "image with reference a:b was found but does not match the specified platform: wanted linux/s390x, \
             actual: linux/arm64"
        );
    }
}
