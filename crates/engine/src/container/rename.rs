//! Rename.

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/{id}/rename`.
    pub async fn container_rename(&self, _reference: &str, _name: &str) -> Result<()> {
        todo!()
    }
}
