//! The mounts of the specification: Docker's default ones, the container's own files (hosts, hostname, resolv.conf,
//! init), and what the user asked for, which takes the place of a default one. Pure.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use boxship_api::container::HostConfig;
use boxship_api::mount::{BindOptions, MountPoint};
use boxship_oci::runtime::Mount;

use super::security::SecurityOptions;
use super::{Inputs, bind, tmpfs};
use crate::Result;

/// Where init is in a container.
pub const INIT_PATH: &str = "/sbin/docker-init";

/// All mounts, in the order in which they are made.
pub fn mounts(inputs: &Inputs<'_>, security: &SecurityOptions, init: bool) -> Result<Vec<Mount>> {
    let own = own_files(inputs);
    let mut asked = asked(inputs)?;
    let taken: HashSet<PathBuf> = asked.iter().map(|mount| mount.destination.clone()).collect();
    asked.extend(own.into_iter().filter(|mount| !taken.contains(&mount.destination)));
    asked.extend(shared_memory(inputs).filter(|mount| !taken.contains(&mount.destination)));
    // A mount must not hide one that was made before it inside: fewer path components first.
    asked.sort_by_key(|mount| mount.destination.components().count());
    let covered: HashSet<PathBuf> = asked.iter().map(|mount| mount.destination.clone()).collect();
    let mut result: Vec<Mount> =
        defaults(inputs.host_config).into_iter().filter(|mount| !is_replaced(mount, &covered)).collect();
    result.extend(asked);
    if init {
        result.push(mount(INIT_PATH, "bind", &inputs.init, &["bind", "ro"]));
    }
    if inputs.host_config.readonly_rootfs {
        make_read_only(&mut result, &covered);
    }
    if inputs.host_config.privileged {
        make_writable(&mut result, |mount| mount.destination == Path::new("/sys"));
    }
    if security.writable_cgroups.unwrap_or(inputs.host_config.privileged) {
        make_writable(&mut result, |mount| mount.kind.as_deref() == Some("cgroup"));
    }
    Ok(result)
}

fn mount(destination: &str, kind: &str, source: &Path, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: Some(kind.to_owned()),
        source: Some(source.to_owned()),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        ..Mount::default()
    }
}

/// Docker's default mounts.
fn defaults(host_config: &HostConfig) -> Vec<Mount> {
    let shm_size = format!("size={}", host_config.shm_size);
    let table: [(&str, &str, &str, &[&str]); 7] = [
        ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
        ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm_size]),
    ];
    let wanted = |path: &str| path != "/dev/shm" || !host_config.ipc_mode.is_none();
    table
        .into_iter()
        .filter(|(path, ..)| wanted(path))
        .map(|(path, kind, source, options)| mount(path, kind, Path::new(source), options))
        .collect()
}

fn is_replaced(default: &Mount, covered: &HashSet<PathBuf>) -> bool {
    let below_dev = default.destination.starts_with("/dev") && covered.contains(Path::new("/dev"));
    covered.contains(&default.destination) || below_dev
}

/// hosts, hostname and resolv.conf.
fn own_files(inputs: &Inputs<'_>) -> Vec<Mount> {
    let files = [
        ("/etc/resolv.conf", &inputs.resolv_conf),
        ("/etc/hostname", &inputs.hostname),
        ("/etc/hosts", &inputs.hosts),
    ];
    let read_only = inputs.host_config.readonly_rootfs;
    let options: &[&str] =
        if read_only { &["rbind", read_only_option(inputs), "rprivate"] } else { &["rbind", "rprivate"] };
    files
        .into_iter()
        .filter_map(|(place, file)| Some(mount(place, "bind", file.as_deref()?, options)))
        .collect()
}

