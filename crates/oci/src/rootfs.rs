//! A root filesystem as the store describes it and the runtime mounts it. It is mounted nowhere on the host's tree.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An overlay of read-only layers below one writable folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverlayMount {
    /// Read-only layers, the topmost first (the order of `lowerdir`).
    pub lower: Vec<PathBuf>,
    /// The writable layer.
    pub upper: PathBuf,
    /// overlayfs' scratch folder, on the same filesystem as `upper`.
    pub work: PathBuf,
    /// Further overlay options such as `metacopy=off` or `volatile`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}
