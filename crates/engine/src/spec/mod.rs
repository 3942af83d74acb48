//! From a container's request to what the runtime executes: validation, defaults, and the OCI specification.
//!
//! [`validate`] judges a request and fills in defaults, [`merge_image`] adds what the image says, [`mount_points`]
//! what is mounted. At start [`prepare_sources`] makes missing bind sources and [`generate`] gives the specification:
//! one pure function over [`Inputs`] and the [`Facts`] that [`gather`] found on the host.
//!
//! What the host is like ([`Host`]) and what others own ([`Joined`]) is handed in. Only [`Host::discover`],
//! [`gather`], [`prepare_sources`] and the existence check of [`mount_points`] look at the host.

mod bind;
mod capabilities;
mod devices;
pub(crate) mod env;
mod facts;
mod generate;
mod host;
mod merge;
mod mount_points;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod seccomp;
mod security;
mod sysctl;
mod tmpfs;
mod validate;

use std::path::PathBuf;

use boxship_api as api;
use boxship_oci as oci;

use crate::{EngineConfig, Result};

pub use facts::{Facts, gather, prepare_sources};
pub use generate::{generate, specification};
pub use host::{Cpuset, Host, Limits};
pub use merge::{command_line, inherit, merge_image};
pub use mount_points::mount_points;
pub use process::exec_process;
pub use validate::{DEFAULT_RUNTIME, validate, validate_update};

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
    /// What runs: the request's configuration merged with the image's, the host name filled in.
    pub config: &'a api::container::Config,
    /// How it runs here, defaults filled in.
    pub host_config: &'a api::container::HostConfig,
    /// The engine's settings.
    pub engine: &'a EngineConfig,
    /// What the host offers.
    pub host: &'a Host,
    /// What is joined.
    pub joined: Joined,
    /// The container's own network namespace when it is made before; else the runtime makes it.
    pub namespace: Option<PathBuf>,
    /// Variables that legacy links give it.
    pub link_variables: Vec<String>,
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

/// The cgroup settings of an update, only what it changes.
pub fn update_resources(update: &api::container::UpdateConfig) -> Result<oci::runtime::Resources> {
    let facts = facts::of_limits(&update.resources)?;
    Ok(resources::of_limits(&update.resources, &facts))
}

#[cfg(test)]
mod tests;
