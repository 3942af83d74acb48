//! `WWW-Authenticate` (RFC 9110, 11.6.1): what a registry wants to see.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: String, scope: String },
}

/// The challenges of an answer that can be met here; Bearer is preferred by whoever chooses.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().take(8);
    values.filter_map(|value| value.to_str().ok()).filter_map(parse).collect()
}

fn parse(text: &str) -> Option<Challenge> {
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (String::new(), String::new(), String::new());
    for (name, value) in parameters(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = value,
            "service" => service = value,
            "scope" => scope = value,
            _ => {}
        }
    }
    (!realm.is_empty()).then_some(Challenge::Bearer { realm, service, scope })
}

/// Why a token didn't do (RFC 6750, 3.1), as an error of the registry's: its code and message.
pub(crate) fn reason(headers: &HeaderMap) -> Option<(&'static str, String)> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().take(8);
    values.filter_map(|value| value.to_str().ok()).find_map(|text| {
        let (scheme, rest) = text.trim().split_once(' ')?;
        let parameters = parameters(rest);
        let named = |wanted| {
            let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let (code, message) = match named("error").filter(|_| scheme.eq_ignore_ascii_case("bearer"))?.as_str()
        {
            "invalid_token" => ("UNAUTHORIZED", "authentication required"),
            "insufficient_scope" => ("DENIED", "requested access to the resource is denied"),
            _ => return None,
        };
        Some((code, named("error_description").unwrap_or_else(|| message.to_owned())))
    })
}

/// `name="value", name=value`; stops at what is neither.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = after.trim_start_matches([' ', ',']);
    }
    found
}

/// The text up to the closing quote, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &text[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: &str, scope: &str| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.into(), scope: scope.into() })
        };
        for (text, expect) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"repository:a:pull,push\"",
                bearer("https://auth.example/token", "r.example", "repository:a:pull,push"),
            ),
            ("bearer realm=https://a/t , service=b", bearer("https://a/t", "b", "")),
            ("Bearer realm=\"a\\\"b\"", bearer("a\"b", "", "")),
            ("Bearer service=\"x\"", None),
            ("Negotiate", None),
            ("", None),
            ("Bearer realm=\"", None),
        ] {
            assert_eq!(parse(text), expect, "{text}");
        }
    }

    #[test]
    fn reasons_are_those_of_tokens() {
        for (text, expect) in [
            (
                "Bearer realm=\"https://a/t\",scope=\"repository:a:pull\",error=\"insufficient_scope\"",
                Some(("DENIED", "requested access to the resource is denied")),
            ),
            ("bearer error=invalid_token", Some(("UNAUTHORIZED", "authentication required"))),
            (
                "Bearer error=\"insufficient_scope\",error_description=\"not yours\"",
                Some(("DENIED", "not yours")),
            ),
            ("Bearer realm=\"https://a/t\"", None),
            ("Bearer error=\"\"", None),
            ("Bearer error=\"other\"", None),
            ("Basic realm=\"x\",error=\"insufficient_scope\"", None),
            ("Bearer", None),
        ] {
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, http::HeaderValue::from_static(text))]);
            let expect = expect.map(|(code, message)| (code, message.to_owned()));
            assert_eq!(reason(&headers), expect, "{text}");
        }
    }
}
