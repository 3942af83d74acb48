//! Create: from a request to a durable row and a prepared root.

use boxship_api as api;

use crate::{Engine, Result};

/// What comes beside the body of `POST /containers/create`.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The wanted name; `None`: a generated one.
    pub name: Option<String>,
    /// The wanted platform (`os[/arch[/variant]]`).
    pub platform: Option<String>,
}

impl Engine {
    /// `POST /containers/create`.
    pub async fn container_create(
        &self,
        _options: CreateOptions,
        _request: api::container::CreateRequest,
    ) -> Result<api::container::CreateResponse> {
        todo!()
    }
}
