//! Answers: the few forms that every route uses.

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::Failure;

/// An answer.
pub(crate) type Reply = Response<Body>;

/// A value as JSON, with the line end that Go's encoder writes.
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Result<Reply, Failure> {
    Ok(with_type(status, "application/json", Body::from(line(value)?)))
}

/// One value as a line of JSON.
pub(crate) fn line<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Failure> {
    let mut writer = BytesMut::with_capacity(512).writer();
    serde_json::to_writer(&mut writer, value).map_err(|error| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, format!("unable to encode the answer: {error}"))
    })?;
    let mut bytes = writer.into_inner();
    bytes.put_u8(b'\n');
    Ok(bytes.freeze())
}

/// No content.
pub(crate) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = status;
    reply
}

/// A body that comes in pieces.
pub(crate) fn stream<S>(content_type: &'static str, chunks: S) -> Reply
where
    S: Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
{
    with_type(StatusCode::OK, content_type, Body::from_stream(chunks))
}

/// Lines of JSON, one for each value; a failure ends the stream.
pub(crate) fn lines<S, T>(content_type: &'static str, values: S) -> Reply
where
    S: Stream<Item = T> + Send + 'static,
    T: Serialize,
{
    stream(
        content_type,
        values
            .map(|value| line(&value).map_err(|failure| std::io::Error::other(failure.message().to_owned()))),
    )
}

/// Progress of images: like [`lines`], each ended as Docker's formatter of such streams does.
pub(crate) fn progress<S, T>(values: S) -> Reply
where
    S: Stream<Item = T> + Send + 'static,
    T: Serialize,
{
    let ended = |value: T| {
        let line = line(&value).map_err(|failure| std::io::Error::other(failure.message().to_owned()))?;
        Ok([line.trim_ascii_end(), b"\r\n"].concat().into())
    };
    stream("application/json", values.map(ended))
}

/// A failure as its answer. Without content where HTTP allows none.
pub(crate) fn failure(failure: &Failure) -> Reply {
    if failure.status() == StatusCode::NOT_MODIFIED {
        return empty(StatusCode::NOT_MODIFIED);
    }
    let body = serde_json::json!({ "message": failure.message() });
    with_type(failure.status(), "application/json", Body::from(format!("{body}\n")))
}

/// A body with its type.
pub(crate) fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
