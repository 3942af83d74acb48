//! Request bodies: JSON with bounds and Docker's refusals, or streams.

use axum::body::Body;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Failure, names};

/// The longest JSON body: far beyond any sane request, far below what hurts.
const LONGEST: usize = 8 << 20;

/// A JSON body that may be missing.
pub(crate) async fn optional_json(headers: &HeaderMap, body: Body) -> Result<Option<Value>, Failure> {
    if is_missing(headers) {
        return Ok(None);
    }
    check_type(headers)?;
    read(body).await.map(Some)
}

/// A JSON body that must be there.
pub(crate) async fn json(headers: &HeaderMap, body: Body) -> Result<Value, Failure> {
    if !is_missing(headers) {
        check_type(headers)?;
    }
    read(body).await
}

/// A JSON value as a type of the API; `null` is its zero value.
pub(crate) fn typed<T: DeserializeOwned + Default>(value: Value) -> Result<T, Failure> {
    let read: Result<Option<T>, _> = serde_json::from_value(value);
    read.map(Option::unwrap_or_default).map_err(|error| Failure::invalid(format!("invalid JSON: {error}")))
}

/// Whether the request says that it has no body, or says nothing.
pub(crate) fn is_missing(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    !headers.contains_key(header::TRANSFER_ENCODING) && length.is_none_or(|length| length == "0")
}

async fn read(body: Body) -> Result<Value, Failure> {
    let collected = Limited::new(body, LONGEST)
        .collect()
        .await
        .map_err(|error| Failure::invalid(format!("unable to read the request body: {error}")))?;
    let bytes = collected.to_bytes();
    let mut values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
    let value = match values.next() {
        None => return Err(Failure::invalid("invalid JSON: got EOF while reading request body")),
        Some(value) => value.map_err(|error| Failure::invalid(format!("invalid JSON: {error}")))?,
    };
    match bytes[values.byte_offset()..].iter().all(u8::is_ascii_whitespace) {
        true => Ok(names::spell(value)),
        false => Err(Failure::invalid("unexpected content after JSON")),
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if media.is_empty() {
        return Err(Failure::invalid(format!(
            "malformed Content-Type header ({given}): mime: no media type"
        )));
    }
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::invalid(format!("unsupported Content-Type header ({given}): must be 'application/json'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(content_type: Option<&str>, body: &'static str) -> Result<Value, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        json(&headers, Body::from(body)).await.map_err(|failure| failure.message().to_owned())
    }

    #[tokio::test]
    async fn bodies() {
        let ok = Some("application/json");
        for (content_type, body, expect) in [
            (ok, r#"{"a":1}"#, Ok(serde_json::json!({"a":1}))),
            (Some("Application/JSON; charset=utf-8"), "1", Ok(1.into())),
            (ok, "{} \n", Ok(serde_json::json!({}))),
            (None, "", Err("invalid JSON: got EOF while reading request body")),
            (ok, "", Err("invalid JSON: got EOF while reading request body")),
            (ok, "{}{}", Err("unexpected content after JSON")),
            (ok, "{", Err("invalid JSON: EOF while parsing an object at line 1 column 1")),
            (
                Some("text/plain"),
                "{}",
                Err("unsupported Content-Type header (text/plain): must be 'application/json'"),
            ),
            (None, "{}", Err("malformed Content-Type header (): mime: no media type")),
        ] {
            assert_eq!(
                outcome(content_type, body).await,
                expect.map_err(str::to_owned),
                "{content_type:?} {body}"
            );
        }
    }

    #[test]
    fn null_is_the_zero_value() {
        use boxship_api::network::DisconnectRequest;
        let read = |value| typed::<DisconnectRequest>(value).map_err(|failure| failure.message().to_owned());
        assert_eq!(read(Value::Null), Ok(DisconnectRequest::default()));
        assert_eq!(read(serde_json::json!({"Container": null})), Ok(DisconnectRequest::default()));
        assert!(read(serde_json::json!([1])).is_err());
    }

    /// What is longer than any request, nested without end, or multiplies when decoded is refused before it hurts.
    #[tokio::test]
    async fn bodies_without_end_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::TRANSFER_ENCODING, "chunked".parse().unwrap());
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        for (body, expect) in [
            (format!("\"{}\"", "x".repeat(LONGEST)), "length limit exceeded"),
            ("[".repeat(1 << 20), "recursion limit exceeded"),
            ("{\"a\":".repeat(1000), "recursion limit exceeded"),
        ] {
            let failure = json(&headers, Body::from(body)).await.unwrap_err();
            assert_eq!(failure.status(), http::StatusCode::BAD_REQUEST);
            assert!(failure.message().contains(expect), "{}", failure.message());
        }
    }
}
