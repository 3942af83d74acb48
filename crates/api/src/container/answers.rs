//! The small answers about containers: top, changes, wait, update, prune, and the head of an archive.

use crate::json::wire;
use serde::{Deserialize, Serialize};

wire! {
    /// `GET /containers/{id}/top`.
    pub struct TopResponse {
        /// One row per process.
        pub processes: Option<Vec<Vec<String>>>,
        /// The columns.
        pub titles: Option<Vec<String>>,
    }

    /// `POST /containers/{id}/wait`.
    pub struct WaitResponse {
        /// Why waiting failed.
        opt error: Option<WaitExitError>,
        /// The exit code.
        pub status_code: i64,
    }

    /// Why waiting failed.
    pub struct WaitExitError {
        /// For a person.
        opt message: String,
    }

    /// `POST /containers/{id}/update`.
    pub struct UpdateResponse {
        /// What the user should know.
        pub warnings: Option<Vec<String>>,
    }

    /// `POST /containers/prune`.
    pub struct PruneReport {
        /// The containers removed.
        pub containers_deleted: Option<Vec<String>>,
        /// Bytes won.
        pub space_reclaimed: u64,
    }

    /// `GET /containers/{id}/changes`: one path.
    pub struct FilesystemChange {
        /// What happened.
        pub kind: ChangeKind,
        /// Where.
        pub path: String,
    }
}

/// What happened to a path; a number on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum ChangeKind {
    /// Content or attributes changed (0).
    #[default]
    Modified,
    /// It is new (1).
    Added,
    /// It is gone (2).
    Deleted,
}

crate::read::plain!(ChangeKind);

impl From<ChangeKind> for u8 {
    fn from(kind: ChangeKind) -> Self {
        kind as u8
    }
}

impl TryFrom<u8> for ChangeKind {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Modified),
            1 => Ok(Self::Added),
            2 => Ok(Self::Deleted),
            other => Err(format!("unknown kind of change {other}")),
        }
    }
}
