//! The body of an answer: whole, in pieces, or as a sequence of JSON values.

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The longest single value of a stream (an event, a line of progress): more is refused.
const LONGEST_VALUE: usize = 16 << 20;

/// A body that is still arriving.
pub struct Body {
    incoming: Incoming,
    content_type: String,
}

impl Body {
    pub(crate) fn new(response: hyper::Response<Incoming>) -> Body {
        let content_type = response.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_string();
        Body { incoming: response.into_body(), content_type }
    }

    /// The content type.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The next piece; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.incoming.frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Everything.
    pub async fn bytes(self) -> Result<Bytes> {
        Ok(self.incoming.collect().await?.to_bytes())
    }

    /// Everything, as one JSON value.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|e| Error::Answer(e.to_string()))
    }

    /// One JSON value after the other.
    pub fn lines(self) -> Lines {
        Lines { body: self, buffer: BytesMut::new() }
    }
}

/// A stream of JSON values, with or without line ends between them.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
}

impl Lines {
    /// The next value; `None` at the end.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<T>();
            match values.next() {
                // A number could go on in the next piece; the API's streams carry objects only.
                Some(Ok(value)) => {
                    let taken = values.byte_offset();
                    self.buffer.advance(taken);
                    return Ok(Some(value));
                }
                Some(Err(error)) if !error.is_eof() => return Err(Error::Answer(error.to_string())),
                _ => {}
            }
            if self.buffer.len() > LONGEST_VALUE {
                return Err(Error::Answer("a value of the stream is too long".into()));
            }
            match self.body.chunk().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None if self.buffer.iter().all(u8::is_ascii_whitespace) => return Ok(None),
                None => return Err(Error::Eof),
            }
        }
    }
}
