//! Restart: stop, then start.

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/{id}/restart`.
    pub async fn container_restart(&self, _reference: &str, _options: super::StopOptions) -> Result<()> {
        todo!()
    }
}
