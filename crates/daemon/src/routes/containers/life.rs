//! The life of a container: start, stop, kill, pause, rename, remove.

use boxship_engine::container::{RemoveOptions, StopOptions};
use http::StatusCode;

use crate::http::{Call, Failure, Reply, body, reply};

fn done() -> Result<Reply, Failure> {
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/start`.
pub(crate) async fn start(call: Call) -> Result<Reply, Failure> {
    let length = call.parts.headers.get(http::header::CONTENT_LENGTH);
    let length: u64 = length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
    let chunked = length == 0 && !body::is_missing(&call.parts.headers);
    // Very old clients sent a host configuration here; `{}` and `null` are let through.
    if length > 7 || chunked {
        return Err(Failure::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    if call.query.text("checkpoint").is_some() {
        return Err(Failure::invalid("checkpoints are not supported by this engine"));
    }
    call.engine().container_start(&call.name).await?;
    done()
}

/// `POST /containers/{id}/stop`.
pub(crate) async fn stop(call: Call) -> Result<Reply, Failure> {
    call.engine().container_stop(&call.name, stop_options(&call)?).await?;
    done()
}

/// `POST /containers/{id}/restart`.
pub(crate) async fn restart(call: Call) -> Result<Reply, Failure> {
    call.engine().container_restart(&call.name, stop_options(&call)?).await?;
    done()
}

fn stop_options(call: &Call) -> Result<StopOptions, Failure> {
    Ok(StopOptions {
        timeout: call.query.number("t")?,
        signal: call.query.owned("signal").filter(|_| call.version.at_least(42)),
    })
}

/// `POST /containers/{id}/kill`.
pub(crate) async fn kill(call: Call) -> Result<Reply, Failure> {
    let killed = call.engine().container_kill(&call.name, call.query.text("signal")).await;
    killed.map_err(|error| Failure::from(error).wrapped(&format!("cannot kill container: {}", call.name)))?;
    done()
}

/// `POST /containers/{id}/pause`.
pub(crate) async fn pause(call: Call) -> Result<Reply, Failure> {
    call.engine().container_pause(&call.name).await?;
    done()
}

/// `POST /containers/{id}/unpause`.
pub(crate) async fn unpause(call: Call) -> Result<Reply, Failure> {
    call.engine().container_unpause(&call.name).await?;
    done()
}

/// `POST /containers/{id}/rename`.
pub(crate) async fn rename(call: Call) -> Result<Reply, Failure> {
    call.engine().container_rename(&call.name, call.query.text("name").unwrap_or_default()).await?;
    done()
}

/// `DELETE /containers/{id}`.
pub(crate) async fn remove(call: Call) -> Result<Reply, Failure> {
    let options = RemoveOptions {
        force: call.query.switch("force"),
        volumes: call.query.switch("v"),
        link: call.query.switch("link"),
    };
    call.engine().container_remove(&call.name, options).await?;
    done()
}

/// `POST /containers/prune`.
pub(crate) async fn prune(call: Call) -> Result<Reply, Failure> {
    let report = call.engine().container_prune(&call.query.filters()?).await?;
    reply::json(StatusCode::OK, &report)
}
