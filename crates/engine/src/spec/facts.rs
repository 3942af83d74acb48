//! What must be looked up on the host just before a container starts: device nodes, block devices' numbers, how bind
//! sources propagate. [`gather`] looks, the specification only uses what was found. [`prepare_sources`] makes missing
//! bind sources, the one thing here that changes the host.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use boxship_api::container::{DeviceMapping, HostConfig, Resources};
use boxship_api::mount::MountPoint;
use boxship_oci::runtime::{Device, DeviceKind};

use super::Inputs;
use crate::{Error, Kind, Result};

/// What was found on the host for one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The devices asked for, as they shall be in the container, with their access (`rwm`).
    pub devices: Vec<(Device, String)>,
    /// All devices of the host (privileged containers only).
    pub all_devices: Vec<Device>,
    /// Numbers of the block devices named by limits.
    pub block_devices: BTreeMap<String, (i64, i64)>,
    /// The daemon's own default seccomp profile, or `unconfined`; `None`: the built-in one.
    pub seccomp_profile: Option<String>,
}

/// Looks up what the container's configuration names.
pub fn gather(inputs: &Inputs<'_>) -> Result<Facts> {
    let host_config = inputs.host_config;
    let mut facts = of_limits(&host_config.resources)?;
    facts.seccomp_profile = daemon_profile(&inputs.engine.seccomp_profile)?;
    for mapping in host_config.resources.devices.iter().flatten() {
        if host_config.privileged && mapping.path_on_host == mapping.path_in_container {
            continue;
        }
        facts.devices.extend(devices_of(mapping)?);
    }
    if host_config.privileged {
        walk(Path::new("/dev"), 0, &mut facts.all_devices);
        facts.all_devices.sort_by(|a, b| a.path.cmp(&b.path));
    }
    check_propagation(inputs.mounts)?;
    Ok(facts)
}

/// Looks up what limits name: block devices.
pub fn of_limits(limits: &Resources) -> Result<Facts> {
    let mut facts = Facts::default();
    let weights = limits.blkio_weight_device.iter().flatten().map(|device| &device.path);
    let rates = [
        &limits.blkio_device_read_bps,
        &limits.blkio_device_write_bps,
        &limits.blkio_device_read_iops,
        &limits.blkio_device_write_iops,
    ];
    for path in weights.chain(rates.into_iter().flatten().flatten().map(|device| &device.path)) {
        facts.block_devices.insert(path.clone(), numbers(path)?);
    }
    Ok(facts)
}

/// The profile that the daemon's settings name.
fn daemon_profile(setting: &str) -> Result<Option<String>> {
    match setting {
        "" | "builtin" => Ok(None),
        "unconfined" => Ok(Some(setting.to_owned())),
        path => fs::read_to_string(path).map(Some).map_err(|error| {
            Error::caused(Kind::Internal, format!("opening seccomp profile ({path}) failed"), error)
        }),
    }
}

fn numbers(path: &str) -> Result<(i64, i64)> {
    let meta = fs::metadata(path).map_err(|error| Error::invalid(format!("stat {path}: {error}")))?;
    Ok(split(meta.rdev()))
}

/// Linux's encoding of device numbers (makedev(3)).
fn split(rdev: u64) -> (i64, i64) {
    let major = (rdev >> 8 & 0xfff) | (rdev >> 32 & !0xfff);
    let minor = (rdev & 0xff) | (rdev >> 12 & !0xff);
    (major as i64, (minor & 0xffff_ffff) as i64)
}

/// The device of a mapping, or all devices below the folder it names.
fn devices_of(mapping: &DeviceMapping) -> Result<Vec<(Device, String)>> {
    let failed = |reason: String| {
        let path = &mapping.path_on_host;
        let message =
            format!("error gathering device information while adding custom device {path:?}: {reason}");
        Error::new(Kind::Invalid, message)
    };
    let host = fs::canonicalize(&mapping.path_on_host).map_err(|error| failed(reason(&error)))?;
    let inside = match mapping.path_in_container.as_str() {
        "" => Path::new(&mapping.path_on_host),
        path => Path::new(path),
    };
    let access = match mapping.cgroup_permissions.as_str() {
        "" => "rwm",
        access => access,
    };
    let mut found = Vec::new();
    match device_at(&host) {
        Ok(Some(device)) => found.push(Device { path: inside.to_owned(), ..device }),
        Ok(None) if host.is_dir() => {
            walk(&host, 0, &mut found);
            for device in &mut found {
                let below = device.path.strip_prefix(&host).unwrap_or(Path::new(""));
                device.path = inside.join(below);
            }
        }
        Ok(None) => {}
        Err(error) => return Err(failed(reason(&error))),
    }
    if found.is_empty() {
        return Err(failed("not a device node".to_owned()));
    }
    Ok(found.into_iter().map(|device| (device, access.to_owned())).collect())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    }
}

fn device_at(path: &Path) -> io::Result<Option<Device>> {
    let meta = fs::symlink_metadata(path)?;
    let kind = match meta.file_type() {
        file if file.is_char_device() => DeviceKind::Char,
        file if file.is_block_device() => DeviceKind::Block,
        file if file.is_fifo() => DeviceKind::Fifo,
        _ => return Ok(None),
    };
    let (major, minor) = split(meta.rdev());
    Ok(Some(Device {
        path: path.to_owned(),
        kind,
        major,
        minor,
        file_mode: Some(meta.mode() & 0o7777),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
    }))
}

