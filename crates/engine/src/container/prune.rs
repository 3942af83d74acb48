//! Prune: remove all that do not run.

use boxship_api as api;

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/prune`.
    pub async fn container_prune(&self, _filters: &api::Filters) -> Result<api::container::PruneReport> {
        todo!()
    }
}
