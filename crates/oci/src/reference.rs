//! Image references in Docker's grammar: `[domain/]path[:tag][@digest]`, with `docker.io` and `library/` implied.
//!
//! The messages are Docker's, because people (and test suites) know them by heart.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, Error};

/// The domain of names without one.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// Docker's older name of its registry, taken for [`DEFAULT_DOMAIN`].
pub const LEGACY_DOMAIN: &str = "index.docker.io";
/// The folder of official images on Docker's registry.
pub const OFFICIAL: &str = "library";
/// The tag that is meant when none is given.
pub const DEFAULT_TAG: &str = "latest";
/// The longest repository name.
pub const MAX_NAME: usize = 255;

/// A parsed, normalised reference. Equal references name the same image.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses what a person typed and normalises it; no tag is added.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if is_identifier(text) {
            let message =
                format!("invalid repository name ({text}), cannot specify 64-byte hexadecimal strings");
            return Err(Error::Reference(message));
        }
        let (domain, remainder) = split_domain(text);
        let repository = &remainder[..repository_end(&remainder)];
        if repository.bytes().any(|b| b.is_ascii_uppercase()) {
            let message =
                format!("invalid reference format: repository name ({repository}) must be lowercase");
            return Err(Error::Reference(message));
        }
        Self::from_parts(domain, remainder)
    }

    /// As [`Reference::parse`], and `latest` when neither tag nor digest is given.
    pub fn parse_tagged(text: &str) -> Result<Self, Error> {
        Self::parse(text).map(Self::tagged)
    }

    fn from_parts(domain: String, remainder: String) -> Result<Self, Error> {
        let (rest, digest) = match remainder.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|error| digest_error(digest, &error))?;
                (rest, Some(digest))
            }
            None => (&*remainder, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !valid_domain(&domain) || !valid_path(path) || tag.is_some_and(|t| !valid_tag(t)) {
            return Err(format_error());
        }
        // Docker measures the path alone since distribution/reference 0.6.
        if path.len() > MAX_NAME {
            let message = format!("repository name must not be more than {MAX_NAME} characters");
            return Err(Error::Reference(message));
        }
        Ok(Self { domain, path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }

    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Neither tag nor digest.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// Domain and path: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The name as people write it: `busybox`, `user/app`, `localhost:5000/app`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix("library/") {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference as people write it: `busybox:latest`, `busybox@sha256:…`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The whole reference with everything implied spelled out: `docker.io/library/busybox:latest`.
    pub fn canonical(&self) -> String {
        self.with_suffix(self.name())
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }

    /// This reference with `latest` if it has neither tag nor digest.
    pub fn tagged(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Error> {
        if !valid_tag(tag) {
            return Err(Error::Reference("invalid tag format".to_owned()));
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository by digest, without tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The repository alone.
    pub fn without_tag(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }
}

fn format_error() -> Error {
    Error::Reference("invalid reference format".to_owned())
}

/// Docker's grammar takes any algorithm and 32 or more hexadecimal digits; what fails later has another message.
fn digest_error(digest: &str, error: &Error) -> Error {
    let (algorithm, hex) = digest.split_once(':').unwrap_or_default();
    let grammatical = algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
        && algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'.'))
        && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit());
    match error {
        Error::Digest(_, why) if grammatical => Error::Reference((*why).to_owned()),
        _ => format_error(),
    }
}

/// 64 lower-case hexadecimal digits: an id, never a name.
fn is_identifier(text: &str) -> bool {
    text.len() == 64 && crate::digest::is_lower_hex(text)
}

/// The first component is a domain if it has a dot or colon, is `localhost`, or has an upper-case letter.
fn split_domain(text: &str) -> (String, String) {
    let implied = |rest: &str| (DEFAULT_DOMAIN.to_owned(), rest.to_owned());
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) || has_upper(first) => {
            (first.to_owned(), rest.to_owned())
        }
        _ => implied(text),
    };
    let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN.to_owned() } else { domain };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        return (domain, format!("{OFFICIAL}/{rest}"));
    }
    (domain, rest)
}

fn has_upper(text: &str) -> bool {
    text.to_lowercase() != text
}

/// Where the repository ends and tag or digest begin.
fn repository_end(remainder: &str) -> usize {
    remainder.find([':', '@']).unwrap_or(remainder.len())
}

/// `host[:port]`, the host a DNS name, an IPv4 address or a bracketed IPv6 address.
fn valid_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((v6, after)) => {
                let v6_ok = !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
                return v6_ok && (after.is_empty() || after.strip_prefix(':').is_some_and(valid_port));
            }
            None => return false,
        },
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && port.is_none_or(valid_port)
}

fn valid_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn valid_path(path: &str) -> bool {
    path.split('/').all(valid_component)
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or any number of hyphens.
fn valid_component(component: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(*first) || !alnum(*last) {
        return false;
    }
    bytes.split(|&b| alnum(b)).all(|separator| match separator {
        [] | [b'.'] | [b'_'] | [b'_', b'_'] => true,
        hyphens => hyphens.iter().all(|&b| b == b'-'),
    })
}

fn valid_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= 128 && bytes.next().is_some_and(word) && bytes.all(|b| word(b) || matches!(b, b'.' | b'-'))
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Reference {
    /// The canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn normalises() {
        let at = format!("@{DIGEST}");
        for (text, canonical, familiar) in [
            ("busybox", "docker.io/library/busybox", "busybox"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
            ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
            ("a/b", "docker.io/a/b", "a/b"),
            ("library/a/b", "docker.io/library/a/b", "library/a/b"),
            ("localhost/a", "localhost/a", "localhost/a"),
            ("localhost:5000/a:b", "localhost:5000/a:b", "localhost:5000/a:b"),
            ("ghcr.io/x/y_z--1", "ghcr.io/x/y_z--1", "ghcr.io/x/y_z--1"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
            ("Host/a", "Host/a", "Host/a"),
            (&format!("a{at}"), &format!("docker.io/library/a{at}"), &format!("a{at}")),
            (&format!("a:t{at}"), &format!("docker.io/library/a:t{at}"), &format!("a:t{at}")),
        ] {
            let reference = Reference::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(reference.canonical(), canonical);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(Reference::parse(canonical).unwrap(), reference);
        }
        assert_eq!(Reference::parse_tagged("a").unwrap().familiar(), "a:latest");
        assert_eq!(Reference::parse_tagged(&format!("a{at}")).unwrap().tag(), None);
    }

    #[test]
    fn refuses_in_dockers_words() {
        let hex = &DIGEST[7..];
        for (text, message) in [
            ("", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a:b c", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a_.b", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("../a", "invalid reference format"),
            ("a@sha256:zz", "invalid reference format"),
            ("a@", "invalid reference format"),
            (&format!("a@sha256:{}", "0".repeat(40)), "invalid checksum digest length"),
            (&format!("a@sha256:{}", "A".repeat(64)), "invalid checksum digest format"),
            (&format!("a@md5:{}", "0".repeat(32)), "unsupported digest algorithm"),
            ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
            ("x/Busybox:T", "invalid reference format: repository name (x/Busybox) must be lowercase"),
            (hex, &format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings")),
            (&"a".repeat(300), "repository name must not be more than 255 characters"),
        ] {
            assert_eq!(Reference::parse(text).unwrap_err().to_string(), message, "{text}");
        }
        assert_eq!(
            Reference::parse("a").unwrap().with_tag("!").unwrap_err().to_string(),
            "invalid tag format"
        );
    }
}
