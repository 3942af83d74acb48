//! Exec: further processes in a running container.

use boxship_api as api;

use crate::{Engine, Result};

use super::Attachment;

impl Engine {
    /// `POST /containers/{id}/exec`.
    pub async fn exec_create(&self, _reference: &str, _config: api::exec::ExecCreateRequest) -> Result<api::exec::ExecCreateResponse> {
        todo!()
    }

    /// `POST /exec/{id}/start` with `Detach`: returns when it runs.
    pub async fn exec_start_detached(&self, _exec_id: &str, _config: api::exec::ExecStartRequest) -> Result<()> {
        todo!()
    }

    /// `POST /exec/{id}/start` attached: joined before the process starts.
    pub async fn exec_start(&self, _exec_id: &str, _config: api::exec::ExecStartRequest) -> Result<Attachment> {
        todo!()
    }

    /// `POST /exec/{id}/resize`.
    pub async fn exec_resize(&self, _exec_id: &str, _height: u16, _width: u16) -> Result<()> {
        todo!()
    }

    /// `GET /exec/{id}/json`.
    pub async fn exec_inspect(&self, _exec_id: &str) -> Result<api::exec::ExecInspectResponse> {
        todo!()
    }
}
