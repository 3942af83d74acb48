//! The mounts a container was asked for (`-v`, `--mount`, `--tmpfs`), as `inspect` shows them, judged with Docker's
//! words. Only the existence of bind sources is looked up; nothing is made.

use std::collections::BTreeSet;
use std::path::Path;

use boxship_api as api;
use boxship_api::mount::{Mount, MountPoint};

use super::{bind, tmpfs};
use crate::{Error, Result};

/// The mounts asked for (binds, `--mount`) as inspect shows them. Missing bind sources of `-v` are left to
/// [`super::prepare_sources`]; those of `--mount` are an error here:
/// `invalid mount config for type "bind": bind source path does not exist: /x`.
pub fn mount_points(
    _config: &api::container::Config,
    host_config: &api::container::HostConfig,
) -> Result<Vec<MountPoint>> {
    let mut points = Vec::new();
    for raw in host_config.binds.iter().flatten() {
        points.push(bind::parse(raw)?);
    }
    for mount in &host_config.mounts {
        points.push(mount_point(mount)?);
    }
    let mut destinations = BTreeSet::new();
    for path in host_config.tmpfs.keys() {
        destinations.insert(bind::target_path(path).map_err(Error::invalid)?);
    }
    for options in host_config.tmpfs.values() {
        tmpfs::merge(options)?;
    }
    for point in &points {
        if !destinations.insert(point.destination.clone()) {
            return Err(Error::invalid(format!("Duplicate mount point: {}", point.destination)));
        }
    }
    Ok(points)
}

fn mount_point(mount: &Mount) -> Result<MountPoint> {
    let invalid =
        |reason: String| Error::invalid(format!("invalid mount config for type {:?}: {reason}", mount.kind));
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty".to_owned()));
    }
    let destination = bind::target_path(&mount.target).map_err(invalid)?;
    refuse_foreign_options(mount)?;
    let point =
        MountPoint { kind: mount.kind.clone(), destination, rw: !mount.read_only, ..Default::default() };
    match mount.kind.as_str() {
        "bind" => bind_mount(mount, point).map_err(invalid),
        "tmpfs" => tmpfs_mount(mount, point).map_err(invalid),
        "volume" if mount.source.is_empty() => Err(bind::no_volumes("an anonymous volume", &mount.target)),
        "volume" => Err(bind::no_volumes("the named volume", &mount.source)),
        "image" => Err(invalid("image mounts are not supported by this version".to_owned())),
        "cluster" | "npipe" => Err(invalid(format!("{} mounts exist on no Linux host", mount.kind))),
        _ => Err(invalid("mount type unknown".to_owned())),
    }
}

/// Options of one type on a mount of another are a mistake that must not be passed over.
fn refuse_foreign_options(mount: &Mount) -> Result<()> {
    for (name, given, kind) in [
        ("VolumeOptions", mount.volume_options.is_some(), "volume"),
        ("BindOptions", mount.bind_options.is_some(), "bind"),
        ("TmpfsOptions", mount.tmpfs_options.is_some(), "tmpfs"),
        ("ImageOptions", mount.image_options.is_some(), "image"),
        ("ClusterOptions", mount.cluster_options.is_some(), "cluster"),
    ] {
        if given && mount.kind != kind {
            return Err(Error::invalid(format!(
                "{name} must not be specified on mount type {:?}",
                mount.kind
            )));
        }
    }
    Ok(())
}

