//! Answers, built up header by header.

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::body::ReplyBody;

/// The header that names content by its digest.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An answer.
pub(crate) struct Reply(pub(crate) Response<ReplyBody>);

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::of(ReplyBody::Empty).status(status).with(header::CONTENT_LENGTH, 0)
    }

    pub(crate) fn of(body: ReplyBody) -> Self {
        Self(Response::new(body))
    }

    pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len();
        Self::of(ReplyBody::Bytes(Some(bytes))).with(header::CONTENT_LENGTH, length)
    }

    pub(crate) fn json(value: &impl Serialize) -> Self {
        // Only maps with keys that are no text fail, and none of our types has one.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        let kind = HeaderValue::from_static("application/json");
        Self::bytes(bytes).value(header::CONTENT_TYPE, kind)
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    pub(crate) fn value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// Adds a header; values are made of checked names and numbers, what is no header's value is left out.
    pub(crate) fn with(self, name: HeaderName, value: impl Display) -> Self {
        match HeaderValue::from_maybe_shared(Bytes::from(value.to_string())) {
            Ok(value) => self.value(name, value),
            Err(_) => self,
        }
    }

    /// The head alone, for `HEAD`.
    pub(crate) fn head(mut self) -> Self {
        *self.0.body_mut() = ReplyBody::Empty;
        self
    }
}
