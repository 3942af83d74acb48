//! From a container's request to what the runtime executes: validation, defaults, and the OCI specification.
//!
//! All pure: what the host is like ([`Host`]) and what others own ([`Joined`]) is handed in. The engine's driver
//! gathers [`Inputs`] and writes the answer of [`generate`] into the bundle; nothing here touches disk or kernel,
//! except for looking at the host's devices and bind sources, which the specification must name.

use std::path::PathBuf;

use boxship_api as api;
use boxship_oci as oci;

use crate::{EngineConfig, Result};

/// What the host offers, found out once at open.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The unified cgroup hierarchy alone (v2).
    pub cgroup_v2: bool,
    /// Number of processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
}

/// Namespaces of others that the container enters, by the process that owns them (its pid on the host).
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// `--network container:x`.
    pub network: Option<u32>,
    /// `--ipc container:x` (with its /dev/shm).
    pub ipc: Option<u32>,
    /// `--pid container:x`.
    pub pid: Option<u32>,
}

/// All that the specification depends on.
pub struct Inputs<'a> {
    /// The container's identifier.
    pub id: &'a str,
    /// What runs: the request's configuration merged with the image's.
    pub config: &'a api::container::Config,
    /// How it runs here, defaults filled in.
    pub host_config: &'a api::container::HostConfig,
    /// The engine's settings.
    pub engine: &'a EngineConfig,
    /// What the host offers.
    pub host: &'a Host,
    /// What is joined.
    pub joined: Joined,
    /// The mounts asked for, as [`mount_points`] made them at create.
    pub mounts: &'a [api::mount::MountPoint],
    /// The file for /etc/hosts; `None`: leave the image's.
    pub hosts: Option<PathBuf>,
    /// The file for /etc/hostname.
    pub hostname: Option<PathBuf>,
    /// The file for /etc/resolv.conf.
    pub resolv_conf: Option<PathBuf>,
    /// Our executable, bound at /sbin/docker-init for `--init`.
    pub init: PathBuf,
}

/// Judges a create request and fills in defaults (shm size, log driver, masked paths, OOM settings, cgroup
/// namespace, stop signal stays as it is …) the way Docker shows them in inspect. Returns warnings.
/// Kinds: `Invalid`, with Docker's sentences.
pub fn validate(
    config: &mut api::container::Config,
    host_config: &mut api::container::HostConfig,
    networking: Option<&api::network::NetworkingConfig>,
    engine: &EngineConfig,
    host: &Host,
) -> Result<Vec<String>> {
    let _ = (config, host_config, networking, engine, host);
    todo!()
}

/// Judges the limits of an update (the same rules as create's). Returns warnings.
pub fn validate_update(update: &api::container::UpdateConfig, host: &Host) -> Result<Vec<String>> {
    let _ = (update, host);
    todo!()
}

/// Merges an image's configuration into the request's as Docker does (env, cmd, entrypoint, labels, exposed
/// ports, volumes, user, working dir, stop signal, healthcheck, shell); then `no command specified` when there is none.
pub fn merge_image(config: &mut api::container::Config, image: &oci::ImageConfig) -> Result<()> {
    let _ = (config, image);
    todo!()
}

/// The mounts asked for (binds, `--mount`, `--tmpfs`) as inspect shows them; missing bind sources of `-v` are
/// named for creation by the driver at start, those of `--mount` are an error here:
/// `invalid mount config for type "bind": bind source path does not exist: /x`.
pub fn mount_points(
    config: &api::container::Config,
    host_config: &api::container::HostConfig,
) -> Result<Vec<api::mount::MountPoint>> {
    let _ = (config, host_config);
    todo!()
}

/// The OCI specification of a container. `root.path` is `rootfs` (the runtime mounts the store's overlay there).
pub fn generate(inputs: &Inputs<'_>) -> Result<oci::runtime::Spec> {
    let _ = inputs;
    todo!()
}

/// The process of an exec in a container whose specification was `spec`.
pub fn exec_process(
    spec: &oci::runtime::Spec,
    config: &api::container::Config,
    host_config: &api::container::HostConfig,
    exec: &api::exec::ExecCreateRequest,
) -> Result<oci::runtime::Process> {
    let _ = (spec, config, host_config, exec);
    todo!()
}

/// The cgroup settings of an update, only what it changes.
pub fn update_resources(
    update: &api::container::UpdateConfig,
    host: &Host,
) -> Result<oci::runtime::Resources> {
    let _ = (update, host);
    todo!()
}
