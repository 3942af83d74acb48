//! Of `GET /images/json?manifests=1`: the platform of each image that is here, and what it takes. One image is kept of an
//! index, so each has one.

use std::collections::HashMap;

use boxship_api::image::{
    ManifestDescriptor, ManifestImage, ManifestSize, ManifestSummary, Summary, UnpackedSize,
};
use boxship_oci::descriptor::OCI_MANIFEST;
use boxship_oci::{Manifest, Platform};
use boxship_store::Store;

use super::known::Known;
use crate::Result;

/// The longest manifest that is looked into.
const LONGEST: u64 = 4 << 20;

/// Adds its platform to each image; `containers` by their image.
pub(super) fn add(
    store: &Store,
    containers: &HashMap<String, Vec<String>>,
    images: &mut [Summary],
) -> Result<()> {
    let usage = store.usage()?.images;
    for image in images {
        // Removed meanwhile: nothing of it is here.
        let Ok(known) = Known::resolve(store, &image.id) else { continue };
        let Some(disk) = usage.iter().find(|disk| disk.id == known.image.id) else { continue };
        let digest = known.image.manifest.to_string();
        let bytes = store.content().read(&known.image.manifest, LONGEST).unwrap_or_default();
        let media_type = serde_json::from_slice::<Manifest>(&bytes).ok().and_then(|told| told.media_type);
        let descriptor = ManifestDescriptor {
            media_type: media_type.unwrap_or_else(|| OCI_MANIFEST.to_owned()),
            digest: digest.clone(),
            size: bytes.len() as i64,
        };
        let total = (disk.blobs + disk.size) as i64;
        // `docker images --tree` shows this above its platforms' totals: with them it counts the archives too.
        image.size = total;
        image.manifests.push(ManifestSummary {
            id: digest,
            descriptor,
            available: true,
            size: ManifestSize { content: disk.blobs as i64, total },
            kind: "image".to_owned(),
            image_data: ManifestImage {
                platform: platform(&known),
                containers: containers.get(&image.id).cloned().unwrap_or_default(),
                size: UnpackedSize { unpacked: disk.size as i64 },
            },
        });
    }
    Ok(())
}

/// What the image says that it runs on.
fn platform(known: &Known) -> Platform {
    let config = &known.config;
    Platform {
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        variant: config.variant.clone(),
        ..Platform::default()
    }
}
