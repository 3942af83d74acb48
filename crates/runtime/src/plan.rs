//! What a container shall be, checked against the specification's rules before anything happens. Pure but for opening
//! what the specification names on the host: bind sources, namespaces to join.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use boxship_oci::runtime::{
    Device, DeviceKind, IdMapping, Linux, Mount, NamespaceKind, Personality, PersonalityDomain, Spec,
};
use boxship_sys::namespace::{self, Kind};

use crate::error::{Error, Result};
use crate::mount_options::{Bind, Options, root_propagation};
use crate::process_plan::{ProcessPlan, grantable};
use crate::{hooks, seccomp, sysctl};

/// A container to be.
#[derive(Debug)]
pub(crate) struct Plan {
    pub process: ProcessPlan,
    pub namespaces: Namespaces,
    pub root: Root,
    pub mounts: Vec<MountPlan>,
    pub devices: Vec<Device>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub sysctls: Vec<(PathBuf, String)>,
    pub masked: Vec<PathBuf>,
    pub readonly: Vec<PathBuf>,
    pub personality: Option<u64>,
}

/// Which namespaces the container gets.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// `CLONE_NEW*` bits of new ones.
    pub new: u64,
    /// Those of others, to be joined.
    pub joined: Vec<(Kind, OwnedFd)>,
    /// `uid_map` and `gid_map` of a new user namespace.
    pub maps: Option<(String, String)>,
    /// `timens_offsets` of a new time namespace.
    pub time_offsets: Option<String>,
}

/// The root file system.
#[derive(Debug)]
pub(crate) struct Root {
    /// `root.path`, absolute.
    pub path: PathBuf,
    pub readonly: bool,
    /// `rootfsPropagation`, and whether for all below too.
    pub propagation: Option<(u64, bool)>,
}

/// One mount of the specification.
#[derive(Debug)]
pub(crate) struct MountPlan {
    pub destination: PathBuf,
    pub what: What,
    pub options: Options,
    pub uid_mappings: Vec<IdMapping>,
    pub gid_mappings: Vec<IdMapping>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A part of the host's tree.
    Bind(PathBuf, Bind),
    /// The container's control groups.
    Cgroup,
    /// A new file system of this type, with the source's name.
    FileSystem(String, Option<String>),
    /// Nothing new: what is there gets other attributes.
    Remount,
}

impl Namespaces {
    /// Whether the container has its own of this kind, made or joined.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.is_new(kind) || self.joined.iter().any(|(joined, _)| *joined == kind)
    }

    /// Whether it is to be made.
    pub(crate) fn is_new(&self, kind: Kind) -> bool {
        self.new & kind.flag() != 0
    }

    /// The bits of all kinds that are not simply the caller's.
    pub(crate) fn bits(&self) -> u64 {
        self.joined.iter().fold(self.new, |bits, (kind, _)| bits | kind.flag())
    }
}

/// The execution domain as personality(2) numbers it.
pub(crate) fn persona(personality: &Personality) -> u64 {
    match personality.domain {
        PersonalityDomain::Linux => 0,
        PersonalityDomain::Linux32 => 8,
    }
}

