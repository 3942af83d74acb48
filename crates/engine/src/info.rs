//! `info` and `version`: what host and engine are.

use boxship_api as api;

use crate::{Engine, Result};

impl Engine {
    /// `GET /info`.
    pub async fn system_info(&self) -> Result<api::SystemInfo> {
        todo!()
    }

    /// `GET /version`; `daemon` fills in the API versions.
    pub async fn system_version(&self) -> Result<api::SystemVersion> {
        todo!()
    }
}
