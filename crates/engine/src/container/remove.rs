//! Remove: the row first, then the files; what fails halfway is dead and can be removed again.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::driver::Driver;
use super::handle::Container;
use super::request::Request;
use super::start::remove_folder;
use super::state::Status;
use crate::{Engine, Error, Kind, Result, error::blocking};

/// How often a forced removal kills again what others start again.
const FORCES: u32 = 10;

/// How to remove (`DELETE /containers/{id}`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes too.
    pub volumes: bool,
    /// Remove a legacy link instead, by its name `container/alias`.
    pub link: bool,
}

impl Engine {
    /// `DELETE /containers/{id}`. A caller who goes away does not stop it.
    pub async fn container_remove(&self, reference: &str, options: RemoveOptions) -> Result<()> {
        if options.link {
            return self.remove_link(reference).await;
        }
        let container = self.inner.registry.find(reference)?;
        if container.state().status == Status::Removing {
            return Err(Error::conflict(format!("removal of container {reference} is already in progress")));
        }
        let (engine, reference) = (self.clone(), reference.to_owned());
        let work = tokio::spawn(async move {
            let explain = |error: Error| {
                Error::new(error.kind(), format!("cannot remove container \"{reference}\": {error}"))
            };
            let outcome = match options.force {
                true => engine.kill_and_remove(&container).await,
                false => container.ask(Request::Remove).await,
            };
            match outcome {
                // Its own `--rm` was quicker.
                Err(error) if error.kind() == Kind::NotFound => Ok(()),
                outcome => outcome.map_err(explain),
            }
        });
        work.await.unwrap_or_else(|error| Err(Error::caused(Kind::Internal, "remove container", error)))
    }

    /// Kills it if it runs when what is under way is done, and removes it; again when somebody starts it in between.
    async fn kill_and_remove(&self, container: &Arc<Container>) -> Result<()> {
        let mut attempts = 0..FORCES;
        loop {
            if container.settled().await.is_running() {
                match self.kill_and_wait(container).await {
                    // It ended by itself meanwhile.
                    Err(error) if error.kind() == Kind::Conflict => {}
                    outcome => outcome?,
                }
            }
            match container.ask(Request::Remove).await {
                Err(error)
                    if error.kind() == Kind::Conflict
                        && container.state().is_running()
                        && attempts.next().is_some() => {}
                outcome => return outcome,
            }
        }
    }
}

impl Driver {
    /// Removes it; when this succeeds the driver ends.
    pub(super) async fn remove(&mut self) -> Result<()> {
        let state = self.state();
        if state.status == Status::Paused {
            return Err(Error::conflict("container is paused and must be unpaused first"));
        }
        if state.is_running() {
            return Err(Error::conflict(format!(
                "container is {}: stop the container before removing or force remove",
                state.status.word()
            )));
        }
        self.restart_at = None;
        self.change(|state| state.status = Status::Removing);
        match self.tear_down().await {
            Ok(()) => {
                self.farewell();
                Ok(())
            }
            Err(error) => {
                self.change(|state| {
                    state.status = Status::Dead;
                    state.error = error.to_string();
                });
                Err(error)
            }
        }
    }

    /// `--rm`.
    pub(super) async fn remove_itself(&mut self) -> ControlFlow<()> {
        match self.remove().await {
            Ok(()) => ControlFlow::Break(()),
            Err(error) => {
                tracing::error!(container = self.container.id, %error, "not removed after its end");
                ControlFlow::Continue(())
            }
        }
    }

    async fn tear_down(&mut self) -> Result<()> {
        self.let_shim_leave().await?;
        let (engine, id) = (self.engine.clone(), self.container.id.clone());
        blocking(move || {
            remove_folder(&engine.store().paths().exec_container(&id))
                .map_err(|error| Error::caused(Kind::Internal, "unable to remove run-time files", error))?;
            engine.inner.rows.remove(&id)?;
            engine.store().snapshots().discard(&id)?;
            Ok(())
        })
        .await
    }

    /// It is gone: nobody finds it any more, everybody who waits is told.
    fn farewell(&self) {
        let inner = &self.engine.inner;
        inner.registry.remove(&self.container.id);
        inner.execs.forget_container(&self.container.id);
        drop(self.container.take_waiting());
        self.tell("destroy", &[]);
        self.show(|state| {
            state.removed = true;
            // What failed before is no failure of the removal.
            state.error.clear();
        });
        self.engine.sweep();
    }
}