impl Plan {
    /// Checks a specification; relative paths start at the bundle.
    pub(crate) fn new(spec: &Spec, bundle: &Path) -> Result<Self> {
        let invalid = |text: &str| Error::Invalid(text.to_owned());
        check_version(&spec.oci_version)?;
        let none = Linux::default();
        let linux = spec.linux.as_ref().unwrap_or(&none);
        let process = spec.process.as_ref().ok_or_else(|| invalid("process is missing"))?;
        let root = spec.root.as_ref().ok_or_else(|| invalid("root is missing"))?;
        if let Some(hooks) = &spec.hooks {
            hooks::check(hooks)?;
        }
        check_unsupported(linux)?;
        let program = linux.seccomp.as_ref().map(seccomp::compile).transpose()?;
        let namespaces = namespaces(linux)?;
        let plan = Self {
            process: ProcessPlan::new(process, program, grantable(namespaces.has(Kind::User)))?,
            root: Root {
                path: bundle.join(&root.path),
                readonly: root.readonly,
                propagation: linux
                    .rootfs_propagation
                    .as_deref()
                    .filter(|word| !word.is_empty())
                    .map(|word| {
                        root_propagation(word)
                            .ok_or_else(|| Error::Invalid(format!("rootfsPropagation {word:?} is unknown")))
                    })
                    .transpose()?,
            },
            mounts: spec
                .mounts
                .iter()
                .map(|mount| mount_plan(mount, bundle, linux.mount_label.as_deref()))
                .collect::<Result<_>>()?,
            devices: linux.devices.clone(),
            hostname: spec.hostname.clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname.clone().filter(|name| !name.is_empty()),
            sysctls: sysctl::check(&linux.sysctl, &namespaces)?,
            masked: linux.masked_paths.clone(),
            readonly: linux.readonly_paths.clone(),
            personality: linux.personality.as_ref().map(persona),
            namespaces,
        };
        plan.check_namespaces()?;
        plan.check_devices()?;
        Ok(plan)
    }

    /// Whether the runtime fills `/dev`: not when the specification puts a folder of the host there.
    pub(crate) fn fills_dev(&self) -> bool {
        let is_dev = |mount: &&MountPlan| {
            matches!(mount.what, What::Bind(..)) && clean(&mount.destination) == Path::new("/dev")
        };
        !self.mounts.iter().any(|mount| is_dev(&mount))
    }

    fn check_namespaces(&self) -> Result<()> {
        let needs = |kind: Kind, what: &str| {
            if self.namespaces.has(kind) {
                return Ok(());
            }
            Err(Error::Invalid(format!("{what} needs a {} namespace of the container's own", kind.file())))
        };
        if self.hostname.is_some() {
            needs(Kind::Uts, "hostname")?;
        }
        if self.domainname.is_some() {
            needs(Kind::Uts, "domainname")?;
        }
        if !self.masked.is_empty() || !self.readonly.is_empty() {
            needs(Kind::Mount, "maskedPaths or readonlyPaths")?;
        }
        if self.namespaces.is_new(Kind::User) && self.namespaces.maps.is_none() {
            return Err(Error::Invalid("a new user namespace needs uidMappings and gidMappings".to_owned()));
        }
        Ok(())
    }

    fn check_devices(&self) -> Result<()> {
        for device in &self.devices {
            if !device.path.is_absolute() {
                return Err(Error::Invalid(format!("device path {:?} is not absolute", device.path)));
            }
            if device.kind == DeviceKind::All {
                return Err(Error::Invalid(format!("device {:?} cannot have type \"a\"", device.path)));
            }
        }
        Ok(())
    }
}

/// Semantic versions of the first major number are understood.
fn check_version(version: &str) -> Result<()> {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = numbers.split('.').collect();
    let number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match parts[..] {
        [major, ..] if parts.len() == 3 && parts.iter().all(number) && major == "1" => Ok(()),
        _ => Err(Error::Invalid(format!(
            "ociVersion {version:?} is not a version this runtime understands (1.x.y)"
        ))),
    }
}

fn check_unsupported(linux: &Linux) -> Result<()> {
    if linux.intel_rdt.is_some() {
        return Err(Error::Unsupported("intelRdt".to_owned()));
    }
    if !linux.net_devices.is_empty() {
        return Err(Error::Unsupported("netDevices".to_owned()));
    }
    if linux.mount_label.as_ref().is_some_and(|label| !label.is_empty()) && !crate::security::has_selinux() {
        return Err(Error::Unsupported("mountLabel: SELinux is not enabled on this host".to_owned()));
    }
    Ok(())
}

