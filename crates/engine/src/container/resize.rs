//! Resize: the terminal of a container.

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/{id}/resize`.
    pub async fn container_resize(&self, _reference: &str, _height: u16, _width: u16) -> Result<()> {
        todo!()
    }
}
