//! Parameters of the network: files below `/proc/sys/net`, of the namespace of the thread that opens them.

use std::io::ErrorKind;
use std::path::PathBuf;

use boxship_sys::Errno;

use crate::{Error, Result};

/// A parameter, by the parts of its name after `net`.
pub(crate) type Name<'a> = [&'a str];

fn path(name: &Name<'_>) -> PathBuf {
    let mut path = PathBuf::from("/proc/sys/net");
    path.extend(name);
    path
}

fn failed(operation: &'static str, name: &Name<'_>, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
    Error::Refused { operation, object: format!("net.{}", name.join(".")), errno, detail: String::new() }
}

/// Its value; `None` where the kernel has no such parameter (no IPv6, say).
pub(crate) fn read(name: &Name<'_>) -> Result<Option<String>> {
    match std::fs::read_to_string(path(name)) {
        Ok(value) => Ok(Some(value.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read parameter", name, &error)),
    }
}

/// Sees to its value, writing only when it is another: `/proc/sys` may be read-only. `false`: there is no such
/// parameter.
pub(crate) fn set(name: &Name<'_>, value: &str) -> Result<bool> {
    match read(name)? {
        None => Ok(false),
        Some(now) if now == value => Ok(true),
        Some(_) => write(name, value).map(|()| true),
    }
}

/// Writes its value.
pub(crate) fn write(name: &Name<'_>, value: &str) -> Result<()> {
    std::fs::write(path(name), value).map_err(|error| failed("set parameter", name, &error))
}

/// The parts of a parameter of an interface as users write it: `net.ipv4.conf.IFNAME.rp_filter`, where `IFNAME` or the
/// interface's own name stands for the interface. Nothing else can be named that way.
pub(crate) fn of_interface<'a>(key: &'a str, interface: &'a str) -> Result<[&'a str; 4]> {
    let wrong = || Error::Invalid(format!("invalid parameter of an interface: {key:?}"));
    let mut parts = key.splitn(4, '.');
    let (Some("net"), Some(family), Some(group), Some(rest)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let name = ["IFNAME", interface].into_iter().find_map(|name| rest.strip_prefix(name)?.strip_prefix('.'));
    let parameter = name.ok_or_else(wrong)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let known = matches!(family, "ipv4" | "ipv6" | "mpls") && matches!(group, "conf" | "neigh");
    if !known || parameter.is_empty() || !parameter.chars().all(plain) {
        return Err(wrong());
    }
    Ok([family, group, interface, parameter])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_the_interface_can_be_named() {
        for (key, expect) in [
            ("net.ipv4.conf.IFNAME.rp_filter", Some(["ipv4", "conf", "eth0.1", "rp_filter"])),
            ("net.ipv6.neigh.eth0.1.retrans_time_ms", Some(["ipv6", "neigh", "eth0.1", "retrans_time_ms"])),
            ("net.ipv4.conf.eth1.rp_filter", None),
            ("net.ipv4.conf.all.rp_filter", None),
            ("net.ipv4.ip_forward", None),
            ("net.ipv4.conf.IFNAME./../../../kernel/core_pattern", None),
            ("net.ipv4.conf.IFNAME...", None),
            ("net.ipv4.conf.IFNAME.", None),
            ("net.../conf.IFNAME.x", None),
            ("kernel.ipv4.conf.IFNAME.x", None),
            ("", None),
        ] {
            assert_eq!(of_interface(key, "eth0.1").ok(), expect, "{key}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_apart() {
        assert_eq!(read(&["ipv4", "conf", "no-such", "forwarding"]).unwrap(), None);
        assert!(!set(&["ipv4", "conf", "no-such", "forwarding"], "1").unwrap());
        assert!(write(&["ipv4", "conf", "no-such", "forwarding"], "1").is_err());
        assert!(read(&["ipv4", "conf", "lo", "forwarding"]).unwrap().is_some());
    }
}
