//! Where the kernel's cgroup hierarchies are mounted, and where this process is in them.
//!
//! Three kinds of machine exist: v2 alone, v1 controllers each with a mount, and both (hybrid: controllers in v1,
//! the empty v2 tree beside them). Read from `/proc/self/mountinfo` and `/proc/self/cgroup`, never assumed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    /// The mount point.
    pub point: PathBuf,
    /// The directory of the hierarchy that is visible at the mount point (not `/` inside a container).
    pub root: PathBuf,
}

/// What is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    /// v1 hierarchies by controller; named ones by `name=…`.
    pub v1: BTreeMap<String, Mounted>,
    /// The v2 hierarchy.
    pub v2: Option<Mounted>,
}

impl Hierarchies {
    /// Reads the mount table of this process.
    pub(super) fn read() -> Result<Self> {
        let text = read("/proc/self/mountinfo")?;
        let found = Self::parse(&text);
        if found.v1.is_empty() && found.v2.is_none() {
            return Err(Error::NotMounted);
        }
        Ok(found)
    }

    /// Whether v2 alone is there.
    pub(super) fn is_unified(&self) -> bool {
        self.v2.is_some() && !self.v1.keys().any(|name| !name.starts_with("name="))
    }

    /// mountinfo(5): `id parent major:minor root point options [fields] - type source superoptions`.
    /// The first mount of a hierarchy counts: later ones are other people's views of it.
    fn parse(mountinfo: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((head, tail)) = line.split_once(" - ") else { continue };
            let mut head = head.split(' ').skip(3);
            let (Some(root), Some(point)) = (head.next(), head.next()) else { continue };
            let mut tail = tail.split(' ');
            let (kind, _source, options) = (tail.next(), tail.next(), tail.next());
            let mounted = Mounted { point: unescape(point), root: unescape(root) };
            match kind {
                Some("cgroup2") if found.v2.is_none() => found.v2 = Some(mounted),
                Some("cgroup") => {
                    for name in options.unwrap_or_default().split(',').filter(|name| is_controller(name)) {
                        found.v1.entry(name.to_owned()).or_insert_with(|| mounted.clone());
                    }
                }
                _ => {}
            }
        }
        found
    }
}

/// The super options of a v1 mount name its controllers among a few flags.
fn is_controller(option: &str) -> bool {
    const FLAGS: &[&str] = &[
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
        "favordynmods",
        "nofavordynmods",
    ];
    !FLAGS.contains(&option) && (!option.contains('=') || option.starts_with("name="))
}

/// The paths of one process by controller; the v2 path under the empty name.
pub(super) fn memberships(pid: &str) -> Result<BTreeMap<String, PathBuf>> {
    Ok(parse_memberships(&read(&format!("/proc/{pid}/cgroup"))?))
}

/// cgroups(7): `hierarchy:controller,controller:path`.
fn parse_memberships(text: &str) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(names), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        for name in names.split(',') {
            found.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    found
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::File { action: "read", path: path.into(), source })
}

/// mountinfo writes space, tab, newline and backslash as octal escapes.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Makes a path relative to the hierarchy's root, with `..` unable to leave it.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => cleaned.push(name),
            std::path::Component::ParentDir => {
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

    const HYBRID: &str = "\
25 1 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
28 25 0:25 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
29 25 0:23 /docker/x /other\\040place rw,relatime - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn hybrid_mounts() {
        let found = Hierarchies::parse(HYBRID);
        assert_eq!(found.v1.keys().collect::<Vec<_>>(), ["cpu", "cpuacct", "name=systemd"]);
        assert_eq!(found.v1["cpu"].point, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(found.v2.as_ref().map(|v2| v2.point.as_path()), Some(Path::new("/sys/fs/cgroup/unified")));
        assert!(!found.is_unified());
    }

    #[test]
    fn pure_v2() {
        let found = Hierarchies::parse("30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        assert!(found.is_unified());
    }

    #[test]
    fn own_paths() {
        let found = parse_memberships("4:memory:/a\n1:cpu,cpuacct:/b:c\n0::/u\n");
        assert_eq!(found["memory"], Path::new("/a"));
        assert_eq!(found["cpuacct"], Path::new("/b:c"));
        assert_eq!(found[""], Path::new("/u"));
    }

    #[test]
    fn paths_stay_inside() {
        for (given, expected) in
            [("/a/b", "a/b"), ("../../etc", "etc"), ("a/../../b", "b"), ("/", ""), ("./x/.", "x")]
        {
            assert_eq!(clean(Path::new(given)), Path::new(expected), "{given}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape("/a\\040b\\134c"), Path::new("/a b\\c"));
    }
}
