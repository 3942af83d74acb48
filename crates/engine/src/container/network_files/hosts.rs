//! The text of /etc/hosts: pure functions. What the container wrote itself stays when our lines change.

use std::net::IpAddr;

use crate::{Error, Result};

const LOCALHOST4: &str = "127.0.0.1\tlocalhost\n";
const LOCALHOST6: &str = "::1\tlocalhost ip6-localhost ip6-loopback\n\
                          fe00::\tip6-localnet\n\
                          ff00::\tip6-mcastprefix\n\
                          ff02::1\tip6-allnodes\n\
                          ff02::2\tip6-allrouters\n";

/// An address and the names for it, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) address: IpAddr,
    pub(super) names: String,
}

impl Line {
    pub(super) fn new(address: IpAddr, names: impl Into<String>) -> Self {
        // An IPv4 address is written as one, also when it came in IPv6's clothes.
        Self { address: address.to_canonical(), names: names.into() }
    }

    /// Whether a line of the file says exactly this.
    fn is(&self, line: &[u8]) -> bool {
        let Ok(line) = std::str::from_utf8(line) else { return false };
        let Some((address, names)) = line.split_once('\t') else { return false };
        names == self.names && address.trim().parse::<IpAddr>().is_ok_and(|address| address == self.address)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}\t{}", self.address, self.names)
    }
}

/// The whole file.
pub(super) fn text(lines: &[Line], ipv6: bool) -> String {
    let base = if ipv6 { [LOCALHOST4, LOCALHOST6].concat() } else { LOCALHOST4.to_owned() };
    let kept = lines.iter().filter(|line| ipv6 || line.address.is_ipv4());
    kept.fold(base, |text, line| text + &line.to_string())
}

/// The file with some of our lines taken away and others added at its end.
pub(super) fn changed(text: &[u8], gone: &[Line], new: &[Line]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if !gone.iter().any(|ours| ours.is(line)) {
            out.extend(line);
            out.push(b'\n');
        }
    }
    out.extend(new.iter().flat_map(|line| line.to_string().into_bytes()));
    out
}

/// `--add-host` lines (`name:address`); `host-gateway` stands for the addresses the host has for containers.
pub(super) fn extra(asked: &[String], host_gateway: &[IpAddr]) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for text in asked {
        let (name, address) = text
            .split_once([':', '='])
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Error::invalid(format!("bad format for add-host: \"{text}\"")))?;
        if address == "host-gateway" {
            if host_gateway.is_empty() {
                return Err(Error::invalid("unable to derive the IP value for host-gateway"));
            }
            lines.extend(host_gateway.iter().map(|address| Line::new(*address, name)));
            continue;
        }
        let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let parsed = plain
            .parse()
            .map_err(|_| Error::invalid(format!("invalid IP address in add-host: \"{address}\"")))?;
        lines.push(Line::new(parsed, name));
    }
    Ok(lines)
}

/// A container's own names: as a whole, and without the domain.
pub(super) fn own_names(hostname: &str, domain: &str) -> String {
    let whole = if domain.is_empty() { hostname.to_owned() } else { format!("{hostname}.{domain}") };
    match whole.split_once('.') {
        Some((first, _)) => format!("{whole} {first}"),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn line(address: &str, names: &str) -> Line {
        Line::new(address.parse().unwrap(), names)
    }

    #[test]
    fn whole_files() {
        let lines = [line("172.18.0.2", "box"), line("fd00::2", "box")];
        assert_eq!(text(&lines, false), "127.0.0.1\tlocalhost\n172.18.0.2\tbox\n");
        assert_eq!(text(&lines, true), format!("{LOCALHOST4}{LOCALHOST6}172.18.0.2\tbox\nfd00::2\tbox\n"));
    }

    #[test]
    fn changes_touch_only_our_lines() {
        let file = b"127.0.0.1\tlocalhost\n\n# own\n10.0.0.1 mine\n172.18.0.2\tbox\n172.18.0.2\tbox mine\n\xff\tx\nlast";
        let (gone, new) = ([line("172.18.0.2", "box")], [line("172.19.0.2", "box")]);
        let wanted = b"127.0.0.1\tlocalhost\n# own\n10.0.0.1 mine\n172.18.0.2\tbox mine\n\xff\tx\nlast\n172.19.0.2\tbox\n";
        assert_eq!(changed(file, &gone, &new), wanted);
        assert_eq!(changed(b"", &gone, &[]), b"");
    }

    #[test]
    fn add_host() {
        let gateway: [IpAddr; 2] = ["172.17.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        for (asked, wanted) in [
            ("db:10.0.0.1", vec![line("10.0.0.1", "db")]),
            ("v6:::1", vec![line("::1", "v6")]),
            ("x=[fe80::1]", vec![line("fe80::1", "x")]),
            ("x:::ffff:10.0.0.1", vec![line("10.0.0.1", "x")]),
            ("h:host-gateway", vec![line("172.17.0.1", "h"), line("fd00::1", "h")]),
        ] {
            assert_eq!(extra(&[asked.to_owned()], &gateway).unwrap(), wanted, "{asked}");
        }
        for bad in ["nothing", "x:host-gateway", "x:300.1.1.1", ":1.2.3.4", "x:"] {
            assert_eq!(extra(&[bad.to_owned()], &[]).unwrap_err().kind(), Kind::Invalid, "{bad}");
        }
    }

    #[test]
    fn names() {
        for (hostname, domain, wanted) in [
            ("box", "", "box"),
            ("box", "example.org", "box.example.org box"),
            ("box.example.org", "", "box.example.org box"),
        ] {
            assert_eq!(own_names(hostname, domain), wanted);
        }
    }
}
