//! Addresses to listen on, as `-H` gives them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `unix://path`.
    Unix(PathBuf),
    /// `tcp://ip:port`.
    Tcp(SocketAddr),
    /// `fd://` (all sockets handed over by systemd) or `fd://N` (one of them).
    Inherited(Option<u32>),
}

impl Address {
    /// Parse an address; `tls` chooses the default port.
    pub(crate) fn parse(text: &str, tls: bool) -> Result<Address, String> {
        let invalid = |why: &str| format!("invalid bind address ({text}): {why}");
        let text = text.trim();
        match text.split_once("://") {
            Some(("unix", "")) => Ok(Address::Unix("/run/boxship.sock".into())),
            Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            Some(("unix", _)) => Err(invalid("the path of a unix socket must be absolute")),
            Some(("tcp", rest)) => tcp(rest, tls).map(Address::Tcp).map_err(|why| invalid(&why)),
            Some(("fd", "" | "*")) => Ok(Address::Inherited(None)),
            Some(("fd", number)) => match number.parse() {
                Ok(number) => Ok(Address::Inherited(Some(number))),
                Err(_) => Err(invalid("fd:// takes the number of a descriptor")),
            },
            Some(_) => Err(invalid("unsupported protocol")),
            None if text.starts_with('/') => Ok(Address::Unix(text.into())),
            None => tcp(text, tls).map(Address::Tcp).map_err(|why| invalid(&why)),
        }
    }
}

fn tcp(text: &str, tls: bool) -> Result<SocketAddr, String> {
    let default = if tls { 2376 } else { 2375 };
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains('/') {
        return Err("a TCP address has no path".into());
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(socket);
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, default));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().map_err(|_| format!("invalid port {port:?}"))?),
        None => (text, default),
    };
    match name {
        "" | "localhost" => Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
        "*" => Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)),
        _ => Err(match name.parse::<IpAddr>() {
            Ok(ip) => return Ok(SocketAddr::new(ip, port)),
            Err(_) => "give the address as an IP address, names are not resolved".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |text: &str| Ok(Address::Tcp(text.parse().unwrap()));
        for (text, tls, expect) in [
            ("unix:///x/y.sock", false, Ok(Address::Unix("/x/y.sock".into()))),
            ("/x/y.sock", false, Ok(Address::Unix("/x/y.sock".into()))),
            ("unix://", false, Ok(Address::Unix("/run/boxship.sock".into()))),
            ("unix://x", false, Err("the path of a unix socket must be absolute")),
            ("tcp://127.0.0.1:99", false, tcp("127.0.0.1:99")),
            ("tcp://127.0.0.1", true, tcp("127.0.0.1:2376")),
            ("tcp://", false, tcp("127.0.0.1:2375")),
            ("tcp://:1234", false, tcp("127.0.0.1:1234")),
            ("tcp://[::1]:5", false, tcp("[::1]:5")),
            ("tcp://[::1]", false, tcp("[::1]:2375")),
            ("0.0.0.0:4243", false, tcp("0.0.0.0:4243")),
            ("tcp://a.example:1", false, Err("give the address as an IP address, names are not resolved")),
            ("tcp://1.2.3.4:x", false, Err("invalid port \"x\"")),
            ("tcp://1.2.3.4:1/x", false, Err("a TCP address has no path")),
            ("fd://", false, Ok(Address::Inherited(None))),
            ("fd://3", false, Ok(Address::Inherited(Some(3)))),
            ("ssh://x", false, Err("unsupported protocol")),
        ] {
            let expect = expect.map_err(|why: &str| format!("invalid bind address ({text}): {why}"));
            assert_eq!(Address::parse(text, tls), expect);
        }
    }
}
