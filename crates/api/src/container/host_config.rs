//! `HostConfig`: the part of a container's configuration that depends on the host; and `UpdateConfig`, what of it
//! may change later.

use super::mode::{CgroupSpec, CgroupnsMode, IpcMode, Isolation, NetworkMode, PidMode, UsernsMode, UtsMode};
use super::resources::Resources;
use crate::json::wire;
use crate::mount::Mount;
use crate::port::PortMap;
use crate::str_slice::StrSlice;
use std::collections::BTreeMap;

wire! {
    /// How a container runs on this host.
    pub struct HostConfig {
        /// `source:destination[:options]`.
        pub binds: Option<Vec<String>>,
        /// Where the client writes the identifier.
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        /// Where output goes.
        pub log_config: LogConfig,
        /// Which network.
        pub network_mode: NetworkMode,
        /// Published ports.
        pub port_bindings: Option<PortMap>,
        /// What happens after the exit.
        pub restart_policy: RestartPolicy,
        /// Whether the container is removed after its exit.
        pub auto_remove: bool,
        /// The driver of volumes.
        pub volume_driver: String,
        /// Containers whose mounts are taken over.
        pub volumes_from: Option<Vec<String>>,
        /// The terminal's first size: height, width.
        pub console_size: [u32; 2],
        /// Annotations for the runtime.
        opt annotations: BTreeMap<String, String>,
        /// Capabilities to add.
        pub cap_add: Option<StrSlice>,
        /// Capabilities to drop.
        pub cap_drop: Option<StrSlice>,
        /// Which cgroup namespace.
        pub cgroupns_mode: CgroupnsMode,
        /// DNS servers.
        pub dns: Option<Vec<String>>,
        /// DNS options.
        pub dns_options: Option<Vec<String>>,
        /// DNS search domains.
        pub dns_search: Option<Vec<String>>,
        /// Lines of /etc/hosts, `name:address`.
        pub extra_hosts: Option<Vec<String>>,
        /// Supplementary groups.
        pub group_add: Option<Vec<String>>,
        /// Which IPC namespace.
        pub ipc_mode: IpcMode,
        /// Which cgroup.
        pub cgroup: CgroupSpec,
        /// Legacy links.
        pub links: Option<Vec<String>>,
        /// The OOM killer's preference, -1000 to 1000.
        pub oom_score_adj: i64,
        /// Which PID namespace.
        pub pid_mode: PidMode,
        /// All rights.
        pub privileged: bool,
        /// Publish every exposed port.
        pub publish_all_ports: bool,
        /// The root file system is read-only.
        pub readonly_rootfs: bool,
        /// Security options.
        pub security_opt: Option<Vec<String>>,
        /// Options of the storage driver.
        opt storage_opt: BTreeMap<String, String>,
        /// tmpfs mounts, options by path.
        opt tmpfs: BTreeMap<String, String>,
        /// Which UTS namespace.
        #[serde(rename = "UTSMode")]
        pub uts_mode: UtsMode,
        /// Which user namespace.
        pub userns_mode: UsernsMode,
        /// The size of /dev/shm in bytes.
        pub shm_size: i64,
        /// Namespaced kernel parameters.
        opt sysctls: BTreeMap<String, String>,
        /// Which runtime.
        opt runtime: String,
        /// Windows isolation.
        pub isolation: Isolation,
        /// Limits.
        flat resources: Resources,
        /// Mounts.
        opt mounts: Vec<Mount>,
        /// Paths that are hidden; `null` for the default ones.
        pub masked_paths: Option<Vec<String>>,
        /// Paths that are read-only; `null` for the default ones.
        pub readonly_paths: Option<Vec<String>>,
        /// Whether an init reaps processes.
        opt init: Option<bool>,
    }

    /// Where output goes.
    pub struct LogConfig {
        /// The driver; empty for the daemon's default.
        #[serde(rename = "Type")]
        pub driver: String,
        /// Its options.
        pub config: Option<BTreeMap<String, String>>,
    }

    /// What happens after the exit.
    pub struct RestartPolicy {
        /// `no`, `always`, `on-failure`, `unless-stopped`, or empty.
        pub name: String,
        /// For `on-failure`: how often.
        pub maximum_retry_count: i64,
    }

    /// `POST /containers/{id}/update`.
    pub struct UpdateConfig {
        /// New limits; zero and `null` leave them.
        flat resources: Resources,
        /// The new policy; an empty name leaves it.
        pub restart_policy: RestartPolicy,
    }
}
