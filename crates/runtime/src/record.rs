//! `state.json`: what another process must know to go on with a container.

use std::path::PathBuf;

use boxship_oci::runtime::Hooks;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::cgroup;

/// What is known of a container since its creation. Nothing in it changes later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of the specification it was made by.
    pub oci_version: String,
    /// Its name.
    pub id: String,
    /// Its first process.
    pub pid: i32,
    /// When that process started, in clock ticks since boot: tells it from a later one of the same number.
    pub start_time: u64,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// The root folder on the host, absolute.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339.
    pub created: String,
    /// The user who created it.
    pub owner: u32,
    /// Annotations of the specification.
    #[serde(default)]
    pub annotations: IndexMap<String, String>,
    /// `CLONE_NEW*` bits of the namespaces that are not the host's.
    pub namespaces: u64,
    /// Its control groups.
    pub cgroup: cgroup::Record,
    /// Hooks still to be run by whoever starts or deletes it.
    #[serde(default)]
    pub hooks: Hooks,
}
