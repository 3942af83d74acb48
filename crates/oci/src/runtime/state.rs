//! The state of a container as `state` prints it and hooks read it.

use std::{fmt, path::PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::manifest::null_default;

/// The state of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the runtime specification.
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    /// The container.
    pub id: String,
    /// Where in its life it is.
    pub status: Status,
    /// Its first process, in the runtime's pid namespace; 0 (and not written) when stopped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pid: i32,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// Annotations of the specification.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty", deserialize_with = "null_default")]
    pub annotations: IndexMap<String, String>,
}

/// Where in its life a container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being created.
    #[default]
    Creating,
    /// Created: its program waits to be started.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen (not a status of the specification, but of every runtime).
    Paused,
    /// Its program ended.
    Stopped,
}

impl Status {
    /// The status as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the seccomp agent receives with the notify descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerProcessState {
    /// The version of the runtime specification.
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    /// Names of the descriptors sent along.
    pub fds: Vec<String>,
    /// The process that the filter is for.
    pub pid: i32,
    /// `listenerMetadata` of the filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The container.
    pub state: State,
}

fn is_zero(pid: &i32) -> bool {
    *pid == 0
}
