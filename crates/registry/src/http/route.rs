//! Which resource a path names, and the query's words. Everything here is hostile until it has become a type.

use boxship_oci::Digest;

use super::Failure;
use crate::name::{Reference, RepositoryName, UploadId};

/// The most words of a query.
const MOST_WORDS: usize = 64;

/// A resource.
#[derive(Debug, PartialEq)]
pub(crate) enum Route {
    Base,
    Token,
    Catalog,
    Tags(RepositoryName),
    Referrers(RepositoryName, Digest),
    Blob(RepositoryName, Digest),
    Uploads(RepositoryName),
    Upload(RepositoryName, UploadId),
    Manifest(RepositoryName, Reference),
}

impl Route {
    /// Reads a path. Names of repositories have slashes, so it is read from its end.
    pub(crate) fn parse(path: &str) -> Result<Self, Failure> {
        let path = decode(path, false).ok_or_else(not_found)?;
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or_else(not_found)?,
            None => return Err(not_found()),
        };
        match rest {
            "_catalog" => return Ok(Self::Catalog),
            "_token" => return Ok(Self::Token),
            _ => {}
        }
        let words: Vec<&str> = rest.rsplitn(4, '/').collect();
        match *words.as_slice() {
            ["", "uploads", "blobs", repository] => Ok(Self::Uploads(name(repository)?)),
            [id, "uploads", "blobs", repository] => {
                let unknown =
                    |why: &str| Failure::new(http::StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", why);
                Ok(Self::Upload(name(repository)?, id.parse().map_err(unknown)?))
            }
            ["list", "tags", ..] => Ok(Self::Tags(name(before(rest, "/tags/list"))?)),
            ["uploads", "blobs", ..] => Ok(Self::Uploads(name(before(rest, "/blobs/uploads"))?)),
            [text, "blobs", ..] => Ok(Self::Blob(name(parent(rest))?, digest(text)?)),
            [text, "referrers", ..] => Ok(Self::Referrers(name(parent(rest))?, digest(text)?)),
            [text, "manifests", ..] => {
                let repository = name(parent(rest))?;
                Ok(Self::Manifest(repository, text.parse().map_err(|why| bad_reference(text, why))?))
            }
            _ => Err(not_found()),
        }
    }
}

/// What cannot be a tag names no manifest either: that it is not there is all that who looks for it needs to hear.
fn bad_reference(text: &str, why: &str) -> Failure {
    if text.contains(':') {
        return Failure::bad_request("DIGEST_INVALID", why);
    }
    Failure::new(http::StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", why)
}

/// What stands before the last two words.
fn parent(path: &str) -> &str {
    path.rsplitn(3, '/').nth(2).unwrap_or_default()
}

fn before<'a>(path: &'a str, end: &str) -> &'a str {
    path.strip_suffix(end).unwrap_or_default()
}

fn name(text: &str) -> Result<RepositoryName, Failure> {
    text.parse().map_err(|why: &str| Failure::bad_request("NAME_INVALID", why))
}

/// A digest that was sent.
pub(crate) fn digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|why: boxship_oci::Error| Failure::bad_request("DIGEST_INVALID", why.to_string()))
}

fn not_found() -> Failure {
    Failure::new(http::StatusCode::NOT_FOUND, "NAME_INVALID", "no such resource")
}

/// The words of a query.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        let wrong = || Failure::bad_request("UNSUPPORTED", "the query cannot be read");
        let mut words = Vec::new();
        for word in text.unwrap_or_default().split('&').filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            words.push((decode(key, true).ok_or_else(wrong)?, decode(value, true).ok_or_else(wrong)?));
            if words.len() > MOST_WORDS {
                return Err(wrong());
            }
        }
        Ok(Self(words))
    }

    /// The value of a word that is there and not empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(word, value)| word == key && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The query again, without one of its words.
    pub(crate) fn without(&self, key: &str) -> String {
        let words = self.0.iter().filter(|(word, _)| word != key);
        let words: Vec<String> =
            words.map(|(word, value)| format!("{}={}", encode(word), encode(value))).collect();
        words.join("&")
    }

    /// All values of a word.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let values = self.0.iter().filter(move |(word, value)| word == key && !value.is_empty());
        values.map(|(_, value)| value.as_str())
    }
}

/// Takes percent signs (and in queries plus signs) for what they stand for.
fn decode(text: &str, plus: bool) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// Text as a query's value.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                out.push(byte.into())
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let digest = Digest::of("x");
        let repository = |text: &str| text.parse::<RepositoryName>().unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        for (path, expect) in [
            ("/v2/", Route::Base),
            ("/v2", Route::Base),
            ("/v2/_catalog", Route::Catalog),
            ("/v2/a/tags/list", Route::Tags(repository("a"))),
            ("/v2/a/b/c/d/tags/list", Route::Tags(repository("a/b/c/d"))),
            ("/v2/tags/list/tags/list", Route::Tags(repository("tags/list"))),
            ("/v2/a/blobs/uploads/", Route::Uploads(repository("a"))),
            ("/v2/a/blobs/uploads", Route::Uploads(repository("a"))),
            ("/v2/a/b/c/blobs/uploads/", Route::Uploads(repository("a/b/c"))),
            (&format!("/v2/a/b/blobs/uploads/{id}"), Route::Upload(repository("a/b"), id.parse().unwrap())),
            (&format!("/v2/a/blobs/{digest}"), Route::Blob(repository("a"), digest.clone())),
            (
                &format!("/v2/a/b/c/blobs/{}", digest.to_string().replace(':', "%3A")),
                Route::Blob(repository("a/b/c"), digest.clone()),
            ),
            (&format!("/v2/a/referrers/{digest}"), Route::Referrers(repository("a"), digest.clone())),
            (
                "/v2/manifests/manifests/latest",
                Route::Manifest(repository("manifests"), "latest".parse().unwrap()),
            ),
        ] {
            assert_eq!(Route::parse(path).unwrap(), expect, "{path}");
        }
        for bad in [
            "",
            "/",
            "/v1/",
            "/v2x",
            "/v2/..",
            "/v2/a",
            "/v2//blobs/uploads/",
            "/v2/a/../b/tags/list",
            "/v2/a/blobs/sha256:../../x",
            "/v2/A/tags/list",
            "/v2/a/manifests/",
            "/v2/a/manifests/.x",
            "/v2/%2e%2e/tags/list",
            "/v2/a/blobs/uploads/../x",
            "/v2/a%/tags/list",
            "/v2/tags/list",
            "/v2/a/blobs/",
        ] {
            assert!(Route::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries() {
        let query = Query::parse(Some("n=10&last=a%2Fb&mount=&x=a+b&tag=1&tag=2")).unwrap();
        assert_eq!((query.get("n"), query.get("last"), query.get("mount")), (Some("10"), Some("a/b"), None));
        assert_eq!(query.get("x"), Some("a b"));
        assert_eq!(query.without("tag"), "n=10&last=a/b&mount=&x=a%20b");
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["1", "2"]);
        assert!(Query::parse(Some("a=%zz")).is_err());
        assert!(Query::parse(Some(&"a=1&".repeat(65))).is_err());
        assert_eq!(encode("a b&c"), "a%20b%26c");
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(path in ".*", other in "/v2/[a-z/%:.]{0,60}") {
            let _ = (Route::parse(&path), Route::parse(&other), Query::parse(Some(&path)));
        }
    }
}