fn kind_of(kind: NamespaceKind) -> Kind {
    match kind {
        NamespaceKind::Pid => Kind::Pid,
        NamespaceKind::Network => Kind::Network,
        NamespaceKind::Mount => Kind::Mount,
        NamespaceKind::Ipc => Kind::Ipc,
        NamespaceKind::Uts => Kind::Uts,
        NamespaceKind::User => Kind::User,
        NamespaceKind::Cgroup => Kind::Cgroup,
        NamespaceKind::Time => Kind::Time,
    }
}

fn namespaces(linux: &Linux) -> Result<Namespaces> {
    let mut result = Namespaces::default();
    for wanted in &linux.namespaces {
        let kind = kind_of(wanted.kind);
        if result.has(kind) {
            return Err(Error::Invalid(format!("namespace {} is given twice", kind.file())));
        }
        match wanted.path.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            None => result.new |= kind.flag(),
            Some(path) if !path.is_absolute() => {
                return Err(Error::Invalid(format!("namespace path {path:?} is not absolute")));
            }
            Some(path) => {
                let namespace = namespace::open(path).map_err(Error::system("open namespace to join"))?;
                result.joined.push((kind, namespace));
            }
        }
    }
    let mapped = !linux.uid_mappings.is_empty() && !linux.gid_mappings.is_empty();
    if result.is_new(Kind::User) && mapped {
        result.maps = Some((map_text(&linux.uid_mappings), map_text(&linux.gid_mappings)));
    }
    if !linux.time_offsets.is_empty() {
        if !result.is_new(Kind::Time) {
            return Err(Error::Invalid("timeOffsets need a new time namespace".to_owned()));
        }
        let mut text = String::new();
        for (clock, offset) in &linux.time_offsets {
            if !matches!(clock.as_str(), "monotonic" | "boottime") {
                return Err(Error::Invalid(format!("clock {clock:?} has no time offset")));
            }
            text.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
        }
        result.time_offsets = Some(text);
    }
    Ok(result)
}

/// Mappings as `uid_map` takes them.
pub(crate) fn map_text(mappings: &[IdMapping]) -> String {
    mappings.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
}

fn mount_plan(mount: &Mount, bundle: &Path, label: Option<&str>) -> Result<MountPlan> {
    if mount.destination.as_os_str().is_empty() {
        return Err(Error::Invalid("a mount has no destination".to_owned()));
    }
    // Relative destinations are deprecated, not forbidden: they start at the root.
    let destination = Path::new("/").join(&mount.destination);
    let mut options = Options::parse(&mount.options);
    let kind = mount.kind.as_deref().unwrap_or_default();
    let bind = options.bind.or_else(|| (kind == "bind").then_some(Bind::Alone));
    let what = match (bind, kind) {
        _ if options.remount => What::Remount,
        (Some(bind), _) => {
            let source = mount.source.as_deref().filter(|source| !source.as_os_str().is_empty());
            let source = source
                .ok_or_else(|| Error::Invalid(format!("bind mount at {destination:?} has no source")))?;
            What::Bind(bundle.join(source), bind)
        }
        (None, "cgroup" | "cgroup2") => What::Cgroup,
        (None, "" | "none") => {
            return Err(Error::Invalid(format!(
                "mount at {destination:?} has neither a type nor bind options"
            )));
        }
        (None, kind) => {
            let source = mount.source.as_ref().map(|source| source.to_string_lossy().into_owned());
            What::FileSystem(kind.to_owned(), source)
        }
    };
    check_proc_destination(&destination, &what)?;
    if let (Some(label), What::FileSystem(kind, _)) = (label.filter(|label| !label.is_empty()), &what)
        && !matches!(kind.as_str(), "proc" | "sysfs" | "mqueue")
    {
        // SELinux labels the whole file system; those of the kernel's own have their labels.
        options.data.push(("context".to_owned(), Some(label.to_owned())));
    }
    let plan = MountPlan {
        destination,
        what,
        options,
        uid_mappings: mount.uid_mappings.clone(),
        gid_mappings: mount.gid_mappings.clone(),
    };
    check_idmap(&plan)?;
    Ok(plan)
}

