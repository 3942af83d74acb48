//! Where in the hierarchies a container's cgroup goes.
//!
//! The rules are runc's (libcontainer's `fs` and `fs2` managers), so that engines find the cgroup where they expect
//! it: an absolute `cgroupsPath` is below each mount point, a relative one or none at all below the caller's own
//! cgroup. In v2 a cgroup with processes can't have cgroups with limits below it, so there the caller's parent is
//! taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::error::{Error, Result};
use super::hierarchy::{self, Hierarchies, Mounted};

/// v1 controllers that a container gets a directory in, when mounted.
const CONTROLLERS: &[&str] = &[
    "cpuset",
    "devices",
    "memory",
    "cpu",
    "cpuacct",
    "pids",
    "blkio",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "freezer",
    "rdma",
    "misc",
    "name=systemd",
];

/// The directories by controller.
pub(super) fn find(asked: Option<&Path>, id: &str, rootless: bool) -> Result<BTreeMap<String, PathBuf>> {
    let hierarchies = Hierarchies::read()?;
    let own = hierarchy::memberships("self")?;
    choose(&hierarchies, &own, asked, id, rootless)
}

fn choose(
    hierarchies: &Hierarchies,
    own: &BTreeMap<String, PathBuf>,
    asked: Option<&Path>,
    id: &str,
    rootless: bool,
) -> Result<BTreeMap<String, PathBuf>> {
    let unified = hierarchies.is_unified();
    if !unified && !rootless && !hierarchies.v1.contains_key("devices") {
        return Err(Error::NoDevices);
    }
    let absolute = asked.is_some_and(Path::is_absolute);
    let inner = hierarchy::clean(asked.unwrap_or(Path::new(id)));
    if inner.as_os_str().is_empty() {
        return Err(Error::Invalid {
            setting: "cgroupsPath",
            reason: "it is the root of the hierarchy".into(),
        });
    }
    let locate = |mounted: &Mounted, controller: &str| {
        if absolute {
            return mounted.point.join(&inner);
        }
        let mine = own.get(controller).map_or(Path::new("/"), PathBuf::as_path);
        let mine = if unified { mine.parent().unwrap_or(mine) } else { mine };
        below(mounted, mine).join(&inner)
    };
    let mut paths = BTreeMap::new();
    if !unified {
        for controller in CONTROLLERS {
            if let Some(mounted) = hierarchies.v1.get(*controller) {
                paths.insert((*controller).to_owned(), locate(mounted, controller));
            }
        }
    }
    if let Some(mounted) = &hierarchies.v2 {
        paths.insert(String::new(), locate(mounted, ""));
    }
    Ok(paths)
}

/// A path of `/proc/PID/cgroup` under the mount point, whose own root may be further down (nested containers).
fn below(mounted: &Mounted, path: &Path) -> PathBuf {
    let relative = path.strip_prefix(&mounted.root).unwrap_or(Path::new(""));
    mounted.point.join(hierarchy::clean(relative))
}

/// The directory of a v2 path from `/proc/PID/cgroup`.
pub(super) fn resolve_v2(path: &Path) -> Result<Directory> {
    let hierarchies = Hierarchies::read()?;
    let mounted = hierarchies.v2.ok_or(Error::NotMounted)?;
    Ok(Directory::new(below(&mounted, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(point: &str, root: &str) -> Mounted {
        Mounted { point: point.into(), root: root.into() }
    }

    fn v1() -> Hierarchies {
        let mut found = Hierarchies { v2: Some(mounted("/cg/unified", "/")), ..Hierarchies::default() };
        for name in ["devices", "memory", "name=systemd", "name=other"] {
            found.v1.insert(name.into(), mounted(&format!("/cg/{}", name.trim_start_matches("name=")), "/"));
        }
        found
    }

    fn own() -> BTreeMap<String, PathBuf> {
        [("memory", "/me"), ("devices", "/"), ("", "/slice/me")].map(|(k, v)| (k.into(), v.into())).into()
    }

    #[test]
    fn hybrid_places() {
        let paths = choose(&v1(), &own(), Some(Path::new("/docker/x")), "id", false).unwrap();
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["", "devices", "memory", "name=systemd"]);
        assert_eq!(paths["memory"], Path::new("/cg/memory/docker/x"));
        assert_eq!(paths[""], Path::new("/cg/unified/docker/x"));
        let paths = choose(&v1(), &own(), None, "id", false).unwrap();
        assert_eq!(paths["memory"], Path::new("/cg/memory/me/id"));
        assert_eq!(paths["devices"], Path::new("/cg/devices/id"));
        let paths = choose(&v1(), &own(), Some(Path::new("../../x")), "id", false).unwrap();
        assert_eq!(paths["memory"], Path::new("/cg/memory/me/x"));
    }

    #[test]
    fn v2_goes_beside_the_caller() {
        let found = Hierarchies { v2: Some(mounted("/cg", "/")), ..Hierarchies::default() };
        let paths = choose(&found, &own(), None, "id", false).unwrap();
        assert_eq!(paths[""], Path::new("/cg/slice/id"));
        let paths = choose(&found, &own(), Some(Path::new("/a")), "id", false).unwrap();
        assert_eq!(paths[""], Path::new("/cg/a"));
    }

    #[test]
    fn a_nested_mount_is_not_left() {
        let found = Hierarchies { v2: Some(mounted("/cg", "/docker/outer")), ..Hierarchies::default() };
        let own = [(String::new(), PathBuf::from("/docker/outer/a/b"))].into();
        assert_eq!(choose(&found, &own, None, "id", false).unwrap()[""], Path::new("/cg/a/id"));
        let own = [(String::new(), PathBuf::from("/"))].into();
        assert_eq!(choose(&found, &own, None, "id", false).unwrap()[""], Path::new("/cg/id"));
    }

    #[test]
    fn refusals() {
        let bare = Hierarchies { v1: [("memory".to_owned(), mounted("/cg/memory", "/"))].into(), v2: None };
        assert!(matches!(choose(&bare, &own(), None, "id", false), Err(Error::NoDevices)));
        assert!(choose(&bare, &own(), None, "id", true).is_ok());
        assert!(choose(&v1(), &own(), Some(Path::new("/")), "id", false).is_err());
    }
}
