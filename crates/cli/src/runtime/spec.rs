//! `spec`: a config.json to start from, the same that runc writes.

use boxship_oci::runtime::{
    Capabilities, DeviceRule, IdMapping, Linux, Mount, Namespace, NamespaceKind, Process, Resources, Rlimit,
    Root, Spec, VERSION,
};

use super::Context;
use super::arguments::{Arguments, Flag, switch, value};
use super::failure::{Failure, Result};

pub(super) const FLAGS: &[Flag] = &[
    value("bundle", Some('b'), "folder of the bundle (default: the current one)"),
    switch("rootless", None, "for a container that a user without privileges runs"),
];

pub(super) fn run(_: &Context, arguments: &Arguments) -> Result<u8> {
    let path = std::path::absolute(arguments.text("bundle").unwrap_or("."))?.join("config.json");
    let mut spec = example();
    if arguments.has("rootless") {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        make_rootless(&mut spec, uid, gid);
    }
    let mut text = serde_json::to_vec_pretty(&spec)?;
    text.push(b'\n');
    let mut file = match std::fs::File::create_new(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::new("File config.json exists. Remove it first"));
        }
        other => {
            other.map_err(|error| Failure::from(error).while_doing(&format!("create {}", path.display())))?
        }
    };
    std::io::Write::write_all(&mut file, &text)?;
    Ok(0)
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn example() -> Spec {
    Spec {
        oci_version: VERSION.to_owned(),
        process: Some(process()),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        hostname: Some("boxship".to_owned()),
        mounts: MOUNTS.iter().map(mount).collect(),
        linux: Some(linux()),
        ..Spec::default()
    }
}

fn process() -> Process {
    let kept = words(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Process {
        terminal: true,
        args: words(&["sh"]),
        env: words(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
        cwd: "/".into(),
        no_new_privileges: true,
        capabilities: Some(Capabilities {
            bounding: kept.clone(),
            effective: kept.clone(),
            permitted: kept,
            ..Capabilities::default()
        }),
        rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".to_owned(), hard: 1024, soft: 1024 }],
        ..Process::default()
    }
}

/// Destination, type, source, options.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

const MOUNTS: &[Row] = &[
    ("/proc", "proc", "proc", &[]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
];

fn mount(row: &Row) -> Mount {
    let (destination, kind, source, options) = row;
    Mount {
        destination: destination.into(),
        kind: Some((*kind).to_owned()),
        source: Some(source.into()),
        options: words(options),
        ..Mount::default()
    }
}

fn linux() -> Linux {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Uts};
    let namespaces = [Pid, Network, Ipc, Uts, Mount, Cgroup];
    let paths = |list: &[&str]| list.iter().map(Into::into).collect();
    Linux {
        resources: Some(Resources {
            devices: vec![DeviceRule {
                allow: false,
                access: Some("rwm".to_owned()),
                ..DeviceRule::default()
            }],
            ..Resources::default()
        }),
        namespaces: namespaces.map(|kind| Namespace { kind, path: None }).to_vec(),
        masked_paths: paths(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ]),
        readonly_paths: paths(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        ..Linux::default()
    }
}

/// Without privileges there is no network namespace worth having, no limit, and one user.
fn make_rootless(spec: &mut Spec, uid: u32, gid: u32) {
    let Some(linux) = &mut spec.linux else { return };
    linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
    linux.uid_mappings = vec![IdMapping { container_id: 0, host_id: uid, size: 1 }];
    linux.gid_mappings = vec![IdMapping { container_id: 0, host_id: gid, size: 1 }];
    linux.resources = None;
    for mount in &mut spec.mounts {
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
        if mount.destination.as_os_str() == "/sys" {
            // A new sysfs belongs to the network namespace's owner.
            mount.kind = Some("none".to_owned());
            mount.source = Some("/sys".into());
            mount.options = words(&["rbind", "nosuid", "noexec", "nodev", "ro"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rootless_leaves_nothing_that_needs_rights() {
        let mut spec = example();
        make_rootless(&mut spec, 1000, 100);
        let linux = spec.linux.unwrap();
        assert!(linux.resources.is_none());
        assert!(linux.namespaces.iter().all(|it| it.kind != NamespaceKind::Network));
        assert_eq!(linux.uid_mappings[0].host_id, 1000);
        assert!(
            spec.mounts.iter().flat_map(|mount| &mount.options).all(|option| !option.starts_with("gid="))
        );
    }

    #[test]
    fn written_and_read_again() {
        let spec = example();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    }
}
