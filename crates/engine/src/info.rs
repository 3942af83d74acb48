//! `info` and `version`: what host and engine are, told truthfully.

use std::collections::BTreeMap;
use std::path::Path;

use boxship_api as api;
use boxship_api::system::{
    Commit, FirewallInfo, Info, PluginsInfo, RegistryServiceConfig, Runtime, VersionResponse,
};
use boxship_api::timestamp::Timestamp;

use crate::container::state::Status;
use crate::{Engine, Error, Kind, Result, error::blocking};

/// Docker's name for what `store` does: layers under overlay.
pub(crate) const STORAGE_DRIVER: &str = "overlay2";
/// The names under which our one runtime can be asked for.
const RUNTIMES: [&str; 2] = ["boxship", "runc"];

impl Engine {
    /// `GET /info`.
    pub async fn system_info(&self) -> Result<Info> {
        let engine = self.clone();
        blocking(move || engine.info()).await
    }

    fn info(&self) -> Result<Info> {
        let info = self.of_settings(self.of_host(self.of_containers()));
        Ok(Info {
            id: self.inner.id.clone(),
            images: self.store().images().list()?.len() as i64,
            driver: STORAGE_DRIVER.into(),
            driver_status: Some(vec![
                ["Backing Filesystem".into(), filesystem(&self.config().data_root)],
                ["Supports d_type".into(), "true".into()],
                ["Using metacopy".into(), "false".into()],
                ["Native Overlay Diff".into(), "true".into()],
                ["userxattr".into(), "false".into()],
            ]),
            plugins: plugins(),
            n_fd: entries("/proc/self/fd"),
            n_goroutines: entries("/proc/self/task"),
            n_events_listener: self.inner.events.listeners() as i64,
            index_server_address: "https://index.docker.io/v1/".into(),
            registry_config: Some(self.registries()),
            runtimes: self.runtimes(),
            default_runtime: crate::spec::DEFAULT_RUNTIME.into(),
            swarm: api::swarm::Info { local_node_state: "inactive".into(), ..Default::default() },
            init_binary: "docker-init".into(),
            runc_commit: self.commit(),
            init_commit: self.commit(),
            security_options: self.security_options(),
            firewall_backend: self.firewall_told(),
            warnings: warnings(&self.inner.host.limits, self.inner.networks.obstacles()),
            ..info
        })
    }

    /// How many containers there are.
    fn of_containers(&self) -> Info {
        let states: Vec<_> = self.inner.registry.all().iter().map(|c| c.state()).collect();
        let count = |wanted: &dyn Fn(&crate::container::state::State) -> bool| {
            states.iter().filter(|state| wanted(state)).count() as i64
        };
        let paused = count(&|state| state.status == Status::Paused);
        let running = count(&|state| matches!(state.status, Status::Running | Status::Restarting));
        Info {
            containers: states.len() as i64,
            containers_running: running,
            containers_paused: paused,
            containers_stopped: states.len() as i64 - running - paused,
            ..Info::default()
        }
    }

