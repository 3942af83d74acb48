//! Images on the wire: list, inspect, history, removal, prune.

use crate::container::{DriverData, HealthConfig};
use crate::json::wire;
use crate::port::PortSet;
use std::collections::BTreeMap;

wire! {
    /// `GET /images/json`: one image.
    pub struct Summary {
        /// Containers that use it; -1 when not counted.
        pub containers: i64,
        /// When it was made (Unix seconds).
        pub created: i64,
        /// Its identifier, the digest of its configuration.
        pub id: String,
        /// Its labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// The image it was made from here.
        pub parent_id: String,
        /// Names with digests.
        pub repo_digests: Vec<String>,
        /// Names with tags.
        pub repo_tags: Vec<String>,
        /// Bytes shared with other images; -1 when not counted.
        pub shared_size: i64,
        /// Bytes in all.
        pub size: i64,
        /// The same, for clients before 1.44.
        opt virtual_size: i64,
        /// Its platforms that are here, when asked for (1.47).
        opt manifests: Vec<ManifestSummary>,
    }

    /// One platform of an image.
    pub struct ManifestSummary {
        /// The manifest's digest.
        #[serde(rename = "ID")]
        pub id: String,
        /// The manifest.
        pub descriptor: ManifestDescriptor,
        /// Whether its content is here.
        pub available: bool,
        /// What it takes of the disk.
        pub size: ManifestSize,
        /// `image`.
        pub kind: String,
        /// What an image has.
        pub image_data: ManifestImage,
    }

    /// A manifest in its content's terms.
    pub struct ManifestDescriptor {
        /// What it is.
        #[serde(rename = "mediaType")]
        pub media_type: String,
        /// Its digest.
        #[serde(rename = "digest")]
        pub digest: String,
        /// Its bytes.
        #[serde(rename = "size")]
        pub size: i64,
    }

    /// What a manifest takes of the disk.
    pub struct ManifestSize {
        /// Bytes of its blobs that are here.
        pub content: i64,
        /// These and what was unpacked of them.
        pub total: i64,
    }

    /// What the manifest of an image has beside others.
    pub struct ManifestImage {
        /// What it runs on.
        pub platform: boxship_oci::Platform,
        /// Containers made from it.
        pub containers: Vec<String>,
        /// What was unpacked.
        pub size: UnpackedSize,
    }

    /// What was unpacked of an image.
    pub struct UnpackedSize {
        /// Bytes.
        pub unpacked: i64,
    }

    /// `GET /images/{name}/json`.
    pub struct InspectResponse {
        /// Its identifier.
        pub id: String,
        /// Names with tags.
        pub repo_tags: Vec<String>,
        /// Names with digests.
        pub repo_digests: Vec<String>,
        /// The image it was made from here.
        pub parent: String,
        /// The commit's or import's message.
        pub comment: String,
        /// When it was made; left out when the image does not tell.
        opt created: String,
        /// Written by Docker before 25: the container it was made from.
        opt container: String,
        /// The version that made it.
        pub docker_version: String,
        /// Its author.
        pub author: String,
        /// What containers inherit.
        pub config: Option<ImageConfig>,
        /// The processor.
        pub architecture: String,
        /// Its variant.
        opt variant: String,
        /// The operating system.
        pub os: String,
        /// Its version.
        opt os_version: String,
        /// Bytes in all.
        pub size: i64,
        /// The same, for clients before 1.44.
        opt virtual_size: i64,
        /// What the storage driver knows.
        pub graph_driver: DriverData,
        /// Its layers.
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        /// What only this host knows.
        pub metadata: Metadata,
    }

    /// What containers inherit from an image (the fields of 1.50 and later).
    pub struct ImageConfig {
        /// `user[:group]`.
        opt user: String,
        /// Ports the application listens on.
        opt exposed_ports: PortSet,
        /// `NAME=value`.
        opt env: Vec<String>,
        /// The entry point.
        opt entrypoint: Vec<String>,
        /// The command, or the entry point's arguments.
        opt cmd: Vec<String>,
        /// Paths that are volumes.
        opt volumes: BTreeMap<String, crate::Empty>,
        /// Where the command starts.
        opt working_dir: String,
        /// Labels.
        opt labels: BTreeMap<String, String>,
        /// The signal that asks the command to stop.
        opt stop_signal: String,
        /// Windows: the command is already escaped.
        opt args_escaped: bool,
        /// How health is checked.
        opt healthcheck: Option<HealthConfig>,
        /// `ONBUILD` lines.
        opt on_build: Vec<String>,
        /// The shell of shell-form commands.
        opt shell: Vec<String>,
    }

    /// An image's layers.
    pub struct RootFs {
        /// `layers`.
        #[serde(rename = "Type")]
        opt kind: String,
        /// The digests of the uncompressed layers.
        opt layers: Vec<String>,
    }

    /// What only this host knows of an image.
    pub struct Metadata {
        /// When it was named last; the zero time when never here.
        pub last_tag_time: String,
    }

    /// `GET /images/{name}/history`: one step.
    pub struct HistoryResponseItem {
        /// A comment.
        pub comment: String,
        /// When (Unix seconds).
        pub created: i64,
        /// The command that made it.
        pub created_by: String,
        /// The image's identifier, or `<missing>`.
        pub id: String,
        /// Bytes added.
        pub size: i64,
        /// Names of this step.
        pub tags: Option<Vec<String>>,
    }

    /// `DELETE /images/{name}`: one thing that was done.
    pub struct DeleteResponseItem {
        /// The image that was removed.
        opt deleted: String,
        /// The name that was removed.
        opt untagged: String,
    }

    /// `GET /images/search`: one match.
    pub struct SearchResult {
        /// Stars given by users.
        #[serde(rename = "star_count")]
        pub star_count: i64,
        /// Whether Docker maintains it.
        #[serde(rename = "is_official")]
        pub is_official: bool,
        /// The repository.
        #[serde(rename = "name")]
        pub name: String,
        /// Whether it is built automatically.
        #[serde(rename = "is_automated")]
        pub is_automated: bool,
        /// What it is.
        #[serde(rename = "description")]
        pub description: String,
    }

    /// `GET /distribution/{name}/json`.
    pub struct DistributionInspect {
        /// The descriptor of what the name stands for.
        pub descriptor: Option<serde_json::Value>,
        /// The platforms there is an image for.
        pub platforms: Vec<serde_json::Value>,
    }

    /// `POST /images/prune`.
    pub struct PruneReport {
        /// What was done.
        pub images_deleted: Option<Vec<DeleteResponseItem>>,
        /// Bytes won.
        pub space_reclaimed: u64,
    }
}
