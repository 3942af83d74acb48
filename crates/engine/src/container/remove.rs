//! Remove: the container and all it owns.

use crate::{Engine, Result};

/// How to remove (`DELETE /containers/{id}`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes too.
    pub volumes: bool,
    /// Remove a link instead: refused, there are no links.
    pub link: bool,
}

impl Engine {
    /// `DELETE /containers/{id}`.
    pub async fn container_remove(&self, _reference: &str, _options: RemoveOptions) -> Result<()> {
        todo!()
    }
}
