//! `--mount` and `--volume`.

use std::env;
use std::path::Path;

use boxship_api::mount::{BindOptions, Driver, ImageOptions, Mount, TmpfsOptions, VolumeOptions};
use boxship_oci::go::boolean;

use super::{csv, size};

/// Reads the fields of one `--mount`.
pub fn parse(text: &str) -> Result<Mount, String> {
    let mut mount = Mount { kind: "volume".into(), ..Mount::default() };
    for field in csv::fields(text)? {
        match field.split_once('=') {
            None => switch(&mut mount, &field)?,
            Some((key, value)) => set(&mut mount, &key.to_ascii_lowercase(), value, &field)?,
        }
    }
    judge(&mount)?;
    Ok(mount)
}

/// Checks one `--mount`.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

fn switch(mount: &mut Mount, field: &str) -> Result<(), String> {
    match field.to_ascii_lowercase().as_str() {
        "readonly" | "ro" => mount.read_only = true,
        "volume-nocopy" => volume(mount).no_copy = true,
        "bind-nonrecursive" => bind(mount).non_recursive = true,
        _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
    }
    Ok(())
}

fn set(mount: &mut Mount, key: &str, value: &str, field: &str) -> Result<(), String> {
    let wrong = || format!("invalid value for {key}: {value}");
    match key {
        "type" => mount.kind = value.to_ascii_lowercase(),
        "source" | "src" => mount.source = absolute(value),
        "target" | "dst" | "destination" => mount.target = value.to_string(),
        "readonly" | "ro" => mount.read_only = boolean(value).map_err(|_| wrong())?,
        "consistency" => mount.consistency = value.to_ascii_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_ascii_lowercase(),
        "bind-nonrecursive" => bind(mount).non_recursive = boolean(value).map_err(|_| wrong())?,
        "bind-recursive" => match value {
            "enabled" => {}
            "disabled" => bind(mount).non_recursive = true,
            "writable" => bind(mount).read_only_non_recursive = true,
            "readonly" => bind(mount).read_only_force_recursive = true,
            _ => {
                return Err(format!(
                    "{} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
                    wrong()
                ));
            }
        },
        "volume-subpath" => volume(mount).subpath = value.to_string(),
        "volume-nocopy" => volume(mount).no_copy = boolean(value).map_err(|_| wrong())?,
        "volume-label" => pair(&mut volume(mount).labels, value),
        "volume-driver" => driver(mount).name = value.to_string(),
        "volume-opt" => pair(&mut driver(mount).options, value),
        "image-subpath" => {
            mount.image_options.get_or_insert_with(ImageOptions::default).subpath = value.to_string()
        }
        "tmpfs-size" => tmpfs(mount).size_bytes = size::parse(value).map_err(|_| wrong())?,
        "tmpfs-mode" => tmpfs(mount).mode = u32::from_str_radix(value, 8).map_err(|_| wrong())?,
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn judge(mount: &Mount) -> Result<(), String> {
    let mixed =
        |options: &str| Err(format!("cannot mix '{options}-*' options with mount type '{}'", mount.kind));
    if mount.kind.is_empty() {
        return Err("type is required".into());
    }
    if mount.target.is_empty() {
        return Err("target is required".into());
    }
    if mount.volume_options.is_some() && mount.kind != "volume" {
        return mixed("volume");
    }
    if mount.image_options.is_some() && mount.kind != "image" {
        return mixed("image");
    }
    if mount.bind_options.is_some() && mount.kind != "bind" {
        return mixed("bind");
    }
    if mount.tmpfs_options.is_some() && mount.kind != "tmpfs" {
        return mixed("tmpfs");
    }
    let Some(bind) = &mount.bind_options else { return Ok(()) };
    let needs = |option: &str, what: &str| {
        Err(format!("option 'bind-recursive={option}' requires '{what}' to be specified in conjunction"))
    };
    if bind.read_only_non_recursive && !mount.read_only {
        return needs("writable", "readonly");
    }
    if bind.read_only_force_recursive && !mount.read_only {
        return needs("readonly", "readonly");
    }
    if bind.read_only_force_recursive && bind.propagation != "rprivate" {
        return needs("readonly", "bind-propagation=rprivate");
    }
    Ok(())
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_with(BindOptions::default)
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_with(TmpfsOptions::default)
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    let options = mount.volume_options.get_or_insert_with(VolumeOptions::default);
    options.driver_config.get_or_insert_with(Driver::default);
    options
}

fn driver(mount: &mut Mount) -> &mut Driver {
    volume(mount).driver_config.get_or_insert_with(Driver::default)
}

fn pair(map: &mut std::collections::BTreeMap<String, String>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if !key.is_empty() {
        map.insert(key.to_string(), value.to_string());
    }
}

/// A path that begins with a dot: it lies below the current folder.
pub fn absolute(path: &str) -> String {
    if !path.starts_with('.') {
        return path.to_string();
    }
    let Ok(here) = env::current_dir() else { return path.to_string() };
    clean(&here.join(path))
}

/// Resolves `.` and `..` by name alone, as Go's filepath.Clean does.
fn clean(path: &Path) -> String {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => parts.push(name),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    let names: Vec<String> = parts.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    format!("/{}", names.join("/"))
}

/// What one `--volume` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Volume {
    /// A path in the container alone.
    Anonymous(String),
    /// `SOURCE:TARGET[:OPTIONS]`, as it is sent.
    Bind(String),
}

/// Reads one `--volume`.
pub fn volume_flag(text: &str) -> Result<Volume, String> {
    let invalid = |why: &str| format!("invalid spec: {text}: {why}");
    if text.is_empty() {
        return Err("invalid empty volume spec".into());
    }
    if text.len() <= 2 {
        return Ok(Volume::Anonymous(text.to_string()));
    }
    let parts: Vec<&str> = text.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(invalid("empty section between colons"));
    }
    match parts[..] {
        [target] => Ok(Volume::Anonymous(target.to_string())),
        [source, ..] if parts.len() <= 3 => {
            let rest = &text[source.len() + 1..];
            let source = if source.starts_with('.') { absolute(source) } else { source.to_string() };
            Ok(Volume::Bind(format!("{source}:{rest}")))
        }
        _ => Err(invalid("too many colons")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(mount: &Mount) -> String {
        serde_json::to_string(mount).unwrap()
    }

    #[test]
    fn mounts_become_what_docker_sends() {
        for (text, expected) in [
            ("type=bind,src=/a,dst=/b", r#"{"Type":"bind","Source":"/a","Target":"/b"}"#),
            (
                "type=bind,source=/a,target=/b,ro",
                r#"{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true}"#,
            ),
            (
                "type=bind,src=/a,dst=/b,bind-propagation=rslave,bind-nonrecursive",
                r#"{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"Propagation":"rslave","NonRecursive":true}}"#,
            ),
            (
                "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
                r#"{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1048576,"Mode":1016}}"#,
            ),
            ("src=v,dst=/t", r#"{"Type":"volume","Source":"v","Target":"/t"}"#),
        ] {
            assert_eq!(parse(text).as_ref().map(short).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_mounts_are_refused_in_dockers_words() {
        for (text, expected) in [
            ("type=bind,src=/a", "target is required"),
            ("type=,dst=/a", "type is required"),
            ("type=bind,nonsense", "invalid field 'nonsense' must be a key=value pair"),
            ("type=bind,x=y,dst=/a", "unexpected key 'x' in 'x=y'"),
            ("type=bind,dst=/a,ro=no", "invalid value for ro: no"),
            ("type=bind,dst=/a,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
            ("type=tmpfs,dst=/a,tmpfs-size=foo", "invalid value for tmpfs-size: foo"),
            (
                "type=bind,dst=/a,bind-recursive=readonly",
                "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn volumes() {
        assert_eq!(volume_flag("/a:/b:ro"), Ok(Volume::Bind("/a:/b:ro".into())));
        assert_eq!(volume_flag("name:/b"), Ok(Volume::Bind("name:/b".into())));
        assert_eq!(volume_flag("/data"), Ok(Volume::Anonymous("/data".into())));
        assert_eq!(volume_flag("/a::/b").unwrap_err(), "invalid spec: /a::/b: empty section between colons");
        assert_eq!(volume_flag("/a:/b:ro:x").unwrap_err(), "invalid spec: /a:/b:ro:x: too many colons");
        assert_eq!(volume_flag("").unwrap_err(), "invalid empty volume spec");
        let here = env::current_dir().unwrap();
        assert_eq!(volume_flag("./x/../y:/b"), Ok(Volume::Bind(format!("{}/y:/b", here.display()))));
    }
}
