//! `--publish` and `--expose`: ports, ranges of them, and where on the host they are published. The words and the
//! corners (`80/` is `80/tcp`, what follows a second dash is not read) are those of Docker's client.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_api::Empty;
use boxship_api::port::{PortBinding, PortMap, PortSet};

/// Ports of the container, and for the published ones where.
pub type Ports = (PortSet, PortMap);

/// Reads every `--publish` and every `--expose`.
pub fn ports(published: &[String], exposed: &[String]) -> Result<Ports, String> {
    let (mut set, mut map) = Ports::default();
    for text in published {
        for (port, binding) in publish(&short_form(text)?)? {
            set.insert(port.clone(), Empty);
            map.entry(port).or_default().get_or_insert_default().push(binding);
        }
    }
    for text in exposed {
        set.extend(expose(text)?.into_iter().map(|port| (port, Empty)));
    }
    Ok((set, map))
}

/// `published=8080,target=80,protocol=udp` in the short form; that one as it is.
fn short_form(text: &str) -> Result<String, String> {
    if !text.contains('=') {
        return Ok(text.to_string());
    }
    let mut fields = BTreeMap::from([("protocol", "tcp")]);
    for field in text.split(',') {
        let (key, value) = field
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid publish opts format (should be name=value but got '{field}')"))?;
        fields.insert(key, value);
    }
    let of = |key| fields.get(key).copied().unwrap_or_default();
    Ok(format!("{}:{}/{}", of("published"), of("target"), of("protocol")))
}

/// One `[[IP:]HOST:]CONTAINER[/PROTOCOL]`.
fn publish(text: &str) -> Result<Vec<(String, PortBinding)>, String> {
    let (host, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (address, host) = host.rsplit_once(':').unwrap_or(("", host));
    let (container, protocol) = protocol(container);
    let address = host_address(address)?;
    if container.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    let (first, last) = range(container).map_err(|_| format!("invalid containerPort: {container}"))?;
    let host_range = match host {
        "" => None,
        host => Some(range(host).map_err(|_| format!("invalid hostPort: {host}"))?),
    };
    // One port of the container may take any of a range on the host.
    let mismatch = host_range.is_some_and(|(low, high)| high - low != last - first);
    if mismatch && first != last {
        return Err(format!("invalid ranges specified for container and host Ports: {container} and {host}"));
    }
    let lower = protocol.to_lowercase();
    if !["tcp", "udp", "sctp"].contains(&lower.as_str()) {
        return Err(format!("invalid proto: {protocol}"));
    }
    let host_port = |at: u16| match host_range {
        None => String::new(),
        Some((low, high)) if first == last && low != high => format!("{low}-{high}"),
        Some((low, _)) => (low + at).to_string(),
    };
    let binding = |at| PortBinding { host_ip: address.clone(), host_port: host_port(at) };
    Ok((0..=last - first).map(|at| (format!("{}/{lower}", first + at), binding(at))).collect())
}

/// One `PORT[-PORT][/PROTOCOL]`. The protocol is the daemon's to judge.
fn expose(text: &str) -> Result<Vec<String>, String> {
    if text.contains(':') {
        return Err(format!("invalid port format for --expose: {text}"));
    }
    let (ports, protocol) = protocol(text);
    let (first, last) =
        range(ports).map_err(|why| format!("invalid range format for --expose: {text}, error: {why}"))?;
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// What stands before and behind the slash; TCP when there is nothing behind.
fn protocol(text: &str) -> (&str, &str) {
    let mut parts = text.split('/');
    let port = parts.next().unwrap_or_default();
    (port, parts.next().filter(|protocol| !protocol.is_empty()).unwrap_or("tcp"))
}

/// An address of the host, without the brackets that IPv6 may have.
fn host_address(text: &str) -> Result<String, String> {
    let bare = match text.strip_prefix('[') {
        None => text,
        Some(rest) => {
            let wrong = |why: &str| format!("invalid IP address {text}: address {text}:: {why} in address");
            match rest.split_once(']') {
                None => return Err(wrong("missing ']'")),
                Some((inner, "")) => inner,
                Some((_, after)) if after.starts_with(':') => return Err(wrong("too many colons")),
                Some(_) => return Err(wrong("missing port")),
            }
        }
    };
    if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address: {bare}"));
    }
    Ok(bare.to_string())
}

/// `80` or `80-90`.
fn range(text: &str) -> Result<(u16, u16), String> {
    if text.is_empty() {
        return Err("empty string specified for ports".into());
    }
    let mut parts = text.split('-');
    let first = number(parts.next().unwrap_or_default())?;
    let last = parts.next().map_or(Ok(first), number)?;
    if last < first {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((first, last))
}

/// A port's number as Go's strconv reads it: digits only.
pub fn number(text: &str) -> Result<u16, String> {
    let wrong = |what| format!("strconv.ParseUint: parsing {text:?}: {what}");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("invalid syntax"));
    }
    text.parse().map_err(|_| wrong("value out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the ports go: `80/tcp=127.0.0.1:8080`; an exposed one has nothing behind.
    fn read(published: &str, exposed: &str) -> Result<String, String> {
        let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        let (set, map) = ports(&words(published), &words(exposed))?;
        let one = |port: &String| match map.get(port) {
            None => vec![port.clone()],
            Some(bindings) => bindings
                .iter()
                .flatten()
                .map(|binding| format!("{port}={}:{}", binding.host_ip, binding.host_port))
                .collect(),
        };
        Ok(set.keys().flat_map(one).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn ports_in_every_form() {
        for (published, exposed, expected) in [
            ("80", "", "80/tcp=:"),
            ("8080:80 8081:80", "", "80/tcp=:8080 80/tcp=:8081"),
            ("127.0.0.1:8000:80", "", "80/tcp=127.0.0.1:8000"),
            ("[::1]:80:80/udp", "", "80/udp=::1:80"),
            ("::1::80", "", "80/tcp=::1:"),
            ("8000-8001:80-81", "", "80/tcp=:8000 81/tcp=:8001"),
            ("8000-8010:80", "", "80/tcp=:8000-8010"),
            ("80-81/SCTP", "", "80/sctp=: 81/sctp=:"),
            ("65535:65535", "", "65535/tcp=:65535"),
            ("0:80", "80 81/udp", "80/tcp=:0 81/udp"),
            ("published=8080,target=80,mode=ingress", "", "80/tcp=:8080"),
            ("", "7-8", "7/tcp 8/tcp"),
        ] {
            assert_eq!(read(published, exposed).as_deref(), Ok(expected), "{published} {exposed}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_never_panics() {
        for text in
            ["[", "[]:", "]:1:2", "-", "1-", "[::1]x:1:2", "[::1]:x:1:2", "::::", "/", "99999999999", "a=b=c"]
        {
            assert!(publish(text).is_err(), "{text}");
        }
        assert_eq!(number("+1").unwrap_err(), "strconv.ParseUint: parsing \"+1\": invalid syntax");
        assert_eq!(number("65536").unwrap_err(), "strconv.ParseUint: parsing \"65536\": value out of range");
    }
}
