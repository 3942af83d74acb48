//! Stop: ask politely, wait, then kill.

use crate::{Engine, Result};

/// How to stop (`stop`, `restart`).
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// Seconds to wait before SIGKILL; negative: for ever; `None`: the container's own, else 10.
    pub timeout: Option<i64>,
    /// The signal to ask with; `None`: the container's own, else SIGTERM.
    pub signal: Option<String>,
}

impl Engine {
    /// `POST /containers/{id}/stop`; `NotModified` when it does not run.
    pub async fn container_stop(&self, _reference: &str, _options: StopOptions) -> Result<()> {
        todo!()
    }
}
