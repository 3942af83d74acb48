//! Answers of 400 and above: the registry's errors, and how long it wants to be left alone.

use std::time::Duration;

use http::{HeaderMap, header};
use serde::Deserialize;

use crate::challenge;
use crate::error::Answer;
use crate::url::Url;

/// Errors read from one answer, at most.
const MOST: usize = 8;
/// Characters of a text that is shown.
const SHOWN: usize = 512;
/// Nobody waits longer for a registry than this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    errors: Vec<One>,
    /// Token servers' way.
    error: Option<String>,
    error_description: Option<String>,
    /// Others' way.
    details: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct One {
    code: String,
    message: String,
}

/// The answer without its body. What its challenge says of the token counts for more than the body, as in Docker: the
/// Hub's bodies say "authentication required" to those who are known, but not allowed to.
pub(crate) fn of(url: &Url, status: u16, headers: &HeaderMap) -> Answer {
    let url = url.without_query();
    let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let told = challenge::reason(headers).filter(|_| (400..500).contains(&status));
    Answer {
        status,
        url: url.to_string(),
        errors: told.into_iter().map(|(code, message)| (code.to_owned(), boxship_text(&message))).collect(),
        retry_after: retry_after.and_then(wait).map(|wait| wait.min(LONGEST_WAIT)),
        ..Answer::default()
    }
}

/// The same with what its body tells.
pub(crate) fn with_body(answer: Answer, body: &[u8]) -> Answer {
    let text = boxship_text(&String::from_utf8_lossy(body));
    if !answer.errors.is_empty() {
        return Answer { text, ..answer };
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else { return Answer { text, ..answer } };
    let mut errors: Vec<(String, String)> = body
        .errors
        .into_iter()
        .take(MOST)
        .map(|one| (boxship_text(&one.code), boxship_text(&one.message)))
        .collect();
    if errors.is_empty() {
        let told = body.error_description.or(body.details).or(body.message);
        match (body.error, told) {
            (Some(code), told) => {
                errors.push((boxship_text(&code), boxship_text(&told.unwrap_or_default())));
            }
            (None, Some(told)) => errors.push((code(answer.status).to_owned(), boxship_text(&told))),
            (None, None) => {}
        }
    }
    Answer { errors, text, ..answer }
}

fn code(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        404 => "NOT_FOUND",
        429 => "TOOMANYREQUESTS",
        _ => "UNKNOWN",
    }
}

/// One line of printable text, not too long.
fn boxship_text(text: &str) -> String {
    text.chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Seconds, or a date.
fn wait(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    let seconds = until.as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(seconds.max(0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_whatever_came() {
        let plain = Answer { status: 404, ..Answer::default() };
        for (body, expect) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
                "manifest unknown: manifest unknown",
            ),
            (r#"{"details":"incorrect username or password"}"#, "not found: incorrect username or password"),
            (r#"{"error":"invalid_grant","error_description":"no"}"#, "invalid grant: no"),
            ("", "received unexpected HTTP status: 404 Not Found"),
            (
                "{\"errors\":null}",
                "received unexpected HTTP status: 404 Not Found: error parsing HTTP 404 response body: \"{\\\"errors\\\":null}\"",
            ),
        ] {
            assert_eq!(with_body(plain.clone(), body.as_bytes()).to_string(), expect, "{body}");
        }
        let long = with_body(plain, "x".repeat(1 << 20).as_bytes());
        assert!(long.text.len() <= SHOWN);
    }

    #[test]
    fn challenges_count_for_more_than_bodies() {
        let headers =
            |text| HeaderMap::from_iter([(header::WWW_AUTHENTICATE, http::HeaderValue::from_static(text))]);
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        let url = Url::parse("https://r.example/v2/a/manifests/1").unwrap();
        for (status, challenge, expect) in [
            (
                401,
                "Bearer error=\"insufficient_scope\"",
                "denied: requested access to the resource is denied",
            ),
            (401, "Bearer realm=\"https://a/t\"", "unauthorized: authentication required"),
            (500, "Bearer error=\"insufficient_scope\"", "unauthorized: authentication required"),
        ] {
            let answer = with_body(of(&url, status, &headers(challenge)), body);
            assert_eq!(answer.to_string(), expect, "{status} {challenge}");
        }
    }

    #[test]
    fn waits() {
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
