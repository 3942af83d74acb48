//! Content digests: `sha256:…` and `sha512:…`, parsed once and never wrong afterwards.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

use crate::Error;

/// The hash functions that a digest may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the one that everybody uses.
    Sha256,
    /// SHA-512, allowed by the image specification.
    Sha512,
}

impl Algorithm {
    /// The name before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits a digest of this algorithm has.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The digest of some content, in canonical lower-case form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::from_hash(Algorithm::Sha256, &Sha256::digest(bytes.as_ref()))
    }

    /// The digest of `bytes` by `algorithm`.
    pub fn compute(algorithm: Algorithm, bytes: impl AsRef<[u8]>) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::of(bytes),
            Algorithm::Sha512 => Self::from_hash(algorithm, &Sha512::digest(bytes.as_ref())),
        }
    }

    /// A SHA-256 digest from the finished hash.
    pub fn sha256(hash: [u8; 32]) -> Self {
        Self::from_hash(Algorithm::Sha256, &hash)
    }

    /// A SHA-512 digest from the finished hash.
    pub fn sha512(hash: [u8; 64]) -> Self {
        Self::from_hash(Algorithm::Sha512, &hash)
    }

    fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        Self { algorithm, hex: encode_hex(hash).into() }
    }

    /// Parses 64 hexadecimal digits as a SHA-256 digest.
    pub fn from_sha256_hex(hex: &str) -> Result<Self, Error> {
        Self::checked(Algorithm::Sha256, hex, hex)
    }

    fn checked(algorithm: Algorithm, hex: &str, whole: &str) -> Result<Self, Error> {
        if hex.len() != algorithm.hex_len() {
            return Err(Error::Digest(abridged(whole), "invalid checksum digest length"));
        }
        if !is_lower_hex(hex) {
            return Err(Error::Digest(abridged(whole), "invalid checksum digest format"));
        }
        Ok(Self { algorithm, hex: hex.into() })
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The first twelve hexadecimal digits, as shown to people.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }
}

/// Lower-case hexadecimal text of `bytes`.
pub fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

/// Whether `text` consists of lower-case hexadecimal digits only.
pub fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Keeps an error message short whatever was sent.
fn abridged(text: &str) -> String {
    text.chars().take(160).collect()
}

/// The chain id of a stack of layers (image-spec, "Layer ChainID"); `None` for no layers.
pub fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    let (first, rest) = diff_ids.split_first()?;
    Some(rest.iter().fold(first.clone(), |chain, diff| Digest::of(format!("{chain} {diff}"))))
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Self::checked(Algorithm::Sha256, hex, text),
            Some(("sha512", hex)) => Self::checked(Algorithm::Sha512, hex, text),
            Some(_) => Err(Error::Digest(abridged(text), "unsupported digest algorithm")),
            None => Err(Error::Digest(abridged(text), "invalid checksum digest format")),
        }
    }
}

impl TryFrom<&str> for Digest {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashes_and_round_trips() {
        assert_eq!(Digest::of("").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap().short(), "e3b0c44298fc");
        let wide = Digest::compute(Algorithm::Sha512, "x");
        assert_eq!(wide.to_string().parse::<Digest>().unwrap(), wide);
        let json = serde_json::to_string(&wide).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), wide);
    }

    #[test]
    fn refuses() {
        let upper = EMPTY.to_uppercase();
        for bad in [
            "",
            "sha256",
            "sha256:",
            "sha256:abc",
            "md5:abc",
            &upper,
            &EMPTY.replace('e', "g"),
            "sha256:../../x",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn chains() {
        let (a, b) = (Digest::of("a"), Digest::of("b"));
        assert_eq!(chain_id(&[]), None);
        assert_eq!(chain_id(std::slice::from_ref(&a)), Some(a.clone()));
        assert_eq!(chain_id(&[a.clone(), b.clone()]), Some(Digest::of(format!("{a} {b}"))));
    }
}
