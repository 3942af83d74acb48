//! Names that clients send, as types: repositories, tags, uploads. Each is checked once, where it comes in, and can
//! afterwards be part of a path: none of them can hold `..`, a slash too many, or a name that the storage uses itself.

use std::fmt;
use std::str::FromStr;

use boxship_oci::Digest;

/// The longest name of a repository.
const MAX_NAME: usize = 255;

/// The name of a repository: `library/busybox`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_NAME {
            return Err("repository name must not be more than 255 characters");
        }
        if !text.split('/').all(component) {
            return Err("invalid repository name");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or any number of hyphens. So no component
/// begins with the underscore that marks the storage's own folders.
fn component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = |b: Option<&u8>| b.is_some_and(|&b| alnum(b));
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.split(|&b| alnum(b)).all(|separator| match separator {
            [] | [b'.'] | [b'_'] | [b'_', b'_'] => true,
            hyphens => hyphens.iter().all(|&b| b == b'-'),
        })
}

/// A tag: `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let mut bytes = text.bytes();
        let fits = text.len() <= 128
            && bytes.next().is_some_and(word)
            && bytes.all(|b| word(b) || matches!(b, b'.' | b'-'));
        if fits { Ok(Self(text.to_owned())) } else { Err("invalid tag") }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a manifest is named: by tag or by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By a tag that may move.
    Tag(Tag),
    /// By its content.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') {
            return text.parse().map(Self::Digest).map_err(|_| "invalid digest");
        }
        text.parse().map(Self::Tag)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// The name of an upload: 32 hexadecimal digits that cannot be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(String);

impl UploadId {
    /// A new one.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(boxship_oci::digest::encode_hex(&bytes)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 32 && boxship_oci::digest::is_lower_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err("invalid upload")
        }
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` matches `pattern`, where `*` stands for anything within a component, `**` for anything at all.
pub fn matches(pattern: &str, text: &str) -> bool {
    glob(pattern.as_bytes(), text.as_bytes())
}

/// The usual walk with one place to come back to for each kind of star: time grows with the product of both lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // reach[i]: the pattern read so far matches the first i bytes of the text.
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        if pattern[at] == b'*' {
            let deep = pattern.get(at + 1) == Some(&b'*');
            at += if deep { 2 } else { 1 };
            for i in 0..text.len() {
                reach[i + 1] |= reach[i] && (deep || text[i] != b'/');
            }
            continue;
        }
        for i in (0..text.len()).rev() {
            reach[i + 1] = reach[i] && text[i] == pattern[at];
        }
        reach[0] = false;
        at += 1;
    }
    reach[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_paths_may_hold() {
        for good in ["a", "library/busybox", "a/b/c/d", "a.b-c_d__e/f--g", "0/1", &"a".repeat(255)] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "A", "_blobs", "a/_tags", "a..b", "a___b",
            "-a", "a-", "a b", "a\0", "a%2fb", "é", &long,
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn references() {
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        assert!(matches!("_x.Y-1".parse(), Ok(Reference::Tag(_))));
        let digest = Digest::of("x").to_string();
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
        let long = "t".repeat(129);
        for bad in ["", ".x", "-x", "a/b", "..", "sha256:xyz", "md5:abc", "a b", "ä", &long] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        assert!("../../etc/passwd".parse::<UploadId>().is_err());
        let id = UploadId::random().unwrap();
        assert_eq!(id.as_str().parse::<UploadId>(), Ok(id));
    }

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("*/b*", "x/bcd", true),
            ("*c", "abcabc", true),
            ("", "", true),
            ("", "a", false),
            ("**b", "a/b/c", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in ".*", other in ".*") {
            let _ = (text.parse::<RepositoryName>(), text.parse::<Reference>(), text.parse::<UploadId>());
            matches(&text, &other);
        }

        #[test]
        fn accepted_names_stay_inside(text in "[a-z0-9._/-]{0,40}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                let own = |part: &str| part.starts_with('_') || part.starts_with('.') || part.is_empty();
                assert!(!name.as_str().split('/').any(own));
            }
        }
    }
}
