//! What is known of containers: list, inspect, processes, changes.

use boxship_engine::container::ListOptions;
use http::StatusCode;

use crate::adapt;
use crate::http::{Call, Failure, Reply, reply};

/// `GET /containers/json`.
pub(crate) async fn list(call: Call) -> Result<Reply, Failure> {
    let options = ListOptions {
        all: call.query.switch("all"),
        limit: call.query.number("limit")?.filter(|limit| *limit > 0),
        size: call.query.switch("size"),
        filters: call.query.filters()?,
    };
    let mut containers = call.engine().container_list(options).await?;
    adapt::container::list(call.version, &mut containers);
    reply::json(StatusCode::OK, &containers)
}

/// `GET /containers/{id}/json`.
pub(crate) async fn inspect(call: Call) -> Result<Reply, Failure> {
    let mut container = call.engine().container_inspect(&call.name, call.query.switch("size")).await?;
    adapt::container::inspect(call.version, &mut container);
    reply::json(StatusCode::OK, &container)
}

/// `GET /containers/{id}/top`.
pub(crate) async fn top(call: Call) -> Result<Reply, Failure> {
    let arguments = call.query.text("ps_args").unwrap_or_default();
    let processes = call.engine().container_top(&call.name, arguments).await?;
    reply::json(StatusCode::OK, &processes)
}

/// `GET /containers/{id}/changes`.
pub(crate) async fn changes(call: Call) -> Result<Reply, Failure> {
    let changes = call.engine().container_changes(&call.name).await?;
    reply::json(StatusCode::OK, &changes)
}
