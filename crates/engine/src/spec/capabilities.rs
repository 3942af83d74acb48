//! Capabilities: Docker's default set, and what `--cap-add`, `--cap-drop` and `--privileged` make of it.

use super::host::{Host, is_known_capability};
use crate::{Error, Result};

/// What a container has unless asked otherwise, in Docker's order.
pub const DEFAULT: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const ALL: &str = "ALL";

/// Upper case, with the `CAP_` prefix; refuses what the kernel does not know.
pub fn normalize(names: &[String], host: &Host) -> Result<Vec<String>> {
    names.iter().map(|name| normalize_one(name, host)).collect()
}

fn normalize_one(name: &str, host: &Host) -> Result<String> {
    let upper = name.to_uppercase();
    if upper == ALL {
        return Ok(upper);
    }
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    if !is_known_capability(&full) {
        return Err(Error::invalid(format!("unknown capability: {full:?}")));
    }
    if !host.capabilities.contains(&full.as_str()) {
        return Err(Error::invalid(format!(
            "capability not supported by your kernel or not available in the current environment: {full:?}"
        )));
    }
    Ok(full)
}

/// The capabilities of a container.
pub fn resolve(add: &[String], drop: &[String], privileged: bool, host: &Host) -> Result<Vec<String>> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    if privileged {
        return Ok(owned(&host.capabilities));
    }
    let (add, drop) = (normalize(add, host)?, normalize(drop, host)?);
    let has = |list: &[String], name: &str| list.iter().any(|one| one == name);
    let mut result: Vec<String> = if has(&add, ALL) {
        owned(&host.capabilities).into_iter().filter(|name| !has(&drop, name)).collect()
    } else if has(&drop, ALL) {
        add
    } else {
        let available = DEFAULT.iter().filter(|name| host.capabilities.contains(name));
        let kept = available.filter(|name| !has(&drop, name)).map(|&name| name.to_owned());
        kept.chain(add).collect()
    };
    let mut seen = std::collections::HashSet::new();
    result.retain(|name| seen.insert(name.clone()));
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_and_dropped() {
        let host = Host::example(true);
        let run = |add: &[&str], drop: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
            resolve(&list(add), &list(drop), false, &host).unwrap()
        };
        assert_eq!(run(&[], &[]), DEFAULT);
        assert_eq!(run(&["net_admin"], &["ALL"]), ["CAP_NET_ADMIN"]);
        assert_eq!(run(&["CAP_chown"], &[]), DEFAULT);
        assert_eq!(run(&[], &["CAP_CHOWN"]), DEFAULT[1..]);
        let all = run(&["all"], &["SYS_ADMIN"]);
        assert_eq!(all.len(), host.capabilities.len() - 1);
        assert!(!all.contains(&"CAP_SYS_ADMIN".to_owned()));
        assert_eq!(resolve(&[], &[], true, &host).unwrap().len(), host.capabilities.len());
    }

    #[test]
    fn unknown_ones_are_refused() {
        let mut host = Host::example(true);
        host.capabilities.retain(|&name| name != "CAP_BPF");
        for (name, message) in [
            ("bogus", "unknown capability: \"CAP_BOGUS\""),
            (
                "BPF",
                "capability not supported by your kernel or not available in the current environment: \"CAP_BPF\"",
            ),
        ] {
            let error = normalize(&[name.to_owned()], &host).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
