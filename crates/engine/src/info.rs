//! `info` and `version`: what host and engine are.

use boxship_api as api;

use crate::{Engine, Result};

impl Engine {
    /// `GET /info`.
    pub async fn system_info(&self) -> Result<api::system::Info> {
        todo!()
    }

    /// `GET /version`; `daemon` fills in the API versions.
    pub async fn system_version(&self) -> Result<api::system::VersionResponse> {
        todo!()
    }
}
