//! `GET /containers/{id}/json`.

use super::{Config, HostConfig, State};
use crate::json::wire;
use crate::mount::MountPoint;
use crate::network::NetworkSettings;
use std::collections::BTreeMap;

wire! {
    /// All about one container.
    pub struct InspectResponse {
        /// Its identifier.
        pub id: String,
        /// When it was made.
        pub created: String,
        /// The program.
        pub path: String,
        /// Its arguments.
        pub args: Option<Vec<String>>,
        /// How it is.
        pub state: Option<State>,
        /// The image's identifier.
        pub image: String,
        /// The file mounted at /etc/resolv.conf.
        pub resolv_conf_path: String,
        /// The file mounted at /etc/hostname.
        pub hostname_path: String,
        /// The file mounted at /etc/hosts.
        pub hosts_path: String,
        /// The log file.
        pub log_path: String,
        /// Its name, with a slash before.
        pub name: String,
        /// How often the policy restarted it.
        pub restart_count: i64,
        /// The storage driver.
        pub driver: String,
        /// The operating system.
        pub platform: String,
        /// SELinux label of mounts.
        pub mount_label: String,
        /// SELinux label of the process.
        pub process_label: String,
        /// The AppArmor profile.
        pub app_armor_profile: String,
        /// Running execs.
        #[serde(rename = "ExecIDs")]
        pub exec_ids: Option<Vec<String>>,
        /// How it was asked to run here.
        pub host_config: Option<HostConfig>,
        /// What the storage driver knows.
        pub graph_driver: DriverData,
        /// Size of what it wrote (only when asked).
        opt size_rw: Option<i64>,
        /// Size of its whole root (only when asked).
        opt size_root_fs: Option<i64>,
        /// Its mounts.
        pub mounts: Vec<MountPoint>,
        /// What runs.
        pub config: Option<Config>,
        /// Its network.
        pub network_settings: Option<NetworkSettings>,
    }

    /// What a storage driver tells of a root file system.
    pub struct DriverData {
        /// Paths by role.
        pub data: Option<BTreeMap<String, String>>,
        /// The driver.
        pub name: String,
    }
}
