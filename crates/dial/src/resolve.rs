//! The addresses of a host name, without glibc: a static executable must not load NSS modules.
//!
//! `/etc/hosts` first, then the resolvers of `/etc/resolv.conf`, read anew for each name so that a changed
//! configuration counts at once.

use std::fs;
use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;

const NO_HOST: &str = "no such host";

/// The addresses of `host`: itself when it is one. Never empty; else the reason.
pub async fn addresses(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let known = from_hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), host);
    if !known.is_empty() {
        return Ok(known);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    }
    let resolver = TokioResolver::builder_tokio().map_err(|e| e.to_string())?;
    let resolver = resolver.build().map_err(|e| e.to_string())?;
    let found = resolver.lookup_ip(host).await.map_err(|error| match &error {
        _ if error.is_no_records_found() || error.is_nx_domain() => NO_HOST.to_owned(),
        // The library's word for: none could be reached.
        NetError::NoConnections => "no name server can be reached (/etc/resolv.conf)".to_owned(),
        _ => error.to_string(),
    })?;
    let found: Vec<IpAddr> = found.iter().collect();
    if found.is_empty() { Err(NO_HOST.to_owned()) } else { Ok(found) }
}

/// The addresses of `host` in the text of a hosts file (hosts(5)), IPv4 first.
fn from_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut found: Vec<IpAddr> = lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_asked_first() {
        let text = "::1 localhost # loopback\n127.0.0.1 localhost\n10.0.0.9\tbox box.lan\n#10.0.0.1 gone\n";
        assert_eq!(from_hosts(text, "localhost")[0], IpAddr::from([127, 0, 0, 1]));
        assert_eq!(from_hosts(text, "BOX.lan"), [IpAddr::from([10, 0, 0, 9])]);
        assert!(from_hosts(text, "gone").is_empty());
    }
}
