//! Failures as the specification tells them: a status, a code, a sentence.

use boxship_oci::Digest;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::reply::Reply;
use crate::error::Error;

/// A request that could not be served.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "unknown error")
    }

    pub(crate) fn unsupported(message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// With a detail: Docker's client takes a refusal without one for a passing trouble, and tries to push for more
    /// than a minute.
    fn refused(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self { details: vec![json!(message)], ..Self::new(status, code, message) }
    }

    pub(crate) fn denied(message: &str) -> Self {
        Self::refused(StatusCode::FORBIDDEN, "DENIED", message)
    }

    /// No or wrong credentials; `challenge` says which are wanted.
    pub(crate) fn unauthorized(message: &str, challenge: &str) -> Self {
        let failure = Self::refused(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
        failure.with(header::WWW_AUTHENTICATE, challenge)
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID", "the request's body came too slowly")
    }

    pub(crate) fn broken(error: &hyper::Error) -> Self {
        Self::bad_request("BLOB_UPLOAD_INVALID", format!("the request's body broke off: {error}"))
    }

    /// Adds a header; a value that is none is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The same for a request that would have made what it names: that it is not there is no answer to that.
    pub(crate) fn of_write(mut self, method: &Method) -> Self {
        if self.code == "MANIFEST_UNKNOWN" && *method == Method::PUT {
            (self.status, self.code) = (StatusCode::BAD_REQUEST, "TAG_INVALID");
        }
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn reply(self) -> Reply {
        let one = |detail: Value| {
            let mut error = json!({ "code": self.code, "message": self.message });
            if !detail.is_null() {
                error["detail"] = detail;
            }
            error
        };
        let errors: Vec<Value> = match self.details.is_empty() {
            true => vec![one(Value::Null)],
            false => self.details.into_iter().map(one).collect(),
        };
        let mut reply = Reply::json(&json!({ "errors": errors })).status(self.status);
        for (name, value) in self.headers {
            reply = reply.value(name, value);
        }
        reply
    }
}

/// The codes and statuses, in one place.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, code) = match &error {
            Error::NoRepository(_) => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Error::NoBlob(_) => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Error::NoManifest(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Error::NoUpload(_) => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Error::UploadBusy(_) => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
            Error::TooManyUploads(_) => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            Error::OutOfOrder { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
            Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            Error::Mismatch { .. } => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            // Damaged content is as good as none, and can be pushed anew.
            Error::Damaged(_) => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Error::ManifestInvalid(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            Error::ManifestBlobUnknown(digests) => return unknown_blobs(digests),
            Error::Io { .. } if error.is_full() => {
                tracing::warn!(%error, "the disk is full");
                let status = StatusCode::INSUFFICIENT_STORAGE;
                return Self::new(status, "UNAVAILABLE", "no space is left on the registry's disk");
            }
            // Paths and reasons are the operator's business.
            Error::Io { .. } | Error::Setting(_) | Error::InUse(_) => {
                tracing::error!("{error}");
                return Self::internal();
            }
        };
        let failure = Self::new(status, code, error.to_string());
        match error {
            Error::TooManyUploads(_) => failure.with(header::RETRY_AFTER, "5"),
            _ => failure,
        }
    }
}

fn unknown_blobs(digests: &[Digest]) -> Failure {
    let message = "manifest references content that is not known to the registry";
    let details = digests.iter().take(16).map(|digest| json!({ "digest": digest })).collect();
    Failure { details, ..Failure::bad_request("MANIFEST_BLOB_UNKNOWN", message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_for_good_have_a_detail() {
        for failure in [Failure::denied("no"), Failure::unauthorized("no", "Basic realm=\"x\"")] {
            assert_eq!(failure.details, [json!("no")], "{}", failure.code);
        }
    }
}
