//! Kill: a signal, by name or number.

use crate::{Engine, Result};

impl Engine {
    /// `POST /containers/{id}/kill`; `None` is SIGKILL.
    pub async fn container_kill(&self, _reference: &str, _signal: Option<&str>) -> Result<()> {
        todo!()
    }
}
