//! Top: the processes of a container, read from the kernel.

use boxship_api as api;

use crate::{Engine, Result};

impl Engine {
    /// `GET /containers/{id}/top`; `ps_args` in ps's own grammar, empty is `-ef`.
    pub async fn container_top(&self, _reference: &str, _ps_args: &str) -> Result<api::container::TopResponse> {
        todo!()
    }
}
