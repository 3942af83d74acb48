//! `system df`: how much disk images and containers take.

use boxship_api as api;
use boxship_api::system::OtherUsage;
use boxship_store::Others;

use crate::container::ListOptions;
use crate::image::ImageListOptions;
use crate::{Engine, Result, error::blocking};

/// Which objects to count (`GET /system/df?type=`); none chosen: all.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskUsageOptions {
    /// Containers.
    pub containers: bool,
    /// Images.
    pub images: bool,
    /// Volumes.
    pub volumes: bool,
    /// Build cache.
    pub build_cache: bool,
}

impl Engine {
    /// `GET /system/df`.
    pub async fn disk_usage(&self, options: DiskUsageOptions) -> Result<api::system::DiskUsage> {
        let DiskUsageOptions { containers, images, volumes, build_cache } = options;
        let all = !(containers || images || volumes || build_cache);
        let mut usage = api::system::DiskUsage::default();
        if all || containers {
            let list = ListOptions { all: true, size: true, ..ListOptions::default() };
            usage.containers = Some(self.container_list(list).await?);
        }
        if all || images {
            let list = ImageListOptions { shared_size: true, ..ImageListOptions::default() };
            let mut images = self.image_list(list).await?;
            let store = self.store().clone();
            let used = blocking(move || Ok(store.usage()?)).await?;
            // What removing an image gives back: its unpacked layers, their archives and its documents.
            for image in &mut images {
                if let Some(disk) = used.images.iter().find(|disk| disk.id.to_string() == image.id) {
                    image.size = (disk.size + disk.blobs) as i64;
                    image.shared_size = (disk.shared + disk.shared_blobs) as i64;
                }
            }
            usage.images = Some(images);
            // Blobs on their way, or given up, are images' too: pruning images returns them.
            usage.layers_size = (used.layers + used.blobs + used.partial) as i64;
        }
        // Nothing here makes volumes or build cache: there are none.
        usage.volumes = (all || volumes).then(Vec::new);
        usage.build_cache = (all || build_cache).then(Vec::new);
        // Who names all kinds wants everything.
        if all || (containers && images && volumes && build_cache) {
            let store = self.store().clone();
            usage.others = others(blocking(move || Ok(store.others()?)).await?);
        }
        Ok(usage)
    }
}

/// What belongs to no image and was written by no container.
fn others(found: Others) -> Vec<OtherUsage> {
    let all = [
        ("Database", found.database),
        ("Containers' logs and files", found.containers),
        ("Being deleted", found.trash),
        ("Being made", found.working),
    ];
    let line = |(description, size): (&str, u64)| OtherUsage {
        description: description.to_owned(),
        size: size as i64,
    };
    all.into_iter().map(line).collect()
}
