//! Volumes on the wire.

use crate::json::wire;
use std::collections::BTreeMap;

wire! {
    /// One volume.
    pub struct Volume {
        /// When it was made.
        opt created_at: String,
        /// Its driver.
        pub driver: String,
        /// Its labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// Its path on the host.
        pub mountpoint: String,
        /// Its name.
        pub name: String,
        /// Options of the driver.
        pub options: Option<BTreeMap<String, String>>,
        /// `local` or `global`.
        pub scope: String,
        /// How much is in use (only in `/system/df`).
        opt usage_data: Option<UsageData>,
    }

    /// How much of a volume is in use.
    pub struct UsageData {
        /// Containers that use it; -1 when not counted.
        pub ref_count: i64,
        /// Bytes; -1 when not counted.
        pub size: i64,
    }

    /// `GET /volumes`.
    pub struct ListResponse {
        /// The volumes.
        pub volumes: Vec<Volume>,
        /// What the user should know.
        pub warnings: Option<Vec<String>>,
    }

    /// `POST /volumes/prune`.
    pub struct PruneReport {
        /// The volumes removed.
        pub volumes_deleted: Option<Vec<String>>,
        /// Bytes won.
        pub space_reclaimed: u64,
    }
}
