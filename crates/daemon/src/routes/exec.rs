//! `/exec/…`: further processes in a running container.

use boxship_api::exec::{ExecCreateRequest, ExecStartRequest};
use http::StatusCode;

use super::containers;
use crate::http::router::{Route, route};
use crate::http::{Call, Failure, Reply, hijack, reply};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/exec/{name}/json" => inspect),
    route!(POST "/exec/{name}/start" => start),
    route!(POST "/exec/{name}/resize" => resize),
];

/// `POST /containers/{id}/exec`.
pub(crate) async fn create(mut call: Call) -> Result<Reply, Failure> {
    let mut request: ExecCreateRequest = call.json_or_default().await?;
    if request.cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(Failure::invalid("No exec command specified"));
    }
    if !call.version.at_least(42) {
        request.console_size = None;
    }
    let created = call.engine().exec_create(&call.name, request).await?;
    reply::json(StatusCode::CREATED, &created)
}

async fn start(mut call: Call) -> Result<Reply, Failure> {
    let mut request: ExecStartRequest = call.json_or_default().await?;
    if !call.version.at_least(42) || !request.tty {
        request.console_size = None;
    }
    if request.detach {
        call.engine().exec_start_detached(&call.name, request).await?;
        return Ok(reply::empty(StatusCode::OK));
    }
    let attachment = call.engine().exec_start(&call.name, request).await?;
    Ok(hijack::join(call, attachment))
}

async fn resize(call: Call) -> Result<Reply, Failure> {
    let (height, width) = containers::size(&call)?;
    call.engine().exec_resize(&call.name, height, width).await?;
    Ok(reply::empty(StatusCode::OK))
}

async fn inspect(call: Call) -> Result<Reply, Failure> {
    let exec = call.engine().exec_inspect(&call.name).await?;
    reply::json(StatusCode::OK, &exec)
}
