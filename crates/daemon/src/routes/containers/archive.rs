//! Archives of containers' files: not part of this engine.

use crate::http::{Call, Failure, Reply};

/// `GET|HEAD|PUT /containers/{id}/archive`, `GET /containers/{id}/export`.
pub(crate) async fn unavailable(call: Call) -> Result<Reply, Failure> {
    let what = call.parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    Err(Failure::unsupported(format!("{what} of containers is not supported by this engine")))
}
