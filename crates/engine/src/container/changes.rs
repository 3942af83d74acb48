//! Changes: what differs from the image.

use boxship_api as api;

use crate::{Engine, Result};

impl Engine {
    /// `GET /containers/{id}/changes`; `None` is JSON's null, as Docker tells no changes.
    pub async fn container_changes(&self, _reference: &str) -> Result<Option<Vec<api::container::FilesystemChange>>> {
        todo!()
    }
}
