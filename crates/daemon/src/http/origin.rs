//! Who may call over TCP: a page in a browser must not reach the API by DNS rebinding or by a cross-site
//! request, even where the port is open to the local user.

use std::net::IpAddr;

use http::{HeaderMap, header};

use super::Failure;
use crate::listen::Door;

/// Refuse requests that a browser was talked into.
pub(crate) fn check(door: Door, headers: &HeaderMap, own_names: &[String]) -> Result<(), Failure> {
    if door == Door::Unix {
        return Ok(());
    }
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    if door == Door::PlainTcp && !is_own(host_name(host), own_names) {
        return Err(Failure::forbidden(format!(
            "the Host header {host:?} is not a name of this host: use its address, or TLS"
        )));
    }
    match text(headers, header::ORIGIN.as_str()) {
        None => {}
        Some(origin) if origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host)) => {
        }
        Some(origin) => {
            return Err(Failure::forbidden(format!("requests from the page {origin:?} are not allowed")));
        }
    }
    match text(headers, "sec-fetch-site") {
        Some("cross-site" | "same-site") => {
            Err(Failure::forbidden("requests from other pages are not allowed"))
        }
        _ => Ok(()),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Addresses and names without a dot can't be had by an attacker's DNS.
fn is_own(name: &str, own_names: &[String]) -> bool {
    let name = name.trim_end_matches('.');
    name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || own_names.iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_kept_out() {
        let own = ["box.example".to_owned()];
        for (door, headers, allowed) in [
            (Door::Unix, &[("host", "evil.example"), ("origin", "http://evil.example")][..], true),
            (Door::PlainTcp, &[("host", "127.0.0.1:2375")], true),
            (Door::PlainTcp, &[("host", "[::1]:2375")], true),
            (Door::PlainTcp, &[("host", "localhost:2375")], true),
            (Door::PlainTcp, &[("host", "docker:2375")], true),
            (Door::PlainTcp, &[("host", "BOX.example")], true),
            (Door::PlainTcp, &[], true),
            (Door::PlainTcp, &[("host", "evil.example:2375")], false),
            (Door::PlainTcp, &[("host", "localhost.evil.example")], false),
            (Door::Tls, &[("host", "any.example:2376")], true),
            (Door::Tls, &[("host", "any.example"), ("origin", "https://evil.example")], false),
            (Door::PlainTcp, &[("host", "localhost:1"), ("origin", "http://localhost:1")], true),
            (Door::PlainTcp, &[("host", "localhost:1"), ("origin", "null")], false),
            (Door::PlainTcp, &[("host", "localhost:1"), ("sec-fetch-site", "cross-site")], false),
        ] {
            let map: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let map: HeaderMap = map;
            assert_eq!(check(door, &map, &own).is_ok(), allowed, "{door:?} {headers:?}");
        }
    }
}
