//! Start: mounts, specification, shim, process.

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/{id}/start`; `NotModified` when it runs already.
    pub async fn container_start(&self, _reference: &str) -> Result<()> {
        todo!()
    }
}