    /// `info` with what the host is and can.
    fn of_host(&self, info: Info) -> Info {
        let host = &self.inner.host;
        let controllers = host.limits;
        Info {
            memory_limit: controllers.memory,
            swap_limit: controllers.swap,
            cpu_cfs_period: controllers.cpu_cfs,
            cpu_cfs_quota: controllers.cpu_cfs,
            cpu_shares: controllers.cpu_shares,
            cpu_set: controllers.cpuset,
            pids_limit: controllers.pids,
            oom_kill_disable: !host.cgroup_v2 && controllers.memory,
            ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward").trim() == "1",
            system_time: Timestamp::from_system(std::time::SystemTime::now()).rfc3339_nano(),
            cgroup_driver: "cgroupfs".into(),
            cgroup_version: if host.cgroup_v2 { "2" } else { "1" }.into(),
            kernel_version: kernel_version(),
            operating_system: release("PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
            os_version: release("VERSION_ID").unwrap_or_default(),
            os_type: "linux".into(),
            architecture: std::env::consts::ARCH.into(),
            ncpu: host.cpus.into(),
            mem_total: host.memory as i64,
            ..info
        }
    }

    /// `info` with how the engine was set up.
    fn of_settings(&self, info: Info) -> Info {
        let config = self.config();
        Info {
            debug: config.debug,
            logging_driver: config.log_driver.clone(),
            docker_root_dir: config.data_root.display().to_string(),
            http_proxy: without_password(&config.http_proxy),
            https_proxy: without_password(&config.https_proxy),
            no_proxy: config.no_proxy.clone(),
            name: config.name.clone().unwrap_or_else(host_name),
            labels: config.labels.clone(),
            server_version: config.version.clone(),
            live_restore_enabled: config.live_restore,
            ..info
        }
    }

    /// Whose firewall it is, and how published ports meet the host's own rules.
    fn firewall_told(&self) -> Option<FirewallInfo> {
        let table = self.inner.networks.firewall().ok()??;
        let honest = table.mode() == boxship_net::firewall::Mode::Honest;
        let info = if honest { vec![["Mode".to_owned(), "honest".to_owned()]] } else { Vec::new() };
        Some(FirewallInfo { driver: "nftables".into(), info })
    }

    fn commit(&self) -> Commit {
        Commit { id: self.config().git_commit.clone(), ..Commit::default() }
    }

    fn runtimes(&self) -> BTreeMap<String, Runtime> {
        let own = Runtime { path: "boxship".into(), args: vec!["runtime".into()], ..Runtime::default() };
        RUNTIMES.iter().map(|name| ((*name).to_owned(), own.clone())).collect()
    }

    fn registries(&self) -> RegistryServiceConfig {
        let config = self.config();
        let index = |name: &str, secure: bool, official: bool| api::system::IndexInfo {
            name: name.into(),
            mirrors: Some(if official { config.registry_mirrors.clone() } else { vec![] }),
            secure,
            official,
        };
        let insecure = config.insecure_registries.iter().filter(|name| !name.contains('/'));
        let mut indexes: BTreeMap<_, _> =
            insecure.map(|name| (name.clone(), index(name, false, false))).collect();
        indexes.insert("docker.io".into(), index("docker.io", true, true));
        let networks = config.insecure_registries.iter().filter(|name| name.contains('/')).cloned();
        RegistryServiceConfig {
            insecure_registry_cidrs: Some(
                ["::1/128".to_owned(), "127.0.0.0/8".to_owned()].into_iter().chain(networks).collect(),
            ),
            index_configs: Some(indexes),
            mirrors: Some(config.registry_mirrors.clone()),
        }
    }

    fn security_options(&self) -> Vec<String> {
        let mut options = Vec::new();
        if self.inner.host.seccomp {
            let profile = match self.config().seccomp_profile.as_str() {
                "" => "builtin",
                other => other,
            };
            options.push(format!("name=seccomp,profile={profile}"));
        }
        if self.inner.host.cgroup_v2 {
            options.push("name=cgroupns".into());
        }
        if self.config().no_new_privileges {
            options.push("name=no-new-privileges".into());
        }
        options
    }

    /// `GET /version`; `daemon` fills in the API versions.
    pub async fn system_version(&self) -> Result<VersionResponse> {
        let config = self.config();
        let details = [
            ("Arch", architecture().to_owned()),
            ("BuildTime", config.build_time.clone()),
            ("GitCommit", config.git_commit.clone()),
            ("KernelVersion", kernel_version()),
            ("Os", "linux".to_owned()),
        ];
        let component = api::system::ComponentVersion {
            name: "Engine".into(),
            version: config.version.clone(),
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
        };
        Ok(VersionResponse {
            platform: api::system::PlatformName { name: "Boxship".into() },
            components: vec![component],
            version: config.version.clone(),
            git_commit: config.git_commit.clone(),
            os: "linux".into(),
            arch: architecture().into(),
            kernel_version: kernel_version(),
            build_time: config.build_time.clone(),
            ..VersionResponse::default()
        })
    }
}

/// The engine's identifier, made once for a data root and kept in the file at `path`.
pub(crate) fn engine_id(path: &Path) -> Result<String> {
    let failed =
        |error: std::io::Error| Error::caused(Kind::Internal, format!("engine id {}", path.display()), error);
    match std::fs::read_to_string(path) {
        Ok(id) if !id.trim().is_empty() => Ok(id.trim().to_owned()),
        Ok(_) => new_engine_id(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => new_engine_id(path),
        Err(error) => Err(failed(error)),
    }
}

/// A random UUID (version 4), written for the next time.
fn new_engine_id(path: &Path) -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(format!("draw an id: {error}")))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = boxship_oci::digest::encode_hex(&bytes);
    let id = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    std::fs::write(path, &id)
        .map_err(|error| Error::caused(Kind::Internal, format!("write {}", path.display()), error))?;
    Ok(id)
}

