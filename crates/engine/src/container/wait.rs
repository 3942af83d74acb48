//! Wait: until it does not run, exits next, or is removed. Waiters read the watch; nobody keeps a list of them.

use std::sync::Arc;

use boxship_api as api;
use tokio::sync::watch;

use super::handle::{Container, Snapshot};
use super::state::State;
use crate::{Engine, Error, Result};

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
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "not-running" => Ok(Self::NotRunning),
            "next-exit" => Ok(Self::NextExit),
            "removed" => Ok(Self::Removed),
            other => Err(Error::invalid(format!("invalid condition: {other:?}"))),
        }
    }
}

/// A registered wait: headers may be sent now, the body when [`ContainerWait::finish`] returns.
pub struct ContainerWait {
    watch: watch::Receiver<Snapshot>,
    condition: WaitCondition,
    /// Exits before the wait began.
    exits: u64,
    /// It was not running when the wait began.
    met: bool,
}

impl ContainerWait {
    /// Waits for the condition. An exit whose recording failed has `error` set.
    pub async fn finish(mut self) -> Result<api::container::WaitResponse> {
        let (condition, exits, met) = (self.condition, self.exits, self.met);
        let reached = |snapshot: &Snapshot| {
            let state = &snapshot.state;
            state.removed
                || match condition {
                    WaitCondition::NotRunning => met || state.exits > exits,
                    WaitCondition::NextExit => state.exits > exits,
                    WaitCondition::Removed => false,
                }
        };
        // When the driver ends without a last word (the engine closes), what is known is told.
        let known = match self.watch.wait_for(reached).await {
            Ok(snapshot) => Some(snapshot.state.clone()),
            Err(_) => None,
        };
        let state = known.unwrap_or_else(|| self.watch.borrow().state.clone());
        let code = if state.exits > exits { state.last_exit } else { state.exit_code };
        let error =
            (!state.error.is_empty()).then(|| api::container::WaitExitError { message: state.error.clone() });
        Ok(api::container::WaitResponse { error, status_code: code.into() })
    }
}

impl Engine {
    /// `POST /containers/{id}/wait`: registered when it returns, so that a start after it is seen.
    pub async fn container_wait(&self, reference: &str, condition: WaitCondition) -> Result<ContainerWait> {
        let container = self.inner.registry.find(reference)?;
        let watch = container.watch();
        let state = watch.borrow().state.clone();
        Ok(ContainerWait { watch, condition, exits: state.exits, met: !state.is_running() })
    }
}

/// Waits until the state is so, or the driver is gone.
pub(super) async fn wait_until(container: &Arc<Container>, is_so: impl Fn(&State) -> bool) -> State {
    let mut watch = container.watch();
    match watch.wait_for(|snapshot| is_so(&snapshot.state)).await {
        Ok(snapshot) => snapshot.state.clone(),
        Err(_) => container.state(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        assert_eq!(WaitCondition::parse("").unwrap(), WaitCondition::NotRunning);
        assert_eq!(WaitCondition::parse("removed").unwrap(), WaitCondition::Removed);
        assert!(WaitCondition::parse("never").is_err());
    }
}
