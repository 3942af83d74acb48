//! Pause and unpause: the freezer.

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/{id}/pause`.
    pub async fn container_pause(&self, _reference: &str) -> Result<()> {
        todo!()
    }

    /// `POST /containers/{id}/unpause`.
    pub async fn container_unpause(&self, _reference: &str) -> Result<()> {
        todo!()
    }
}
