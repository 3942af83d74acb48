//! API versions: parsed once, compared as numbers. `1.9` is older than `1.24`.

use std::fmt;
use std::str::FromStr;

/// The oldest version served.
pub const MIN: ApiVersion = ApiVersion { major: 1, minor: 24 };
/// The newest version served, and the one spoken when a path names none.
pub const MAX: ApiVersion = ApiVersion { major: 1, minor: 51 };

/// An Engine API version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u16,
    /// What grows.
    pub minor: u16,
}

impl ApiVersion {
    /// Version `1.minor`.
    pub const fn v1(minor: u16) -> Self {
        Self { major: 1, minor }
    }

    /// Whether it is `1.minor` or newer.
    pub fn at_least(self, minor: u16) -> bool {
        self >= Self::v1(minor)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is no `MAJOR.MINOR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid API version {0:?}")]
pub struct InvalidVersion(pub String);

impl FromStr for ApiVersion {
    type Err = InvalidVersion;

    /// Reads `1.51`, with or without the `v` of paths.
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let (major, minor) = text.strip_prefix('v').unwrap_or(text).split_once('.').unwrap_or_default();
        match (number(major), number(minor)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(InvalidVersion(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert!("1.9".parse::<ApiVersion>().unwrap() < MIN);
        assert_eq!("v1.51".parse(), Ok(MAX));
        assert_eq!(MAX.to_string(), "1.51");
        assert!(MAX.at_least(44) && !ApiVersion::v1(41).at_least(44));
        for bad in ["", "1", "1.", ".1", "1.+4", "1.2.3", "x1.2", "1.99999999"] {
            assert!(bad.parse::<ApiVersion>().is_err(), "{bad}");
        }
    }
}
