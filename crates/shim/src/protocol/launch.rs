//! The first exchange: what to supervise, and whether it could be created.

use std::path::PathBuf;

use boxship_oci::{ContainerId, OverlayMount, runtime::Spec};
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::log::Target;

/// What a new shim is to create and to supervise.
///
/// A terminal and its first size are taken from `spec.process`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchRequest {
    /// The container.
    pub id: ContainerId,
    /// The bundle, absolute: what relative paths of the specification start from, and what hooks are told. It holds
    /// the specification as `config.json` too, for further processes (and for whoever looks).
    pub bundle: PathBuf,
    /// The specification.
    pub spec: Spec,
    /// The root filesystem, mounted by the runtime; absent: `spec.root.path` is ready.
    pub rootfs: Option<OverlayMount>,
    /// Where the runtime keeps states, `<exec-root>/runtime`.
    pub runtime_root: PathBuf,
    /// The container's folder below the exec root, existing, for root only: `shim.sock`, `exit.json`.
    pub directory: PathBuf,
    /// Keep standard input open for attached clients; else it is empty.
    pub open_stdin: bool,
    /// Close standard input when the first client that attached it has gone.
    pub stdin_once: bool,
    /// Where the output is logged.
    pub log: Target,
    /// Start at once (nobody needs to attach before).
    pub start: bool,
}

/// The answer to a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchResponse {
    /// Created (and started if that was asked); `shim.sock` answers.
    Created {
        /// The container's first process on the host.
        pid: i32,
    },
    /// Not created; the shim has removed its traces and is gone.
    Failed(Failure),
}
