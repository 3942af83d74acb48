//! Container ids. The engine makes 64 hexadecimal digits; `boxship runtime` accepts what runc accepts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, digest::encode_hex};

/// A validated container id: safe as one path component and as a part of a cgroup's name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(Box<str>);

impl ContainerId {
    /// The longest id accepted (runc's limit).
    pub const MAX_LEN: usize = 1024;

    /// A 64-digit id from 32 random bytes. As Docker does, ids whose first twelve digits are all decimal should be
    /// drawn again by the caller: see [`ContainerId::short_is_number`].
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(encode_hex(&bytes).into())
    }

    /// Whether the short form could be taken for a number (such an id makes an awkward host name).
    pub fn short_is_number(&self) -> bool {
        self.short().bytes().all(|b| b.is_ascii_digit())
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

impl FromStr for ContainerId {
    type Err = Error;

    /// runc's rule: letters, digits, `_ + - .`, neither `.` nor `..`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-' | b'.');
        let ok = !text.is_empty()
            && text.len() <= Self::MAX_LEN
            && !matches!(text, "." | "..")
            && text.bytes().all(allowed);
        if ok { Ok(Self(text.into())) } else { Err(Error::Id(text.chars().take(80).collect())) }
    }
}

impl AsRef<str> for ContainerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for ContainerId {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }
}

impl std::borrow::Borrow<str> for ContainerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ContainerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContainerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule() {
        for good in ["a", "web-1", "A.b_c+d", "...", &"f".repeat(64)] {
            assert!(good.parse::<ContainerId>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../x", "a b", "é", "a\0", &"f".repeat(1025)] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn generated() {
        let id = ContainerId::from_random([0xab; 32]);
        assert_eq!(id.as_str().len(), 64);
        assert_eq!(id.short(), "abababababab");
        assert!(!id.short_is_number());
        assert!(ContainerId::from_random([0x12; 32]).short_is_number());
        assert_eq!("abc".parse::<ContainerId>().unwrap().short(), "abc");
    }
}
