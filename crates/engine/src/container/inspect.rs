//! Inspect: everything the API tells about one container.

use boxship_api as api;

use crate::{Engine, Result};

impl Engine {
    /// `GET /containers/{id}/json`.
    pub async fn container_inspect(
        &self,
        _reference: &str,
        _size: bool,
    ) -> Result<api::container::InspectResponse> {
        todo!()
    }
}
