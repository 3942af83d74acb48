//! Wait: the answer's head is sent at once, its body when the container has ended.

use axum::body::Body;
use boxship_engine::container::WaitCondition;
use http::StatusCode;

use crate::http::{Call, Failure, Reply, reply};

/// `POST /containers/{id}/wait`.
pub(crate) async fn wait(call: Call) -> Result<Reply, Failure> {
    // Before 1.30 there were no conditions, and the head came with the body.
    let at_once = call.version.at_least(30);
    let condition = match call.query.text("condition") {
        Some(condition) if at_once => WaitCondition::parse(condition)?,
        _ => WaitCondition::default(),
    };
    let waiting = call.engine().container_wait(&call.name, condition).await?;
    let ended = async move {
        let answer = waiting.finish().await.map_err(Failure::from)?;
        reply::line(&answer)
    };
    if !at_once {
        return Ok(reply::with_type(StatusCode::OK, "application/json", Body::from(ended.await?)));
    }
    let body = futures_util::stream::once(Box::pin(async move {
        ended.await.map_err(|failure| std::io::Error::other(failure.message().to_owned()))
    }));
    Ok(reply::stream("application/json", call.until_stop(body)))
}
