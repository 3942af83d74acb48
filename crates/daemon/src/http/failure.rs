//! What went wrong with a request: a status and the sentence for `{"message":…}`.
//!
//! This is the one place where the engine's kinds of errors become HTTP statuses.

use boxship_engine::Kind;
use http::StatusCode;

/// A refused or failed request.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    /// A failure by its status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into() }
    }

    /// 400.
    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, message)
    }

    /// 403.
    pub(crate) fn forbidden(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::FORBIDDEN, message)
    }

    /// 404.
    pub(crate) fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, message)
    }

    /// 501: something Docker has and this engine hasn't.
    pub(crate) fn unsupported(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// 404 for paths and methods that don't exist.
    pub(crate) fn no_page() -> Failure {
        Failure::not_found("page not found")
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The same status with words before the sentence.
    pub(crate) fn wrapped(self, before: &str) -> Failure {
        Failure { status: self.status, message: format!("{before}: {}", self.message) }
    }
}

impl From<boxship_engine::Error> for Failure {
    fn from(error: boxship_engine::Error) -> Failure {
        Failure { status: status(error.kind()), message: error.to_string() }
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::NotModified => StatusCode::NOT_MODIFIED,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
