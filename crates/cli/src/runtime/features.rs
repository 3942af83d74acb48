//! `features`: what this runtime supports, in the specification's form.

use boxship_oci::runtime::VERSION;
use boxship_oci::runtime::features::{
    CgroupFeatures, Enabled, Features, LinuxFeatures, MountExtensions, SeccompFeatures,
};
use boxship_runtime::seccomp::supported;

use super::arguments::Arguments;
use super::failure::Result;
use super::{Context, print};

pub(super) fn run(_: &Context, _: &Arguments) -> Result<u8> {
    print(&format!("{}\n", serde_json::to_string_pretty(&features())?))
}

fn features() -> Features {
    let version = ("org.boxship.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let checkpoint = ("org.opencontainers.runc.checkpoint.enabled".to_owned(), "false".to_owned());
    Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: VERSION.to_owned(),
        hooks: names(HOOKS),
        mount_options: names(MOUNT_OPTIONS),
        linux: Some(LinuxFeatures {
            namespaces: names(&["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]),
            capabilities: names(CAPABILITIES),
            cgroup: Some(CgroupFeatures {
                v1: Some(true),
                v2: Some(true),
                systemd: Some(false),
                systemd_user: Some(false),
                rdma: Some(true),
            }),
            seccomp: Some(seccomp()),
            apparmor: enabled(true),
            selinux: enabled(true),
            intel_rdt: enabled(false),
            mount_extensions: Some(MountExtensions { idmap: enabled(true) }),
            net_devices: enabled(false),
        }),
        annotations: [version, checkpoint].into_iter().collect(),
        potentially_unsafe_config_annotations: names(&["bundle", "org.systemd.property.", "org.criu.config"]),
    }
}

fn seccomp() -> SeccompFeatures {
    let flags = supported::flags();
    let known = flags.iter().map(|(name, _)| (*name).to_owned()).collect();
    let here = flags.iter().filter(|(_, here)| *here).map(|(name, _)| (*name).to_owned()).collect();
    SeccompFeatures {
        enabled: Some(true),
        actions: names(supported::ACTIONS),
        operators: names(supported::OPERATORS),
        archs: names(supported::ARCHITECTURES),
        known_flags: Some(known),
        supported_flags: Some(here),
    }
}

#[allow(clippy::unnecessary_wraps)] // The fields are optional: absent means "unknown".
fn enabled(value: bool) -> Option<Enabled> {
    Some(Enabled { enabled: Some(value) })
}

#[allow(clippy::unnecessary_wraps)] // As above.
fn names(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|name| (*name).to_owned()).collect())
}

const HOOKS: &[&str] =
    &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

const MOUNT_OPTIONS: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// All that Linux has (linux/capability.h).
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
