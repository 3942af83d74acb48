//! Binds in their short form, `-v source:destination[:options]`: text in, mount out. It looks at nothing on disk.

use std::path::{Component, Path, PathBuf};

use boxship_api::mount::MountPoint;

use crate::{Error, Result};

/// Propagation modes, as mount(8) and the API name them.
pub const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
/// What a bind mount has unless asked otherwise.
pub const DEFAULT_PROPAGATION: &str = "rprivate";

/// The groups of options of which each may appear once.
const OPTION_GROUPS: [&[&str]; 5] =
    [&["rw", "ro"], &["z", "Z"], &PROPAGATIONS, &["copy", "nocopy"], &["consistent", "cached", "delegated"]];

/// Reads one bind.
pub fn parse(raw: &str) -> Result<MountPoint> {
    let invalid = || Error::invalid(format!("invalid volume specification: '{raw}'"));
    let parts: Vec<&str> = raw.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source, target] if !valid_mode(target) => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        [path] if !path.is_empty() => return Err(no_volumes("an anonymous volume", path)),
        _ => return Err(invalid()),
    };
    if source.is_empty() {
        return Err(invalid());
    }
    if !valid_mode(mode) {
        return Err(Error::invalid(format!("invalid mode: {mode}")));
    }
    let destination = target_path(target)
        .map_err(|reason| Error::invalid(format!("invalid volume specification: '{raw}': {reason}")))?;
    if !source.starts_with('/') {
        return Err(no_volumes("the named volume", source));
    }
    let option = |known: &[&str]| mode.split(',').find(|option| known.contains(option)).map(str::to_owned);
    Ok(MountPoint {
        kind: "bind".to_owned(),
        source: clean(source),
        destination,
        mode: mode.to_owned(),
        rw: option(&["ro"]).is_none(),
        propagation: option(&PROPAGATIONS).unwrap_or_else(|| DEFAULT_PROPAGATION.to_owned()),
        ..MountPoint::default()
    })
}

/// Volumes are not among what this version offers.
pub fn no_volumes(what: &str, name: &str) -> Error {
    Error::invalid(format!(
        "{what} {name:?} cannot be mounted: volumes are not supported by this version; bind a folder of the host \
         (-v /path:/target) or use --tmpfs"
    ))
}

fn valid_mode(mode: &str) -> bool {
    let mut seen = [false; OPTION_GROUPS.len()];
    mode.is_empty()
        || mode.split(',').all(|option| {
            let group = OPTION_GROUPS.iter().position(|group| group.contains(&option));
            group.is_some_and(|group| !std::mem::replace(&mut seen[group], true))
        })
}

/// A mount's place in the container: absolute, not the root, in its plainest form.
pub fn target_path(target: &str) -> Result<String, String> {
    if clean(target) == "/" && target.starts_with('/') {
        return Err("invalid specification: destination can't be '/'".to_owned());
    }
    absolute(target)?;
    Ok(clean(target))
}

/// Refuses relative paths.
pub fn absolute(path: &str) -> Result<(), String> {
    if path.starts_with('/') {
        return Ok(());
    }
    Err(format!("invalid mount path: '{path}' mount path must be absolute"))
}

/// Go's `path.Clean` for absolute paths: no `.`, `..` nor double slashes.
pub fn clean(path: &str) -> String {
    let mut result = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => result.push(name),
            Component::ParentDir => drop(result.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    result.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_read() {
        for (raw, source, destination, mode, rw, propagation) in [
            ("/a:/b", "/a", "/b", "", true, "rprivate"),
            ("/a/:/b/../c", "/a", "/c", "", true, "rprivate"),
            ("/a:/b:ro", "/a", "/b", "ro", false, "rprivate"),
            ("/a:/b:ro,Z,rslave", "/a", "/b", "ro,Z,rslave", false, "rslave"),
        ] {
            let mount = parse(raw).unwrap();
            assert_eq!(
                (&*mount.source, &*mount.destination, &*mount.mode, mount.rw, &*mount.propagation),
                (source, destination, mode, rw, propagation),
                "{raw}"
            );
        }
    }

    #[test]
    fn bad_binds_are_refused() {
        for (raw, message) in [
            ("", "invalid volume specification: ''"),
            (":/b", "invalid volume specification: ':/b'"),
            ("/a:ro", "invalid volume specification: '/a:ro'"),
            ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
            ("/a:/b:wo", "invalid mode: wo"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"),
            ("/a:/", "invalid volume specification: '/a:/': invalid specification: destination can't be '/'"),
            (
                "/a:b",
                "invalid volume specification: '/a:b': invalid mount path: 'b' mount path must be absolute",
            ),
        ] {
            assert_eq!(parse(raw).unwrap_err().to_string(), message, "{raw}");
        }
        for volume in ["data:/x", "/x"] {
            assert!(parse(volume).unwrap_err().to_string().contains("volumes are not supported"), "{volume}");
        }
    }
}
