//! Addresses of registries: `http://` and `https://` only, without user information or fragment.

use std::fmt;

use boxship_dial::escape;

/// How to speak to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// The name before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port that needn't be said.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// An absolute address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// How to speak.
    pub scheme: Scheme,
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port, implied or said.
    pub port: u16,
    /// Path and query; begins with a slash.
    pub target: String,
}

/// The longest address that is followed.
const LONGEST: usize = 16 << 10;

impl Url {
    /// Parses an absolute address; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Url> {
        let clean = text.bytes().all(|b| b.is_ascii_graphic());
        if text.len() > LONGEST || !clean {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let rest = rest.split('#').next()?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = split_authority(authority)?;
        let target = match target {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        Some(Url { scheme, host, port: port.unwrap_or(scheme.port()), target })
    }

    /// What a `Location` header means that came from here.
    #[must_use]
    pub fn join(&self, location: &str) -> Option<Url> {
        if location.contains("://") {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&format!("{}:{location}", self.scheme.as_str()));
        }
        let base = self.target.split('?').next().unwrap_or("/");
        let target = match location {
            "" => self.target.clone(),
            path if path.starts_with('/') => path.to_owned(),
            query if query.starts_with('?') => format!("{base}{query}"),
            path => format!("{}/{path}", base.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        Url::parse(&format!("{}{target}", self.origin()))
    }

    /// The address with a parameter more.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Url {
        let mark = if self.target.contains('?') { '&' } else { '?' };
        Url { target: format!("{}{mark}{name}={}", self.target, escape(value)), ..self.clone() }
    }

    /// The address without parameters, which may hold what is no one's business.
    #[must_use]
    pub fn without_query(&self) -> Url {
        Url { target: self.target.split('?').next().unwrap_or_default().to_owned(), ..self.clone() }
    }

    /// `host` or `host:port`, as in the Host header.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.port() { host } else { format!("{host}:{}", self.port) }
    }

    /// Scheme and authority.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority())
    }

    /// Whether both are the same server: only then does one get what is meant for the other.
    #[must_use]
    pub fn same_origin(&self, other: &Url) -> bool {
        self.scheme == other.scheme && self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// Whether the host is this very machine by its name.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Whether a host names this very machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Host and port; IPv6 without its brackets.
pub(crate) fn split_authority(authority: &str) -> Option<(String, Option<u16>)> {
    // User information in a registry's address would be a password in every log.
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':').or(if after.is_empty() { None } else { Some("x") }))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.filter(|port| !port.is_empty()).map(str::parse).transpose().ok()?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_joins() {
        let base = Url::parse("https://r.example:5000/v2/a/blobs/uploads/?x=1").unwrap();
        assert_eq!((base.host.as_str(), base.port), ("r.example", 5000));
        for (location, expect) in [
            ("/v2/b", "https://r.example:5000/v2/b"),
            ("c?d=1", "https://r.example:5000/v2/a/blobs/uploads/c?d=1"),
            ("?y", "https://r.example:5000/v2/a/blobs/uploads/?y"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("http://other/", "http://other/"),
            ("https://h", "https://h/"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), expect, "{location}");
        }
        assert_eq!(base.with("digest", "sha256:a").target, "/v2/a/blobs/uploads/?x=1&digest=sha256%3Aa");
        assert_eq!(Url::parse("http://[::1]:80/").unwrap().authority(), "[::1]");
    }

    #[test]
    fn refuses() {
        for bad in [
            "",
            "x",
            "ftp://a/",
            "https:///x",
            "https://u:p@h/",
            "https://h:x/",
            "https://h/a b",
            "https://[x]/",
        ] {
            assert!(Url::parse(bad).is_none(), "{bad}");
        }
    }
}