/// /dev/shm of the host or of the container whose IPC namespace is joined.
fn shared_memory(inputs: &Inputs<'_>) -> impl Iterator<Item = Mount> {
    let source = match inputs.joined.ipc {
        Some(pid) => Some(PathBuf::from(format!("/proc/{pid}/root/dev/shm"))),
        None => inputs.host_config.ipc_mode.is_host().then(|| "/dev/shm".into()),
    };
    source.map(|source| mount("/dev/shm", "bind", &source, &["rbind", "rprivate"])).into_iter()
}

fn asked(inputs: &Inputs<'_>) -> Result<Vec<Mount>> {
    let mut result = Vec::new();
    for (path, options) in &inputs.host_config.tmpfs {
        result.push(tmpfs_at(&bind::clean(path), options)?);
    }
    for point in inputs.mounts {
        result.push(match point.kind.as_str() {
            "tmpfs" => tmpfs_at(&point.destination, &tmpfs_options(inputs.host_config, point)?)?,
            _ => bind_at(inputs, point)?,
        });
    }
    Ok(result)
}

fn tmpfs_at(destination: &str, options: &str) -> Result<Mount> {
    let options = tmpfs::merge(options)?;
    Ok(Mount { options, ..mount(destination, "tmpfs", Path::new("tmpfs"), &[]) })
}

/// What `--mount` said of the mount at a point.
fn asked_at<'a>(host_config: &'a HostConfig, point: &MountPoint) -> Option<&'a boxship_api::mount::Mount> {
    host_config.mounts.iter().find(|mount| bind::clean(&mount.target) == point.destination)
}

fn tmpfs_options(host_config: &HostConfig, point: &MountPoint) -> Result<String> {
    let options = asked_at(host_config, point).and_then(|mount| mount.tmpfs_options.as_ref());
    tmpfs::from_mount(options, !point.rw).map_err(crate::Error::invalid)
}

fn bind_at(inputs: &Inputs<'_>, point: &MountPoint) -> Result<Mount> {
    let none = BindOptions::default();
    let asked = asked_at(inputs.host_config, point).and_then(|mount| mount.bind_options.as_ref());
    let options = asked.unwrap_or(&none);
    let mut words = vec![if options.non_recursive { "bind" } else { "rbind" }];
    if !point.rw {
        let recursive = inputs.host.recursive_read_only;
        if options.read_only_force_recursive && !recursive {
            return Err(crate::Error::invalid("rro is not supported: kernel version must be >= 5.12"));
        }
        words.push(if recursive && !options.read_only_non_recursive { "rro" } else { "ro" });
    }
    if !point.propagation.is_empty() {
        words.push(&point.propagation);
    }
    Ok(mount(&point.destination, "bind", Path::new(&point.source), &words))
}

fn read_only_option(inputs: &Inputs<'_>) -> &'static str {
    if inputs.host.recursive_read_only { "rro" } else { "ro" }
}

/// With a read-only root, default mounts are read-only too, except those that programs cannot do without.
fn make_read_only(mounts: &mut [Mount], covered: &HashSet<PathBuf>) {
    const WRITABLE: [&str; 5] = ["/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"];
    for mount in mounts {
        let spared = WRITABLE.iter().any(|path| mount.destination == Path::new(path));
        if !spared && !covered.contains(&mount.destination) && !mount.options.iter().any(|o| o == "ro") {
            mount.options.push("ro".to_owned());
        }
    }
}

fn make_writable(mounts: &mut [Mount], which: impl Fn(&Mount) -> bool) {
    for mount in mounts.iter_mut().filter(|mount| which(mount)) {
        mount.options.retain(|option| option != "ro");
    }
}

/// The propagation of the root that shared and slave binds need.
pub fn root_propagation(points: &[MountPoint]) -> Option<String> {
    let any = |kind: &str| points.iter().any(|point| point.propagation.trim_start_matches('r') == kind);
    match (any("shared"), any("slave")) {
        (true, _) => Some("shared".to_owned()),
        (false, true) => Some("rslave".to_owned()),
        (false, false) => None,
    }
}