/// The host's name.
pub(crate) fn host_name() -> String {
    read("/proc/sys/kernel/hostname").trim().to_owned()
}

fn kernel_version() -> String {
    read("/proc/sys/kernel/osrelease").trim().to_owned()
}

/// Go's word for the processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn entries(folder: &str) -> i64 {
    std::fs::read_dir(folder).map_or(0, |entries| entries.count() as i64)
}

fn release(key: &str) -> Option<String> {
    release_of(&read("/etc/os-release"), key)
}

/// A value of os-release(5).
fn release_of(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

/// The file system that holds a folder, by the longest mount point above it.
fn filesystem(folder: &Path) -> String {
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    filesystem_of(&read("/proc/self/mounts"), &folder)
}

fn filesystem_of(mounts: &str, folder: &Path) -> String {
    let entry = |line: &str| {
        let mut fields = line.split(' ');
        let (point, kind) = (fields.nth(1)?.to_owned(), fields.next()?.to_owned());
        folder.starts_with(&point).then_some((point.len(), kind))
    };
    let found = mounts.lines().filter_map(entry).max_by_key(|(length, _)| *length);
    found.map_or_else(
        || "<unknown>".to_owned(),
        |(_, kind)| match kind.as_str() {
            "ext2" | "ext3" | "ext4" => "extfs".to_owned(),
            _ => kind,
        },
    )
}

/// A proxy's address may hold a password, which nobody shall be told.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => url.to_owned(),
    }
}

fn plugins() -> PluginsInfo {
    let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    PluginsInfo {
        volume: list(&["local"]),
        network: list(&["bridge", "host", "ipvlan", "macvlan", "null"]),
        authorization: None,
        log: list(&["json-file", "local", "none"]),
    }
}

fn warnings(limits: &crate::spec::Limits, obstacles: Vec<String>) -> Option<Vec<String>> {
    let missing = [
        (limits.memory, "WARNING: No memory limit support"),
        (limits.swap, "WARNING: No swap limit support"),
        (limits.cpu_cfs, "WARNING: No cpu cfs quota support"),
        (limits.cpu_shares, "WARNING: No cpu shares support"),
        (limits.cpuset, "WARNING: No cpuset support"),
        (limits.pids, "WARNING: No pids limit support"),
    ];
    let missing = missing.iter().filter(|(there, _)| !there).map(|(_, words)| (*words).to_owned());
    let obstacles = obstacles.into_iter().map(|obstacle| format!("WARNING: {obstacle}"));
    Some(missing.chain(obstacles).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_from_files() {
        let os = "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 13\"\nVERSION_ID=\"13\"\n";
        assert_eq!(release_of(os, "PRETTY_NAME").unwrap(), "Debian GNU/Linux 13");
        assert_eq!(release_of(os, "ID"), None);
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /var tmpfs rw 0 0\n";
        assert_eq!(filesystem_of(mounts, Path::new("/var/lib/x")), "tmpfs");
        assert_eq!(filesystem_of(mounts, Path::new("/home")), "extfs");
    }

    #[test]
    fn passwords_stay_here() {
        assert_eq!(without_password("http://me:secret@proxy:3128"), "http://xxxxx:xxxxx@proxy:3128");
        assert_eq!(without_password("http://proxy:3128"), "http://proxy:3128");
        assert_eq!(without_password(""), "");
    }

    #[test]
    fn the_engines_id_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let id = engine_id(&folder.path().join("engine-id")).unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(engine_id(&folder.path().join("engine-id")).unwrap(), id);
    }
}
