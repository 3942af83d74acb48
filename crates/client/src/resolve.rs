//! The addresses of a host name, without glibc: a static executable must not load NSS modules.
//!
//! `/etc/hosts` first, then the resolvers of `/etc/resolv.conf`.

use std::fs;
use std::net::IpAddr;

use hickory_resolver::TokioResolver;

use crate::{Error, Result};

/// The addresses of `host`: itself when it is one.
pub async fn addresses(host: &str) -> Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let known = from_hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), host);
    if !known.is_empty() {
        return Ok(known);
    }
    let failed = |reason: String| Error::Resolve { host: host.to_string(), reason };
    let resolver = TokioResolver::builder_tokio().map_err(|e| failed(e.to_string()))?;
    let resolver = resolver.build().map_err(|e| failed(e.to_string()))?;
    let found = resolver.lookup_ip(host).await.map_err(|error| {
        failed(match error.is_no_records_found() || error.is_nx_domain() {
            true => "no such host".into(),
            false => error.to_string(),
        })
    })?;
    Ok(found.iter().collect())
}

/// The addresses of `host` in the text of a hosts file (hosts(5)).
fn from_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_asked_first() {
        let text = "127.0.0.1 localhost\n::1 localhost # loopback\n10.0.0.9\tbox box.lan\n#10.0.0.1 gone\n";
        assert_eq!(from_hosts(text, "localhost").len(), 2);
        assert_eq!(from_hosts(text, "BOX.lan"), ["10.0.0.9".parse::<IpAddr>().unwrap()]);
        assert!(from_hosts(text, "gone").is_empty());
    }
}
