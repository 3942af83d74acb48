//! Namespaces: made, joined, mapped.

use std::path::PathBuf;

use boxship_oci::runtime::{IdMapping, Namespace, NamespaceKind};

use crate::Test;
use crate::bundle::Bundle;

pub const TESTS: &[Test] = &[
    ("namespaces::joined", joined),
    ("namespaces::user", user),
    ("namespaces::user_with_joined_network", user_with_joined_network),
    ("namespaces::user_joined", user_joined),
    ("namespaces::time", time),
    ("namespaces::of_the_host", of_the_host),
    ("namespaces::none_at_all", none_at_all),
];

const ALL: &str = "for kind in pid net ipc uts mnt cgroup user; do readlink /proc/self/ns/$kind; done";

fn set(bundle: &mut Bundle, kind: NamespaceKind, path: Option<PathBuf>) {
    bundle.linux().namespaces.retain(|namespace| namespace.kind != kind);
    bundle.linux().namespaces.push(Namespace { kind, path });
}

fn map_users(bundle: &mut Bundle) {
    let mapping = vec![IdMapping { container_id: 0, host_id: 100_000, size: 65536 }];
    bundle.linux().uid_mappings = mapping.clone();
    bundle.linux().gid_mappings = mapping;
    for name in ["", "tmp", "dev", "etc", "proc", "sys", "run", "root", "bin"] {
        std::os::unix::fs::chown(bundle.rootfs().join(name), Some(100_000), Some(100_000)).unwrap();
    }
}

fn joined() {
    let first = Bundle::new("sleep 100");
    let (started, ..) = first.start();
    let mut second = Bundle::new(ALL);
    for (kind, file) in [
        (NamespaceKind::Pid, "pid"),
        (NamespaceKind::Network, "net"),
        (NamespaceKind::Ipc, "ipc"),
        (NamespaceKind::Uts, "uts"),
    ] {
        set(&mut second, kind, Some(format!("/proc/{}/ns/{file}", started.pid).into()));
    }
    second.spec.hostname = None;
    let out = second.output();
    let seen: Vec<&str> = out.lines().collect();
    for (index, file) in ["pid", "net", "ipc", "uts"].into_iter().enumerate() {
        let expected = std::fs::read_link(format!("/proc/{}/ns/{file}", started.pid)).unwrap();
        assert_eq!(seen[index], expected.to_str().unwrap());
    }
    first.stop(&started);
}

fn user() {
    let mut bundle = Bundle::new(
        "id -u; cat /proc/self/uid_map; touch /tmp/mine; stat -c %u /tmp/mine; echo x > /dev/null && echo fine; ls /sys/fs/cgroup > /dev/null; hostname",
    );
    set(&mut bundle, NamespaceKind::User, None);
    map_users(&mut bundle);
    let out = bundle.output();
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "0", "fine", "inside"], "{out}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(bundle.rootfs().join("tmp/mine")).unwrap().uid(), 100_000);
}

fn user_with_joined_network() {
    let first = Bundle::new("sleep 100");
    let (started, ..) = first.start();
    let mut second = Bundle::new("readlink /proc/self/ns/net; id -u");
    set(&mut second, NamespaceKind::User, None);
    set(&mut second, NamespaceKind::Network, Some(format!("/proc/{}/ns/net", started.pid).into()));
    map_users(&mut second);
    // A new sysfs needs rights over the network namespace.
    second.spec.mounts.retain(|mount| !mount.destination.starts_with("/sys"));
    second.linux().masked_paths.retain(|path| path.starts_with("/proc"));
    let net = std::fs::read_link(format!("/proc/{}/ns/net", started.pid)).unwrap();
    assert_eq!(second.output(), format!("{}\n0\n", net.display()));
    first.stop(&started);
}

fn user_joined() {
    let mut first = Bundle::new("sleep 100");
    set(&mut first, NamespaceKind::User, None);
    map_users(&mut first);
    let (started, ..) = first.start();
    let mut second = Bundle::new("readlink /proc/self/ns/user; id -u");
    set(&mut second, NamespaceKind::User, Some(format!("/proc/{}/ns/user", started.pid).into()));
    map_users(&mut second);
    second.linux().uid_mappings.clear();
    second.linux().gid_mappings.clear();
    let users = std::fs::read_link(format!("/proc/{}/ns/user", started.pid)).unwrap();
    assert_eq!(second.output(), format!("{}\n0\n", users.display()));
    first.stop(&started);
}

fn time() {
    let mut bundle = Bundle::new("cat /proc/uptime; readlink /proc/self/ns/time");
    set(&mut bundle, NamespaceKind::Time, None);
    bundle.linux().time_offsets = serde_json::from_str(r#"{"boottime":{"secs":1000000000}}"#).unwrap();
    let out = bundle.output();
    let uptime: f64 = out.split(['.', ' ']).next().unwrap().parse().unwrap();
    assert!(uptime > 1e9, "{out}");
    assert_ne!(
        out.lines().nth(1).unwrap(),
        std::fs::read_link("/proc/self/ns/time").unwrap().to_str().unwrap()
    );
}

fn of_the_host() {
    let mut bundle = Bundle::new(ALL);
    bundle.linux().namespaces.retain(|namespace| namespace.kind == NamespaceKind::Mount);
    bundle.spec.hostname = None;
    let out = bundle.output();
    let seen: Vec<&str> = out.lines().collect();
    for (index, file) in ["pid", "net", "ipc", "uts"].into_iter().enumerate() {
        assert_eq!(
            seen[index],
            std::fs::read_link(format!("/proc/self/ns/{file}")).unwrap().to_str().unwrap()
        );
    }
}

/// Without a mount namespace the mounts are the host's; with the container they go.
fn none_at_all() {
    let mut bundle = Bundle::new("sleep 100");
    bundle.linux().namespaces.clear();
    bundle.linux().masked_paths.clear();
    bundle.linux().readonly_paths.clear();
    bundle.spec.hostname = None;
    bundle.spec.root.as_mut().unwrap().readonly = true;
    let (started, ..) = bundle.start();
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"] {
        let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert_eq!(link(&started.pid.to_string()), link("self"));
    }
    assert_eq!(
        bundle.exec("ls /proc/1 > /dev/null && cat /proc/sys/kernel/ostype; ls /home").out,
        "Linux\nann\n"
    );
    bundle.stop(&started);
    bundle.process().args = vec!["nothing-such".to_owned()];
    bundle.refusal();
}
