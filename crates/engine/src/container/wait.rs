//! Wait: until it does not run, exits next, or is removed.

use boxship_api as api;

use crate::{Engine, Result};

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// Returns at once when it does not run.
    #[default]
    NotRunning,
    /// The next exit, even when it does not run now.
    NextExit,
    /// Until it is removed.
    Removed,
}

impl WaitCondition {
    /// Parses the `condition` of `POST /containers/{id}/wait`; empty is `not-running`.
    pub fn parse(_text: &str) -> Result<Self> {
        todo!()
    }
}

/// A registered wait: headers may be sent now, the body when [`ContainerWait::finish`] returns.
pub struct ContainerWait {}

impl ContainerWait {
    /// Waits for the condition. An exit whose recording failed has `error` set.
    pub async fn finish(self) -> Result<api::container::WaitResponse> {
        todo!()
    }
}

impl Engine {
    /// `POST /containers/{id}/wait`: registered when it returns, so that a start after it is seen.
    pub async fn container_wait(&self, _reference: &str, _condition: WaitCondition) -> Result<ContainerWait> {
        todo!()
    }
}
