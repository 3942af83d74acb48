//! What `system df` tells.

use boxship_oci::digest::Digest;

/// Disk usage of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    /// The image.
    pub id: Digest,
    /// Bytes of its unpacked layers.
    pub size: u64,
    /// Bytes in layers that other images use too.
    pub shared: u64,
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
    /// Each image.
    pub images: Vec<ImageUsage>,
}
