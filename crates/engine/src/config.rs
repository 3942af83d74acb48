//! What the daemon tells the engine once, at open: folders, our executable and the defaults of containers.
//!
//! Read-only afterwards. Never a place for state.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use boxship_api as api;

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Durable tree, `/var/lib/boxship`.
    pub data_root: PathBuf,
    /// Volatile tree, `/run/boxship`.
    pub exec_root: PathBuf,
    /// The executable that shims are started from; `None`: a sealed copy of the running one.
    pub exe: Option<PathBuf>,
    /// The name the host answers with in `info`; `None`: the kernel's.
    pub name: Option<String>,
    /// The daemon's own labels (`--label`).
    pub labels: Vec<String>,
    /// Whether debug logging is on (`info` tells).
    pub debug: bool,
    /// Default log driver: `json-file`, `local` or `none`.
    pub log_driver: String,
    /// Default log options.
    pub log_opts: HashMap<String, String>,
    /// Default resource limits of processes, by name.
    pub default_ulimits: BTreeMap<String, api::container::Ulimit>,
    /// Default size of /dev/shm in bytes.
    pub default_shm_size: i64,
    /// Default IPC mode: `private` or `shareable`.
    pub default_ipc_mode: String,
    /// Default cgroup namespace mode: `private`, `host`, or empty: private on cgroup v2, host on v1.
    pub default_cgroupns_mode: String,
    /// Parent cgroup of containers; empty: the default.
    pub cgroup_parent: String,
    /// Whether `--init` is the default.
    pub init: bool,
    /// Default seccomp profile: a path, `unconfined`, or empty: the built-in one.
    pub seccomp_profile: String,
    /// Whether containers never gain privileges by default.
    pub no_new_privileges: bool,
    /// The settings of networks.
    pub network: crate::network::NetworkConfig,
    /// Default DNS servers, search domains and options.
    pub dns: Vec<String>,
    /// Default DNS search domains.
    pub dns_search: Vec<String>,
    /// Default DNS options.
    pub dns_opts: Vec<String>,
    /// Seconds a container has to stop when the engine stops them.
    pub shutdown_timeout: i64,
    /// Whether containers survive the daemon's graceful shutdown (the default, unlike Docker).
    pub live_restore: bool,
    /// Extra runtimes by name (`daemon.json`'s `runtimes`): known, refused at use.
    pub runtimes: Vec<String>,
    /// Registries that may be spoken to without TLS.
    pub insecure_registries: Vec<String>,
    /// Registry mirrors.
    pub registry_mirrors: Vec<String>,
    /// Proxies of pulls: HTTP, HTTPS, exceptions.
    pub http_proxy: String,
    /// See `http_proxy`.
    pub https_proxy: String,
    /// See `http_proxy`.
    pub no_proxy: String,
    /// Blobs that are fetched at a time.
    pub max_concurrent_downloads: usize,
    /// Blobs that are sent at a time.
    pub max_concurrent_uploads: usize,
    /// Tries in a row without progress before a fetch is given up.
    pub max_download_attempts: u32,
    /// Bytes that the archives of pulled layers may take; beyond it the oldest go, to be fetched again when needed.
    pub layer_cache_size: u64,
    /// Folders with a sub-folder of certificates and `hosts.toml` for each registry.
    pub registry_folders: Vec<PathBuf>,
    /// Our version, as `version` and `info` tell it.
    pub version: String,
    /// The source's commit.
    pub git_commit: String,
    /// When it was built (RFC 3339).
    pub build_time: String,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            data_root: "/var/lib/boxship".into(),
            exec_root: "/run/boxship".into(),
            exe: None,
            name: None,
            labels: Vec::new(),
            debug: false,
            log_driver: "json-file".into(),
            log_opts: HashMap::new(),
            default_ulimits: BTreeMap::new(),
            default_shm_size: 64 << 20,
            default_ipc_mode: "private".into(),
            default_cgroupns_mode: String::new(),
            cgroup_parent: String::new(),
            init: false,
            seccomp_profile: String::new(),
            no_new_privileges: false,
            network: Default::default(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_opts: Vec::new(),
            shutdown_timeout: 15,
            live_restore: true,
            runtimes: Vec::new(),
            insecure_registries: Vec::new(),
            registry_mirrors: Vec::new(),
            http_proxy: String::new(),
            https_proxy: String::new(),
            no_proxy: String::new(),
            max_concurrent_downloads: 3,
            max_concurrent_uploads: 5,
            max_download_attempts: 5,
            layer_cache_size: 20 << 30,
            registry_folders: boxship_distribution::FOLDERS.iter().map(PathBuf::from).collect(),
            version: env!("CARGO_PKG_VERSION").into(),
            git_commit: String::new(),
            build_time: String::new(),
        }
    }
}
