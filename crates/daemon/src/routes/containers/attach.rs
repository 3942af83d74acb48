//! Attach and resize: a client's streams and terminal.

use boxship_engine::container::AttachOptions;
use http::StatusCode;

use crate::http::{Call, Failure, Reply, hijack, reply, websocket};

/// `POST /containers/{id}/attach`.
pub(crate) async fn attach(call: Call) -> Result<Reply, Failure> {
    let query = &call.query;
    let options = AttachOptions {
        logs: query.switch("logs"),
        stream: query.switch("stream"),
        stdin: query.switch("stdin"),
        stdout: query.switch("stdout"),
        stderr: query.switch("stderr"),
        detach_keys: query.owned("detachKeys"),
    };
    let attachment = call.engine().container_attach(&call.name, options).await?;
    Ok(hijack::join(call, attachment))
}

/// `GET /containers/{id}/attach/ws`.
pub(crate) async fn websocket(call: Call) -> Result<Reply, Failure> {
    let query = &call.query;
    // Until 1.42 a websocket always had all three streams.
    let wanted = |name: &str| !call.version.at_least(42) || query.switch(name);
    let options = AttachOptions {
        logs: query.switch("logs"),
        stream: query.switch("stream"),
        stdin: wanted("stdin"),
        stdout: wanted("stdout"),
        stderr: wanted("stderr"),
        detach_keys: query.owned("detachKeys"),
    };
    let attachment = call.engine().container_attach(&call.name, options).await?;
    websocket::join(call, attachment).await
}

/// `POST /containers/{id}/resize`.
pub(crate) async fn resize(call: Call) -> Result<Reply, Failure> {
    let (height, width) = size(&call)?;
    call.engine().container_resize(&call.name, height, width).await?;
    Ok(reply::empty(StatusCode::OK))
}

/// Height and width of a terminal, refused in Docker's words.
pub(crate) fn size(call: &Call) -> Result<(u16, u16), Failure> {
    let side = |name: &str, what: &str| {
        let text = call.query.text(name).unwrap_or_default();
        let invalid = |why: &str| Failure::invalid(format!("invalid resize {what} {text:?}: {why}"));
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("invalid syntax"));
        }
        match text.parse::<u32>() {
            // The kernel holds 16 bits; Docker lets the rest fall off.
            Ok(number) => Ok(number as u16),
            Err(_) => Err(invalid("value out of range")),
        }
    };
    Ok((side("h", "height")?, side("w", "width")?))
}
