//! `GET /system/df`: what takes space.

use crate::container::Summary as ContainerSummary;
use crate::image::Summary as ImageSummary;
use crate::json::wire;
use crate::volume::Volume;

wire! {
    /// What takes space; `null` for kinds not asked for.
    pub struct DiskUsage {
        /// Bytes of all image layers, each counted once.
        pub layers_size: i64,
        /// The images.
        pub images: Option<Vec<ImageSummary>>,
        /// The containers.
        pub containers: Option<Vec<ContainerSummary>>,
        /// The volumes.
        pub volumes: Option<Vec<Volume>>,
        /// The build cache.
        pub build_cache: Option<Vec<BuildCache>>,
        /// Ours alone: what else takes space below the data root, when everything is asked for.
        #[serde(rename = "BoxshipOthers")]
        opt others: Vec<OtherUsage>,
    }

    /// What takes space and is of none of Docker's kinds.
    pub struct OtherUsage {
        /// For a person.
        pub description: String,
        /// Bytes.
        pub size: i64,
    }

    /// One record of the build cache.
    pub struct BuildCache {
        /// Its identifier.
        #[serde(rename = "ID")]
        pub id: String,
        /// What it was made from.
        opt parents: Vec<String>,
        /// What it is.
        #[serde(rename = "Type")]
        pub kind: String,
        /// For a person.
        pub description: String,
        /// Whether it is in use.
        pub in_use: bool,
        /// Whether it is shared.
        pub shared: bool,
        /// Bytes.
        pub size: i64,
        /// When it was made.
        pub created_at: String,
        /// When it was used last.
        pub last_used_at: Option<String>,
        /// How often.
        pub usage_count: i64,
    }
}
