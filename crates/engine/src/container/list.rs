//! List: every filter, from snapshots.

use boxship_api as api;

use crate::{Engine, Result};

/// What to list (`GET /containers/json`).
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Not only the running ones.
    pub all: bool,
    /// The newest n; `Some(0)` or `None`: no limit.
    pub limit: Option<i64>,
    /// With sizes.
    pub size: bool,
    /// The filters.
    pub filters: api::Filters,
}

impl Engine {
    /// `GET /containers/json`.
    pub async fn container_list(&self, _options: ListOptions) -> Result<Vec<api::container::Summary>> {
        todo!()
    }
}
