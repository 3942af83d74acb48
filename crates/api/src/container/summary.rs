//! `GET /containers/json`: one entry of the list.

use crate::json::wire;
use crate::mount::MountPoint;
use crate::network::EndpointSettings;
use crate::port::PortSummary;
use std::collections::BTreeMap;

wire! {
    /// A container in a list.
    pub struct Summary {
        /// Its identifier.
        pub id: String,
        /// Its names, with a slash before.
        pub names: Option<Vec<String>>,
        /// The image as it was named.
        pub image: String,
        /// The image's identifier.
        #[serde(rename = "ImageID")]
        pub image_id: String,
        /// The command line.
        pub command: String,
        /// When it was made (Unix seconds).
        pub created: i64,
        /// Its ports; `[]` when none.
        pub ports: Vec<PortSummary>,
        /// Size of what it wrote (only when asked).
        opt size_rw: i64,
        /// Size of its whole root (only when asked).
        opt size_root_fs: i64,
        /// Its labels; `{}` when none.
        pub labels: BTreeMap<String, String>,
        /// Its state.
        pub state: String,
        /// Its state for a person (`Up 3 minutes (healthy)`).
        pub status: String,
        /// The part of its host configuration shown in lists.
        pub host_config: SummaryHostConfig,
        /// Its networks.
        pub network_settings: Option<SummaryNetworkSettings>,
        /// Its mounts.
        pub mounts: Vec<MountPoint>,
    }

    /// The part of the host configuration shown in lists.
    pub struct SummaryHostConfig {
        /// Which network.
        opt network_mode: String,
        /// Annotations.
        opt annotations: BTreeMap<String, String>,
    }

    /// The part of the network settings shown in lists.
    pub struct SummaryNetworkSettings {
        /// Endpoints by network.
        pub networks: Option<BTreeMap<String, EndpointSettings>>,
    }
}