fn check_idmap(plan: &MountPlan) -> Result<()> {
    let asked =
        plan.options.idmap.is_some() || !plan.uid_mappings.is_empty() || !plan.gid_mappings.is_empty();
    if asked && !matches!(plan.what, What::Bind(..)) {
        return Err(Error::Unsupported(format!(
            "id mapping of the mount at {:?}, which is no bind mount",
            plan.destination
        )));
    }
    if plan.uid_mappings.is_empty() != plan.gid_mappings.is_empty() {
        return Err(Error::Invalid(format!(
            "mount at {:?} needs both uidMappings and gidMappings",
            plan.destination
        )));
    }
    Ok(())
}

/// Files of procfs that may be covered; anything else there could be used to fool this runtime or the container
/// (CVE-2019-16884).
const COVERABLE: [&str; 12] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/random",
];

fn check_proc_destination(destination: &Path, what: &What) -> Result<()> {
    let place = clean(destination);
    if !place.starts_with("/proc") || *what == What::Remount {
        return Ok(());
    }
    let allowed = match what {
        What::FileSystem(kind, _) if place == Path::new("/proc") => kind == "proc",
        // The source's file system is checked once it is open.
        What::Bind(..) if place == Path::new("/proc") => true,
        What::Bind(..) => COVERABLE.iter().any(|known| place == Path::new(known)),
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    Err(Error::Invalid(format!("{} cannot be mounted because it is inside /proc", destination.display())))
}

/// The path without `.` and with `..` that cannot leave the root; for comparing, never for opening.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            _ => {}
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(json: &str) -> Result<MountPlan> {
        mount_plan(&serde_json::from_str(json).unwrap(), Path::new("/bundle"), None)
    }

    #[test]
    fn versions() {
        for (version, fine) in [
            ("1.0.2", true),
            ("1.0.2-dev", true),
            ("1.3.0", true),
            ("2.0.0", false),
            ("", false),
            ("1.0", false),
            ("1..0", false),
        ] {
            assert_eq!(check_version(version).is_ok(), fine, "{version}");
        }
    }

    #[test]
    fn what_is_mounted() {
        let cases: Vec<(&str, What)> = vec![
            (
                r#"{"destination":"/a","type":"none","source":"x","options":["rbind"]}"#,
                What::Bind("/bundle/x".into(), Bind::Recursive),
            ),
            (r#"{"destination":"/a","type":"bind","source":"/x"}"#, What::Bind("/x".into(), Bind::Alone)),
            (
                r#"{"destination":"/proc","type":"proc","source":"proc"}"#,
                What::FileSystem("proc".into(), Some("proc".into())),
            ),
            (r#"{"destination":"/sys/fs/cgroup","type":"cgroup2","source":"cgroup"}"#, What::Cgroup),
            (r#"{"destination":"/x","options":["remount","ro"]}"#, What::Remount),
            (
                r#"{"destination":"/proc/uptime","type":"bind","source":"/x"}"#,
                What::Bind("/x".into(), Bind::Alone),
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(mount(json).unwrap().what, expected, "{json}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            r#"{"destination":"","type":"tmpfs"}"#,
            r#"{"destination":"/a"}"#,
            r#"{"destination":"/a","options":["bind"]}"#,
            r#"{"destination":"/proc/sys","type":"tmpfs"}"#,
            r#"{"destination":"/x/../proc/self","type":"bind","source":"/x"}"#,
            r#"{"destination":"/proc","type":"tmpfs"}"#,
            r#"{"destination":"/t","type":"tmpfs","options":["idmap"]}"#,
            r#"{"destination":"/t","type":"bind","source":"/x","uidMappings":[{"containerID":0,"hostID":1,"size":1}]}"#,
        ] {
            mount(json).unwrap_err();
        }
    }

    #[test]
    fn paths_to_compare() {
        for (path, expected) in [("/a/../../proc/./x", "/proc/x"), ("dev/", "/dev"), ("/", "/")] {
            assert_eq!(clean(Path::new(path)), Path::new(expected));
        }
    }
}
