//! Pause and unpause: the freezer.

use boxship_shim::protocol::Request as Ask;

use super::driver::Driver;
use super::request::Request;
use super::state::Status;
use crate::{Engine, Error, Result};

impl Engine {
    /// `POST /containers/{id}/pause`.
    pub async fn container_pause(&self, reference: &str) -> Result<()> {
        self.inner.registry.find(reference)?.ask(Request::Pause).await
    }

    /// `POST /containers/{id}/unpause`.
    pub async fn container_unpause(&self, reference: &str) -> Result<()> {
        self.inner.registry.find(reference)?.ask(Request::Unpause).await
    }
}

impl Driver {
    pub(super) async fn pause(&self) -> Result<()> {
        let id = &self.container.id;
        match self.state().status {
            Status::Running => {}
            Status::Paused => return Err(Error::conflict(format!("container {id} is already paused"))),
            Status::Restarting => return Err(Error::restarting(id)),
            _ => return Err(Error::not_running(id)),
        }
        self.container
            .shim
            .tell(&Ask::Pause)
            .await
            .map_err(|error| Error::new(error.kind(), format!("cannot pause container {id}: {error}")))?;
        self.change(|state| state.status = Status::Paused);
        self.tell("pause", &[]);
        Ok(())
    }

    pub(super) async fn unpause(&self) -> Result<()> {
        let id = &self.container.id;
        if self.state().status != Status::Paused {
            return Err(Error::internal(format!("Container {id} is not paused")));
        }
        self.container
            .shim
            .tell(&Ask::Resume)
            .await
            .map_err(|error| Error::new(error.kind(), format!("Cannot unpause container {id}: {error}")))?;
        self.change(|state| state.status = Status::Running);
        self.tell("unpause", &[]);
        Ok(())
    }
}
