//! `system df`: how much disk images and containers take.

use boxship_api as api;

use crate::{Engine, Result};

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
    pub async fn disk_usage(&self, _options: DiskUsageOptions) -> Result<api::system::DiskUsage> {
        todo!()
    }
}