/// Collects the device nodes below a folder, except those that every container has of its own.
fn walk(folder: &Path, depth: usize, found: &mut Vec<Device>) {
    const OWN: [&str; 7] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];
    const MAX_DEPTH: usize = 16;
    const MAX_DEVICES: usize = 100_000;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && depth < MAX_DEPTH && !OWN.iter().any(|own| name == *own) {
            walk(&path, depth + 1, found);
        } else if !is_dir && name != "console" && found.len() < MAX_DEVICES {
            // A node that vanishes meanwhile is no failure.
            found.extend(device_at(&path).ok().flatten().filter(|device| device.kind != DeviceKind::Fifo));
        }
    }
}

/// A shared or slave bind needs a source that is mounted so.
fn check_propagation(mounts: &[MountPoint]) -> Result<()> {
    for mount in mounts.iter().filter(|mount| mount.kind == "bind") {
        let (wanted, words): (&[&str], _) = match mount.propagation.trim_start_matches('r') {
            "shared" => (&["shared:"], "a shared mount"),
            "slave" => (&["shared:", "master:"], "a shared or slave mount"),
            _ => continue,
        };
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        let source = fs::canonicalize(&mount.source).unwrap_or_else(|_| PathBuf::from(&mount.source));
        let (place, fields) = mount_of(&table, &source);
        if !fields.iter().any(|field| wanted.iter().any(|prefix| field.starts_with(prefix))) {
            return Err(Error::invalid(format!(
                "path {} is mounted on {} but it is not {words}",
                mount.source,
                place.display()
            )));
        }
    }
    Ok(())
}

/// The mount that holds a path, and its optional fields (proc(5), mountinfo).
fn mount_of<'a>(table: &'a str, path: &Path) -> (PathBuf, Vec<&'a str>) {
    let mut best = (PathBuf::new(), Vec::new());
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let Some(place) = fields.get(4).map(|place| PathBuf::from(unescape(place))) else { continue };
        // Later lines are mounted above earlier ones at the same place.
        if path.starts_with(&place) && place.as_os_str().len() >= best.0.as_os_str().len() {
            best = (place, fields[6..].iter().take_while(|&&field| field != "-").copied().collect());
        }
    }
    best
}

fn unescape(place: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(place.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Makes the folders that binds name and that are missing, as Docker does for `-v` (not for `--mount`, unless it says
/// `bind-create-src`). To be called before each start.
pub fn prepare_sources(host_config: &HostConfig, mounts: &[MountPoint]) -> Result<()> {
    let by_mount = |point: &MountPoint| {
        host_config.mounts.iter().find(|mount| super::bind::clean(&mount.target) == point.destination)
    };
    for point in mounts.iter().filter(|point| point.kind == "bind") {
        if fs::symlink_metadata(&point.source).is_ok() {
            continue;
        }
        let asked =
            by_mount(point).map(|mount| mount.bind_options.as_ref().is_some_and(|o| o.create_mountpoint));
        if asked == Some(false) {
            return Err(Error::invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                point.source
            )));
        }
        fs::create_dir_all(&point.source).map_err(|error| {
            let message = format!("error while creating mount source path '{}'", point.source);
            Error::caused(Kind::Internal, message, error)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(host: &str, inside: &str) -> DeviceMapping {
        DeviceMapping { path_on_host: host.into(), path_in_container: inside.into(), ..Default::default() }
    }

    #[test]
    fn devices_are_found() {
        let null = devices_of(&mapping("/dev/null", "/dev/mine")).unwrap();
        assert_eq!(null.len(), 1);
        let (device, access) = &null[0];
        assert_eq!((device.path.to_str(), device.kind), (Some("/dev/mine"), DeviceKind::Char));
        assert_eq!((device.major, device.minor, access.as_str()), (1, 3, "rwm"));
        let all = devices_of(&mapping("/dev", "/other")).unwrap();
        assert!(all.iter().any(|(device, _)| device.path == Path::new("/other/null")));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for (path, reason) in
            [("/dev/none-such", "no such file or directory"), ("/etc/passwd", "not a device node")]
        {
            let message =
                format!("error gathering device information while adding custom device {path:?}: {reason}");
            assert_eq!(devices_of(&mapping(path, path)).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn device_numbers_are_split_as_the_kernel_does() {
        assert_eq!(split(0x0103), (1, 3));
        assert_eq!(split(0x45 | 0x103 << 8 | 0x12300 << 12), (0x103, 0x12345));
    }

    #[test]
    fn mounts_are_looked_up() {
        let table = "1 0 0:1 / / rw shared:1 - x x rw\n2 1 0:2 / /a\\040b rw master:2 shared:3 - x x rw\n\
                     3 1 0:3 / /c rw - x x rw\n";
        assert_eq!(mount_of(table, Path::new("/x")), (PathBuf::from("/"), vec!["shared:1"]));
        assert_eq!(
            mount_of(table, Path::new("/a b/c")),
            (PathBuf::from("/a b"), vec!["master:2", "shared:3"])
        );
        assert_eq!(mount_of(table, Path::new("/c/d")), (PathBuf::from("/c"), vec![]));
    }

    #[test]
    fn sources_are_made_for_binds_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let json = serde_json::json!({"Binds": [format!("{}:/a", path("made/deep"))],
            "Mounts": [{"Type": "bind", "Source": path("not"), "Target": "/b"}]});
        let host_config: HostConfig = serde_json::from_value(json).unwrap();
        let point = |source: &str, destination: &str| MountPoint {
            kind: "bind".into(),
            source: path(source),
            destination: destination.into(),
            ..Default::default()
        };
        prepare_sources(&host_config, &[point("made/deep", "/a")]).unwrap();
        assert!(folder.path().join("made/deep").is_dir());
        let error = prepare_sources(&host_config, &[point("not", "/b")]).unwrap_err().to_string();
        assert!(error.contains("bind source path does not exist"), "{error}");
    }
}
