//! Kernel parameters of a container: only those that belong to namespaces of its own, so that it cannot turn the
//! host's knobs.

use std::path::PathBuf;

use boxship_oci::runtime::sysctl::IPC_PARAMETERS;
use boxship_sys::namespace::Kind;
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::plan::Namespaces;

/// Checks the parameters and turns their names into paths below `/proc/sys`.
pub(crate) fn check(
    sysctls: &IndexMap<String, String>,
    namespaces: &Namespaces,
) -> Result<Vec<(PathBuf, String)>> {
    sysctls
        .iter()
        .map(|(name, value)| {
            let path = path_of(name).ok_or_else(|| Error::Invalid(format!("sysctl name {name:?}")))?;
            check_namespace(name, &path, namespaces)?;
            Ok((PathBuf::from("sys").join(path), value.clone()))
        })
        .collect()
}

/// `net.ipv4.ip_forward`, or with slashes so that device names can contain dots (`net/ipv4/conf/eth0.1/…`): whichever
/// separator comes first is the separator.
fn path_of(name: &str) -> Option<String> {
    let slashes = match name.find(['.', '/']) {
        Some(index) => name.as_bytes()[index] == b'/',
        None => true,
    };
    let path: String = if slashes {
        name.to_owned()
    } else {
        name.chars()
            .map(|letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect()
    };
    let sane = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    sane.then_some(path)
}

fn check_namespace(name: &str, path: &str, namespaces: &Namespaces) -> Result<()> {
    let of_ipc = IPC_PARAMETERS.iter().any(|parameter| path_of(parameter).as_deref() == Some(path));
    let needed = if of_ipc || path.starts_with("fs/mqueue/") {
        Kind::Ipc
    } else if path.starts_with("net/") {
        Kind::Network
    } else if path == "kernel/domainname" {
        Kind::Uts
    } else if path.starts_with("user/") {
        Kind::User
    } else if path == "kernel/hostname" {
        return Err(Error::Invalid("sysctl kernel.hostname: use hostname instead".to_owned()));
    } else {
        return Err(Error::Invalid(format!("sysctl {name:?} is not in a separate kernel namespace")));
    };
    if namespaces.has(needed) {
        return Ok(());
    }
    Err(Error::Invalid(format!("sysctl {name:?} is not allowed in the host's {} namespace", needed.file())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        for (name, path) in [
            ("net.ipv4.ip_forward", Some("net/ipv4/ip_forward")),
            ("net/ipv4/conf/eth0.1/forwarding", Some("net/ipv4/conf/eth0.1/forwarding")),
            ("net.ipv4.conf.eth0/1.forwarding", Some("net/ipv4/conf/eth0.1/forwarding")),
            ("net..x", None),
            ("../x", None),
            ("net/../../x", None),
            ("", None),
        ] {
            assert_eq!(path_of(name).as_deref(), path, "{name}");
        }
    }

    #[test]
    fn only_the_containers_own() {
        let own = Namespaces { new: Kind::Network.flag() | Kind::Ipc.flag(), ..Namespaces::default() };
        for (name, fine) in [
            ("net.core.somaxconn", true),
            ("kernel.shmmax", true),
            ("fs.mqueue.msg_max", true),
            ("kernel.panic", false),
            ("kernel.hostname", false),
            ("kernel.domainname", false),
            ("vm.swappiness", false),
        ] {
            let sysctls = IndexMap::from([(name.to_owned(), "1".to_owned())]);
            assert_eq!(check(&sysctls, &own).is_ok(), fine, "{name}");
            check(&sysctls, &Namespaces::default()).unwrap_err();
        }
    }
}
