//! Update: limits and restart policy of a living container.

use boxship_api as api;

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/{id}/update`.
    pub async fn container_update(
        &self,
        _reference: &str,
        _request: api::container::UpdateConfig,
    ) -> Result<api::container::UpdateResponse> {
        todo!()
    }
}
