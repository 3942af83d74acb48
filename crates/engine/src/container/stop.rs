//! Stop: ask politely, wait, then kill. The patience is here, not in the driver: others see and signal the container
//! meanwhile, and a kill ends the wait.

use std::sync::Arc;
use std::time::Duration;

use super::handle::Container;
use super::kill::{auto_removed, parse_signal};
use super::request::Request;
use super::wait::wait_until;
use crate::{Engine, Error, Kind, Result};

/// How to stop (`stop`, `restart`).
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// Seconds to wait before SIGKILL; negative: for ever; `None`: the container's own, else 10.
    pub timeout: Option<i64>,
    /// The signal to ask with; `None`: the container's own, else SIGTERM.
    pub signal: Option<String>,
}

impl Engine {
    /// `POST /containers/{id}/stop`; `NotModified` when it does not run. A caller who goes away does not stop it.
    pub async fn container_stop(&self, reference: &str, options: StopOptions) -> Result<()> {
        let container = self.inner.registry.find(reference)?;
        let (engine, reference) = (self.clone(), reference.to_owned());
        let work = tokio::spawn(async move {
            if !container.settled().await.is_running() {
                return Err(Error::not_modified("container is already stopped"));
            }
            engine.stop(&container, &options).await.map_err(|error| {
                Error::new(error.kind(), format!("cannot stop container: {reference}: {error}"))
            })?;
            auto_removed(&container).await;
            Ok(())
        });
        work.await.unwrap_or_else(|error| Err(Error::caused(Kind::Internal, "stop container", error)))
    }

    /// Stops it; it may have ended already.
    pub(super) async fn stop(&self, container: &Arc<Container>, options: &StopOptions) -> Result<()> {
        let configuration = container.configuration();
        let signal = match options.signal.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => parse_signal(text)?,
            None => configuration.stop_signal(),
        };
        let timeout = options.timeout.unwrap_or_else(|| configuration.stop_timeout());
        let exits = match container.ask(|reply| Request::Signal { signal, reply }).await {
            Ok(exits) => exits,
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        let ends = wait_until(container, |state| state.exits > exits || !state.is_running());
        let ended = match u64::try_from(timeout) {
            Ok(seconds) => tokio::time::timeout(Duration::from_secs(seconds), ends).await.is_ok(),
            Err(_) => {
                ends.await;
                true
            }
        };
        if !ended {
            match self.kill_and_wait(container).await {
                Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => {}
                outcome => outcome?,
            }
        }
        self.tell_container(&configuration, "stop", &[]);
        Ok(())
    }
}
