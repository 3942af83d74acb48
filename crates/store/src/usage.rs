//! What `system df` tells.

use std::collections::HashMap;

use boxship_oci::digest::Digest;
use rusqlite::Connection;

use crate::open::Inner;
use crate::{Images, Result};

/// Disk usage of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    /// The image.
    pub id: Digest,
    /// Bytes of its unpacked layers.
    pub size: u64,
    /// Bytes in layers that other images use too.
    pub shared: u64,
    /// Bytes of its blobs that are here: documents, layers' archives.
    pub blobs: u64,
    /// Those of layers that other images use too.
    pub shared_blobs: u64,
    /// Containers made from it.
    pub containers: u64,
}

/// Disk usage of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all unpacked layers.
    pub layers: u64,
    /// Bytes of all blobs.
    pub blobs: u64,
    /// Bytes of blobs that are being fetched, or whose fetch was given up.
    pub partial: u64,
    /// Each image.
    pub images: Vec<ImageUsage>,
}

impl Usage {
    pub(crate) fn of(store: &Inner) -> Result<Usage> {
        let blobs: HashMap<Digest, u64> =
            store.content().list()?.into_iter().map(|blob| (blob.digest, blob.size)).collect();
        let images = Images { store }.list()?;
        let (sizes, containers) = store.db.read(|c| {
            let sizes = numbers(c, "SELECT chain_id, size FROM layers")?;
            Ok::<_, crate::Error>((
                sizes,
                numbers(c, "SELECT image, count(*) FROM snapshots GROUP BY image")?,
            ))
        })?;
        let mut users: HashMap<&Digest, u32> = HashMap::new();
        let mut blob_users: HashMap<&Digest, u32> = HashMap::new();
        for layer in images.iter().flat_map(|image| &image.layers) {
            *users.entry(&layer.chain_id).or_default() += 1;
            *blob_users.entry(&layer.blob).or_default() += 1;
        }
        let here = |blob: &Digest| blobs.get(blob).copied().unwrap_or(0);
        let size = |chain_id: &Digest| sizes.get(&chain_id.to_string()).copied().unwrap_or(0);
        let usage = images.iter().map(|image| {
            let shared = image.layers.iter().filter(|layer| users[&layer.chain_id] > 1);
            let archives = image.layers.iter().map(|layer| &layer.blob);
            let shared_archives = archives.clone().filter(|blob| blob_users[blob] > 1);
            ImageUsage {
                id: image.id.clone(),
                size: image.size,
                shared: shared.map(|layer| size(&layer.chain_id)).sum(),
                blobs: archives.chain([&image.id, &image.manifest]).map(here).sum(),
                shared_blobs: shared_archives.map(here).sum(),
                containers: containers.get(&image.id.to_string()).copied().unwrap_or(0),
            }
        });
        let partial = crate::partial::usage(store)?;
        let images = usage.collect();
        Ok(Usage { layers: sizes.values().sum(), blobs: blobs.values().sum(), partial, images })
    }
}

fn numbers(c: &Connection, query: &str) -> Result<HashMap<String, u64>> {
    let mut query = c.prepare_cached(query)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
