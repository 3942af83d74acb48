//! What an engine that opens does with a container it finds in the database: meets its shim again, learns of an end
//! it did not see, or starts it as its policy wants.
//!
//! ```text
//! shim answers ─ runs ──────────▶ running (or paused), listened to
//!              ├ ended ─────────▶ exit as reported
//!              └ never started ─▶ told to remove it; created or exited as its row says
//! no shim ─ exit.json ──────────▶ exit as recorded
//!         └ nothing ────────────▶ a run that is lost: leftovers removed, code 255
//! ```

use std::ops::ControlFlow;

use boxship_shim::Exit;
use boxship_shim::protocol::{Phase, Request as Ask, State as ShimState};

use super::driver::Driver;
use super::restart_policy::wants_start_at_open;
use super::state::Status;
use crate::shim_link::ShimEvents;
use crate::{Engine, error::blocking};

/// Docker's code for a run whose end nobody saw.
const LOST: i32 = 255;

impl Driver {
    /// Brings the state up to what is true; `None` when the container is gone thereby.
    pub(crate) async fn restore_state(mut self) -> Option<Self> {
        let was = self.state();
        let flow = match self.container.shim.events().await {
            Ok((shim, events)) => self.meet(shim, events).await,
            Err(_) if was.is_alive() => {
                let exit = match self.container.shim.exit_record() {
                    Some(exit) => exit,
                    None => {
                        self.engine.remove_leftovers(&self.container.id).await;
                        Exit { code: LOST, time: jiff::Timestamp::now(), oom_killed: false }
                    }
                };
                self.on_exit(&exit).await
            }
            Err(_) => ControlFlow::Continue(()),
        };
        self.forget_networks().await;
        flow.is_continue().then_some(self)
    }

    /// Settles what no engine leaves behind, then lives on.
    pub(crate) async fn live(mut self) {
        if self.settle().await.is_continue() {
            self.run().await;
        }
    }

    async fn meet(&mut self, shim: ShimState, events: ShimEvents) -> ControlFlow<()> {
        self.attend(events, None);
        match shim.phase {
            Phase::Created => {
                // Its start was interrupted: whoever asked for it was not told that it runs.
                if let Err(error) = self.container.shim.tell(&Ask::Delete).await {
                    tracing::warn!(container = self.container.id, %error, "half-made run not removed");
                }
            }
            Phase::Running | Phase::Paused => {
                let status = if shim.phase == Phase::Paused { Status::Paused } else { Status::Running };
                self.change(|state| {
                    // A start whose row was not written before the end of the machine's memory of it.
                    if !state.is_alive() {
                        state.started(shim.pid.unsigned_abs(), super::state::now());
                    }
                    state.status = status;
                    state.pid = shim.pid.unsigned_abs();
                });
                self.adopt_networks(shim.pid.unsigned_abs()).await;
            }
            // Its end is told as the next event, or was: the record is whole.
            Phase::Stopped => {
                if let Some(exit) = shim.exit {
                    if let Some(shim) = &mut self.shim {
                        shim.ended = true;
                    }
                    return self.on_exit(&exit).await;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// States that no engine leaves behind, and what the policy wants now.
    async fn settle(&mut self) -> ControlFlow<()> {
        let state = self.state();
        let configuration = self.configuration();
        match state.status {
            // A removal was interrupted.
            Status::Removing | Status::Dead => {
                self.change(|state| state.status = Status::Exited);
                return self.remove_itself().await;
            }
            Status::Exited | Status::Created if configuration.auto_remove() && state.started_at != 0 => {
                return self.remove_itself().await;
            }
            _ => {}
        }
        let wants = wants_start_at_open(
            &configuration.host_config.restart_policy,
            state.exit_code,
            state.restart_count,
            state.stopped_by_user,
            state.started_at != 0,
        );
        // The pause before a restart was cut short by the end of the engine.
        let paused = state.status == Status::Restarting && self.restart_at.is_none();
        if wants && (paused || !state.is_running()) {
            return self.restart_by_policy().await;
        }
        if paused {
            self.change(|state| state.status = Status::Exited);
        }
        ControlFlow::Continue(())
    }
}

impl Engine {
    /// Removes what a run left whose shim was killed: processes, cgroup, run-time state.
    pub(crate) async fn remove_leftovers(&self, id: &str) {
        let paths = self.store().paths();
        let (root, directory) = (paths.runtime(), paths.exec_container(id));
        let owned = id.to_owned();
        let work = blocking(move || {
            // Nothing of it: nothing to remove.
            if let Ok(container) = boxship_runtime::Container::load(&root, &owned)
                && let Err(error) = container.delete(true)
            {
                tracing::warn!(container = owned, %error, "run-time leftovers not removed");
            }
            super::start::remove_folder(&directory)?;
            Ok(())
        });
        if let Err(error) = work.await {
            tracing::warn!(container = id, %error, "run-time files not removed");
        }
    }
}
