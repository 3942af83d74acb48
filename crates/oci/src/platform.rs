//! Platforms: `os[/arch[/variant]]` parsed and normalised as containerd and Docker do, and matched.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, manifest::null_default};

/// What an image runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture in GOARCH's words.
    #[serde(default)]
    pub architecture: String,
    /// Operating system in GOOS's words.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(
        default,
        rename = "os.features",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub os_features: Vec<String>,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform of this executable.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// A normalised platform.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, variant) = normalize_arch(architecture, variant.unwrap_or_default());
        Self {
            os: normalize_os(os),
            architecture,
            variant: (!variant.is_empty()).then_some(variant),
            ..Self::default()
        }
    }

    /// This platform with the usual aliases resolved.
    pub fn normalized(&self) -> Self {
        let normal = Self::new(&self.os, &self.architecture, self.variant.as_deref());
        Self { os_version: self.os_version.clone(), os_features: self.os_features.clone(), ..normal }
    }

    /// Whether an image for `other` runs where `self` is wanted. A 64-bit ARM takes any older variant; a missing
    /// variant on either side of a non-ARM architecture means "any".
    pub fn matches(&self, other: &Platform) -> bool {
        self.preference(other).is_some()
    }

    /// How well an image for `other` suits: the lower the better, `None` for not at all.
    pub fn preference(&self, other: &Platform) -> Option<u32> {
        let (want, have) = (self.normalized(), other.normalized());
        if want.os != have.os || want.architecture != have.architecture {
            return None;
        }
        let level = |p: &Platform| p.variant.as_deref().and_then(variant_level);
        match (want.variant.as_deref(), have.variant.as_deref()) {
            (a, b) if a == b => Some(0),
            (_, None) | (None, _) => Some(1),
            (Some(_), Some(_)) => {
                let (want, have) = (level(&want)?, level(&have)?);
                (have <= want).then(|| want - have)
            }
        }
    }
}

/// `v8` → 8; `v8.1` → 8.
fn variant_level(variant: &str) -> Option<u32> {
    variant.strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn normalize_os(os: &str) -> String {
    let os = os.to_ascii_lowercase();
    if os == "macos" { "darwin".to_owned() } else { os }
}

fn normalize_arch(architecture: &str, variant: &str) -> (String, String) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.to_ascii_lowercase();
    let (arch, variant) = match architecture.as_str() {
        "i386" => ("386", ""),
        "x86_64" | "x86-64" | "amd64" => ("amd64", if variant == "v1" { "" } else { &*variant }),
        "aarch64" | "arm64" => ("arm64", if matches!(&*variant, "8" | "v8") { "" } else { &*variant }),
        "armhf" => ("arm", "v7"),
        "armel" => ("arm", "v6"),
        "arm" => (
            "arm",
            match &*variant {
                "" | "7" => "v7",
                "5" => "v5",
                "6" => "v6",
                "8" => "v8",
                other => other,
            },
        ),
        other => (other, &*variant),
    };
    (arch.to_owned(), variant.to_owned())
}

const KNOWN_OS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const KNOWN_ARCH: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "ppc64",
    "ppc64le",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl FromStr for Platform {
    type Err = Error;

    /// One part names an operating system or an architecture, the other being the host's.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why| Error::Platform(text.chars().take(80).collect(), why);
        let parts: Vec<&str> = text.split('/').collect();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if parts.iter().any(|p| p.is_empty() || !p.bytes().all(allowed)) {
            return Err(bad("platform specifier component must match \"^[A-Za-z0-9_.-]+$\""));
        }
        match parts[..] {
            [one] => {
                let os = normalize_os(one);
                if KNOWN_OS.contains(&&*os) {
                    return Ok(Self { os, ..Self::host() });
                }
                let platform = Self::new("linux", one, None);
                let known = KNOWN_ARCH.contains(&&*platform.architecture);
                if known { Ok(platform) } else { Err(bad("unknown operating system or architecture")) }
            }
            [os, arch] => Ok(Self::new(os, arch, None)),
            [os, arch, variant] => Ok(Self::new(os, arch, Some(variant))),
            _ => Err(bad("cannot parse platform specifier")),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = if self.os.is_empty() { "unknown" } else { &self.os };
        f.write_str(os)?;
        if !self.architecture.is_empty() {
            write!(f, "/{}", self.architecture)?;
        }
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        let host = Platform::host();
        for (text, expect) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("riscv64", "linux/riscv64"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), expect, "{text}");
        }
        assert_eq!("linux".parse::<Platform>().unwrap(), host);
        for bad in ["", "/", "linux/", "a/b/c/d", "nonsense", "linux/am d64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn matching() {
        for (want, have, expect) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
        ] {
            let (want, have): (Platform, Platform) = (want.parse().unwrap(), have.parse().unwrap());
            assert_eq!(want.preference(&have), expect, "{want} {have}");
        }
    }
}
