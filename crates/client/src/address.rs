//! Where a daemon is: `unix://`, `tcp://`, `ssh://`, in the forms that Docker's `-H` takes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;

/// The port of a daemon without TLS.
const PLAIN_PORT: u16 = 2375;
/// The port of a daemon with TLS.
const TLS_PORT: u16 = 2376;

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A host and, when it was given, a port.
    Tcp {
        /// Name, IPv4 or (without brackets) IPv6 address.
        host: String,
        /// The port, when one was given.
        port: Option<u16>,
    },
    /// A host that is reached by the `ssh` program; the text behind `ssh://`.
    Ssh {
        /// `user@host` or `host`.
        target: String,
        /// The port, when one was given.
        port: Option<u16>,
        /// The socket there, when a path was given.
        socket: Option<String>,
    },
}

impl Address {
    /// The port to connect to.
    pub fn port(port: Option<u16>, tls: bool) -> u16 {
        port.unwrap_or(if tls { TLS_PORT } else { PLAIN_PORT })
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        let wrong = || Error::Address(text.to_string());
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if text.starts_with('/') => ("unix", text),
            None => ("tcp", text),
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Address::Unix(rest.into())),
            "tcp" | "http" | "https" => {
                let (host, port) = host_and_port(rest.trim_end_matches('/')).ok_or_else(wrong)?;
                Ok(Address::Tcp { host, port })
            }
            "ssh" => {
                let (authority, path) =
                    rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(format!("/{p}"))));
                let (user, host) =
                    authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
                let (host, port) = host_and_port(host).ok_or_else(wrong)?;
                // A name that begins with a dash would be read by ssh as an option.
                if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
                    return Err(wrong());
                }
                let target = user.map_or(host.clone(), |user| format!("{user}@{host}"));
                Ok(Address::Ssh { target, port, socket: path.filter(|path| path != "/") })
            }
            _ => Err(wrong()),
        }
    }
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?.parse().ok()?) };
        return Some((host.to_string(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    (!host.is_empty() && !host.contains(['/', ' '])).then(|| (host.to_string(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = |port: &Option<u16>| port.map_or(String::new(), |port| format!(":{port}"));
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp { host, port: p } if host.contains(':') => write!(f, "tcp://[{host}]{}", port(p)),
            Address::Tcp { host, port: p } => write!(f, "tcp://{host}{}", port(p)),
            Address::Ssh { target, port: p, socket } => {
                write!(f, "ssh://{target}{}{}", port(p), socket.as_deref().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for (text, printed) in [
            ("unix:///run/boxship.sock", Some("unix:///run/boxship.sock")),
            ("/run/boxship.sock", Some("unix:///run/boxship.sock")),
            ("tcp://10.0.0.1:2375", Some("tcp://10.0.0.1:2375")),
            ("tcp://box/", Some("tcp://box")),
            ("[::1]:99", Some("tcp://[::1]:99")),
            ("ssh://me@box:22", Some("ssh://me@box:22")),
            ("ssh://box/run/other.sock", Some("ssh://box/run/other.sock")),
            ("ssh://-oProxyCommand=x", None),
            ("unix://relative", None),
            ("tcp://box:port", None),
            ("tcp://", None),
            ("npipe:////./pipe/x", None),
        ] {
            let parsed: Result<Address, _> = text.parse();
            assert_eq!(parsed.ok().map(|a| a.to_string()).as_deref(), printed, "{text}");
        }
    }
}
