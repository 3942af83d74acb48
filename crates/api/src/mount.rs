//! Mounts: as asked for (`HostConfig.Mounts`) and as they are (`MountPoint` of inspect and list).

use crate::json::{Empty, wire};
use std::collections::BTreeMap;

wire! {
    /// A mount as `--mount` asks for it.
    pub struct Mount {
        /// `bind`, `tmpfs`, `volume`, `image`, `npipe` or `cluster`.
        #[serde(rename = "Type")]
        opt kind: String,
        /// What is mounted: a host path, a volume or image name.
        opt source: String,
        /// Where in the container.
        opt target: String,
        /// Whether it is mounted read-only.
        opt read_only: bool,
        /// `default`, `consistent`, `cached`, `delegated`; without effect on Linux.
        opt consistency: String,
        /// Options of `bind`.
        opt bind_options: Option<BindOptions>,
        /// Options of `volume`.
        opt volume_options: Option<VolumeOptions>,
        /// Options of `image`.
        opt image_options: Option<ImageOptions>,
        /// Options of `tmpfs`.
        opt tmpfs_options: Option<TmpfsOptions>,
        /// Options of `cluster`.
        opt cluster_options: Option<Empty>,
    }

    /// Options of a bind mount.
    pub struct BindOptions {
        /// `rprivate`, `private`, `rshared`, `shared`, `rslave` or `slave`.
        opt propagation: String,
        /// Mount without what is mounted below the source.
        opt non_recursive: bool,
        /// Create the source when it is missing.
        opt create_mountpoint: bool,
        /// Read-only for the mount itself, not for those below.
        opt read_only_non_recursive: bool,
        /// Fail when the mounts below cannot be made read-only.
        opt read_only_force_recursive: bool,
    }

    /// Options of a volume mount.
    pub struct VolumeOptions {
        /// Do not copy the image's content into a new volume.
        opt no_copy: bool,
        /// Labels for a new volume.
        opt labels: BTreeMap<String, String>,
        /// A path inside the volume.
        opt subpath: String,
        /// Which driver makes the volume.
        opt driver_config: Option<Driver>,
    }

    /// A volume driver and its options.
    pub struct Driver {
        /// The driver's name.
        opt name: String,
        /// Its options.
        opt options: BTreeMap<String, String>,
    }

    /// Options of an image mount.
    pub struct ImageOptions {
        /// A path inside the image.
        opt subpath: String,
    }

    /// Options of a tmpfs mount.
    pub struct TmpfsOptions {
        /// The size in bytes.
        opt size_bytes: i64,
        /// The mode of its root, as Go's `os.FileMode`.
        opt mode: u32,
        /// Further mount options: flags of one word, or key and value.
        opt options: Vec<Vec<String>>,
    }

    /// A mount of a container as it is.
    pub struct MountPoint {
        /// `bind`, `volume` or `tmpfs`.
        #[serde(rename = "Type")]
        opt kind: String,
        /// The volume's name.
        opt name: String,
        /// The path on the host.
        pub source: String,
        /// The path in the container.
        pub destination: String,
        /// The volume's driver.
        opt driver: String,
        /// The options as they were typed (`ro,Z`).
        pub mode: String,
        /// Whether it is writable.
        #[serde(rename = "RW")]
        pub rw: bool,
        /// The mount propagation.
        pub propagation: String,
    }
}