fn bind_mount(mount: &Mount, point: MountPoint) -> Result<MountPoint, String> {
    if mount.source.is_empty() {
        return Err("field Source must not be empty".to_owned());
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    let propagation = options.propagation;
    if !propagation.is_empty() && !bind::PROPAGATIONS.contains(&&*propagation) {
        return Err(format!("invalid propagation mode: {propagation}"));
    }
    if options.read_only_non_recursive && options.read_only_force_recursive {
        return Err("mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive".to_owned());
    }
    bind::absolute(&mount.source)?;
    if !options.create_mountpoint && !exists(&mount.source)? {
        return Err(format!("bind source path does not exist: {}", mount.source));
    }
    let propagation = if propagation.is_empty() { bind::DEFAULT_PROPAGATION.to_owned() } else { propagation };
    Ok(MountPoint { source: bind::clean(&mount.source), propagation, ..point })
}

fn exists(path: &str) -> Result<bool, String> {
    Path::new(path).try_exists().map_err(|error| format!("stat {path}: {error}"))
}

fn tmpfs_mount(mount: &Mount, point: MountPoint) -> Result<MountPoint, String> {
    if !mount.source.is_empty() {
        return Err("field Source must not be specified".to_owned());
    }
    tmpfs::from_mount(mount.tmpfs_options.as_ref(), mount.read_only)?;
    Ok(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(json: &str) -> Result<Vec<MountPoint>> {
        mount_points(&Default::default(), &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn mounts_become_points() {
        let json = r#"{"Binds":["/etc:/a:ro"],"Tmpfs":{"/t":"size=1m"},"Mounts":[
            {"Type":"bind","Source":"/etc","Target":"/b","ReadOnly":true,"BindOptions":{"Propagation":"rslave"}},
            {"Type":"bind","Source":"/nowhere/at/all","Target":"/c","BindOptions":{"CreateMountpoint":true}},
            {"Type":"tmpfs","Target":"/d","TmpfsOptions":{"SizeBytes":1048576}}]}"#;
        insta::assert_json_snapshot!(points(json).unwrap());
    }

    #[test]
    fn bad_mounts_are_refused() {
        for (json, message) in [
            (
                r#"{"Mounts":[{"Type":"bind","Source":"/x/y/z","Target":"/b"}]}"#,
                "invalid mount config for type \"bind\": bind source path does not exist: /x/y/z",
            ),
            (
                r#"{"Mounts":[{"Type":"bind","Target":"/b"}]}"#,
                "invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                r#"{"Mounts":[{"Type":"bind","Source":"/etc"}]}"#,
                "invalid mount config for type \"bind\": field Target must not be empty",
            ),
            (
                r#"{"Mounts":[{"Type":"bind","Source":"etc","Target":"/b"}]}"#,
                "invalid mount config for type \"bind\": invalid mount path: 'etc' mount path must be absolute",
            ),
            (
                r#"{"Mounts":[{"Type":"bind","Source":"/etc","Target":"/"}]}"#,
                "invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
            ),
            (
                r#"{"Mounts":[{"Type":"tmpfs","Source":"x","Target":"/b"}]}"#,
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
            (
                r#"{"Mounts":[{"Type":"bind","Source":"/etc","Target":"/b","TmpfsOptions":{}}]}"#,
                "TmpfsOptions must not be specified on mount type \"bind\"",
            ),
            (
                r#"{"Mounts":[{"Type":"bind","Source":"/etc","Target":"/b","BindOptions":{"Propagation":"x"}}]}"#,
                "invalid mount config for type \"bind\": invalid propagation mode: x",
            ),
            (
                r#"{"Mounts":[{"Type":"what","Target":"/b"}]}"#,
                "invalid mount config for type \"what\": mount type unknown",
            ),
            (r#"{"Binds":["/etc:/a","/usr:/a/"]}"#, "Duplicate mount point: /a"),
            (r#"{"Binds":["/etc:/a"],"Tmpfs":{"/a":""}}"#, "Duplicate mount point: /a"),
            (r#"{"Tmpfs":{"a":""}}"#, "invalid mount path: 'a' mount path must be absolute"),
            (r#"{"Tmpfs":{"/a":"what"}}"#, "Invalid tmpfs option [\"what\"]"),
        ] {
            assert_eq!(points(json).unwrap_err().to_string(), message, "{json}");
        }
    }
}
