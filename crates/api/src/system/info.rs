//! `GET /info`.

use crate::json::wire;
use std::collections::BTreeMap;

wire! {
    /// How the host and the daemon are.
    pub struct Info {
        /// The daemon's identifier.
        #[serde(rename = "ID")]
        pub id: String,
        /// Containers.
        pub containers: i64,
        /// Running containers.
        pub containers_running: i64,
        /// Paused containers.
        pub containers_paused: i64,
        /// Stopped containers.
        pub containers_stopped: i64,
        /// Images.
        pub images: i64,
        /// The storage driver.
        pub driver: String,
        /// What it tells: name and value.
        pub driver_status: Option<Vec<[String; 2]>>,
        /// Plugins by kind.
        pub plugins: PluginsInfo,
        /// Whether memory can be limited.
        pub memory_limit: bool,
        /// Whether swap can be limited.
        pub swap_limit: bool,
        /// Whether kernel memory can be limited.
        opt kernel_memory: bool,
        /// Whether TCP buffers can be limited.
        #[serde(rename = "KernelMemoryTCP")]
        opt kernel_memory_tcp: bool,
        /// Whether the scheduler's period can be set.
        pub cpu_cfs_period: bool,
        /// Whether the scheduler's quota can be set.
        pub cpu_cfs_quota: bool,
        /// Whether processor weights can be set.
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        /// Whether processors can be chosen.
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        /// Whether processes can be limited.
        pub pids_limit: bool,
        /// Whether the host forwards packets.
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Whether the daemon logs for debugging.
        pub debug: bool,
        /// The daemon's open descriptors.
        pub n_fd: i64,
        /// Whether the OOM killer can be turned off.
        pub oom_kill_disable: bool,
        /// The daemon's threads of work.
        pub n_goroutines: i64,
        /// The host's time.
        pub system_time: String,
        /// The default log driver.
        pub logging_driver: String,
        /// Who makes cgroups.
        pub cgroup_driver: String,
        /// `1` or `2`.
        opt cgroup_version: String,
        /// Clients that follow events.
        pub n_events_listener: i64,
        /// The kernel.
        pub kernel_version: String,
        /// The distribution.
        pub operating_system: String,
        /// Its version.
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        /// `linux`.
        #[serde(rename = "OSType")]
        pub os_type: String,
        /// The processor, as `uname -m` tells it.
        pub architecture: String,
        /// The default registry's address.
        pub index_server_address: String,
        /// Registries.
        pub registry_config: Option<RegistryServiceConfig>,
        /// Processors.
        #[serde(rename = "NCPU")]
        pub ncpu: i64,
        /// Memory in bytes.
        pub mem_total: i64,
        /// Resources announced to a swarm.
        pub generic_resources: Option<Vec<serde_json::Value>>,
        /// The data root.
        pub docker_root_dir: String,
        /// The proxy for HTTP, without password.
        pub http_proxy: String,
        /// The proxy for HTTPS, without password.
        pub https_proxy: String,
        /// Hosts without proxy.
        pub no_proxy: String,
        /// The host's name.
        pub name: String,
        /// The daemon's labels.
        pub labels: Vec<String>,
        /// Whether experimental features are on.
        pub experimental_build: bool,
        /// The engine's version.
        pub server_version: String,
        /// Runtimes by name.
        pub runtimes: BTreeMap<String, Runtime>,
        /// The default runtime.
        pub default_runtime: String,
        /// The swarm.
        pub swarm: crate::swarm::Info,
        /// Whether containers outlive the daemon.
        pub live_restore_enabled: bool,
        /// Windows isolation.
        pub isolation: String,
        /// The init's file.
        pub init_binary: String,
        /// containerd's commit.
        pub containerd_commit: Commit,
        /// The runtime's commit.
        pub runc_commit: Commit,
        /// The init's commit.
        pub init_commit: Commit,
        /// Security features (`name=seccomp,profile=builtin`).
        pub security_options: Vec<String>,
        /// The licence.
        opt product_license: String,
        /// Pools from which networks get addresses.
        opt default_address_pools: Vec<NetworkAddressPool>,
        /// The firewall.
        opt firewall_backend: Option<FirewallInfo>,
        /// Where CDI specifications are.
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Option<Vec<String>>,
        /// What the user should know.
        pub warnings: Option<Vec<String>>,
    }

    /// Plugins by kind.
    pub struct PluginsInfo {
        /// Volume drivers.
        pub volume: Option<Vec<String>>,
        /// Network drivers.
        pub network: Option<Vec<String>>,
        /// Authorisation plugins.
        pub authorization: Option<Vec<String>>,
        /// Log drivers.
        pub log: Option<Vec<String>>,
    }

    /// Registries.
    pub struct RegistryServiceConfig {
        /// Networks whose registries need no TLS.
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Option<Vec<String>>,
        /// Registries by name.
        pub index_configs: Option<BTreeMap<String, IndexInfo>>,
        /// Mirrors of the default registry.
        pub mirrors: Option<Vec<String>>,
    }

    /// One registry.
    pub struct IndexInfo {
        /// Its name.
        pub name: String,
        /// Its mirrors.
        pub mirrors: Option<Vec<String>>,
        /// Whether TLS is needed.
        pub secure: bool,
        /// Whether it is the default one.
        pub official: bool,
    }

    /// One runtime.
    pub struct Runtime {
        /// Its executable.
        #[serde(rename = "path")]
        opt path: String,
        /// Its arguments.
        #[serde(rename = "runtimeArgs")]
        opt args: Vec<String>,
        /// Its shim.
        #[serde(rename = "runtimeType")]
        opt kind: String,
        /// What it tells of itself.
        #[serde(rename = "status")]
        opt status: BTreeMap<String, String>,
    }

    /// A program's commit.
    pub struct Commit {
        /// The commit.
        #[serde(rename = "ID")]
        pub id: String,
        /// The one expected, for clients before 1.49.
        opt expected: String,
    }

    /// A pool of addresses.
    pub struct NetworkAddressPool {
        /// The whole.
        pub base: String,
        /// The length of the prefix of one network.
        pub size: i64,
    }

    /// The firewall.
    pub struct FirewallInfo {
        /// `iptables`, `nftables` …
        pub driver: String,
        /// More: name and value.
        opt info: Vec<[String; 2]>,
    }
}
