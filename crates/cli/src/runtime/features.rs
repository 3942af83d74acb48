//! `features`: what this runtime supports, in the specification's form.

use boxship_oci::runtime::features::{
    CgroupFeatures, Enabled, Features, LinuxFeatures, MountExtensions, SeccompFeatures,
};
use boxship_oci::runtime::{CAPABILITIES, VERSION};
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
        mount_options: Some(boxship_runtime::known_mount_options()),
        linux: Some(LinuxFeatures {
            namespaces: names(&["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]),
            capabilities: names(&CAPABILITIES),
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
