//! Everything that a folder can hold comes through an archive exactly.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use boxship_layer::tar::{Kind, Time};
use boxship_layer::{Apply, Limits, Lowers, pack};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, makedev, mknodat, setxattr, utimensat,
};

use super::{archive, entry, file, folder, link, unpack};

/// What can be told about a file: everything but where it lies.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    device: u64,
    mtime: (i64, i64),
    content: Vec<u8>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    links: u64,
}

fn facts(root: &Path) -> BTreeMap<String, Facts> {
    let mut all = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let content = match () {
            () if metadata.is_symlink() => {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            }
            () if metadata.is_file() => fs::read(&path).unwrap(),
            () => Vec::new(),
        };
        let (parent, name) = match path.parent() {
            Some(parent) if path != root => (parent, path.file_name().unwrap().as_encoded_bytes()),
            _ => (root, &b""[..]),
        };
        let parent = File::open(parent).unwrap();
        let mut keys = boxship_sys::xattr::list_at(parent.as_fd(), name).unwrap();
        keys.sort();
        let value = |key: Vec<u8>| {
            let value = boxship_sys::xattr::get_at(parent.as_fd(), name, &key).unwrap().unwrap();
            (key, value)
        };
        let facts = Facts {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: if metadata.is_dir() { 0 } else { metadata.size() },
            device: metadata.rdev(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            content,
            xattrs: keys.into_iter().map(value).collect(),
            links: if metadata.is_dir() { 0 } else { metadata.nlink() },
        };
        if path != root {
            all.insert(path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), facts);
        }
    }
    all
}

fn furnish(root: &Path) {
    let deep = root.join("usr/share").join("long-name-".repeat(20)).join("ünïcode");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), vec![7; 300_000]).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    let suid = root.join("suid");
    fs::write(&suid, "x").unwrap();
    rustix::fs::chown(
        &suid,
        Some(rustix::fs::Uid::from_raw(1000)),
        Some(rustix::fs::Gid::from_raw(4_000_000)),
    )
    .unwrap();
    rustix::fs::chmod(&suid, Mode::from_raw_mode(0o6755)).unwrap();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    setxattr(&suid, "security.capability", &capability, XattrFlags::empty()).unwrap();
    setxattr(root.join("usr"), "user.note", b"a=b\nc", XattrFlags::empty()).unwrap();
    fs::hard_link(&suid, root.join("usr/suid-too")).unwrap();
    symlink("../nowhere", root.join("usr/dangling")).unwrap();
    rustix::fs::lsetxattr(root.join("usr/dangling"), "trusted.t", b"1", XattrFlags::empty()).unwrap();
    let node = |name: &str, kind, device| {
        mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o620), device).unwrap();
    };
    node("null", FileType::CharacterDevice, makedev(1, 3));
    node("disk", FileType::BlockDevice, makedev(259, 300_000));
    node("pipe", FileType::Fifo, 0);
    fs::create_dir(root.join("setgid")).unwrap();
    fs::write(root.join("setgid/in"), "").unwrap();
    rustix::fs::chown(root.join("setgid"), None, Some(rustix::fs::Gid::from_raw(50))).unwrap();
    rustix::fs::chmod(root.join("setgid"), Mode::from_raw_mode(0o2775)).unwrap();
    rustix::fs::chmod(root.join("usr"), Mode::from_raw_mode(0o1777)).unwrap();
    for (name, secs, nanos) in
        [("usr/share", -5, 5), ("usr", 1, 999_999_999), ("suid", 1 << 33, 0), ("usr/dangling", 9, 9)]
    {
        let time = Timespec { tv_sec: secs, tv_nsec: nanos };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

#[test]
fn a_packed_folder_unpacks_to_the_same() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(from.path());
    let mut bytes = Vec::new();
    let size = pack(File::open(from.path()).unwrap().as_fd(), &mut bytes).unwrap();
    let mut again = Vec::new();
    pack(File::open(from.path()).unwrap().as_fd(), &mut again).unwrap();
    assert!(bytes == again, "the same folder gives the same archive");
    let applied = unpack(&bytes, to.path()).unwrap();
    assert_eq!(applied.diff_id, Some(boxship_oci::Digest::of(&bytes)));
    assert_eq!(applied.size, size);
    let (expected, found) = (facts(from.path()), facts(to.path()));
    for (name, facts) in &expected {
        assert_eq!(Some(facts), found.get(name), "{name}");
    }
    assert_eq!(expected.len(), found.len());
}

#[test]
fn gnu_tar_reads_what_is_packed_and_writes_what_is_unpacked() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(from.path());
    for format in ["gnu", "posix"] {
        let output = std::process::Command::new("tar")
            .args(if format == "posix" { &["--xattrs", "--xattrs-include=*"][..] } else { &[] })
            .args(["--format", format, "-C"])
            .arg(from.path())
            .args(["-cf", "-", "."])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let root = to.path().join(format);
        fs::create_dir(&root).unwrap();
        unpack(&output.stdout, &root).unwrap();
        let (mut expected, mut found) = (facts(from.path()), facts(&root));
        if format == "gnu" {
            // That format has neither attributes nor parts of seconds.
            for facts in expected.values_mut().chain(found.values_mut()) {
                facts.xattrs.clear();
                facts.mtime.1 = 0;
            }
        }
        for (name, facts) in &expected {
            assert_eq!(Some(facts), found.get(name), "{format} {name}");
        }
    }
    let mut bytes = Vec::new();
    pack(File::open(from.path()).unwrap().as_fd(), &mut bytes).unwrap();
    let packed = to.path().join("packed.tar");
    fs::write(&packed, &bytes).unwrap();
    let root = to.path().join("by-tar");
    fs::create_dir(&root).unwrap();
    let status = std::process::Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&packed)
        .arg("-C")
        .arg(&root)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(facts(from.path()), facts(&root));
}

#[test]
fn later_entries_replace_earlier_ones() {
    let root = tempfile::tempdir().unwrap();
    let bytes = archive(&[
        folder("a"),
        file("a/one", 10),
        file("b", 5),
        link("c", Kind::Symlink, "a"),
        folder("d"),
        file("d/two", 1),
        // Replaced:
        file("b", 7),
        folder("c"),
        file("c/three", 3),
        link("d", Kind::Symlink, "a"),
        folder("a"),
        file("d/four", 4),
        entry("a/one", Kind::Fifo),
    ]);
    let applied = unpack(&bytes, root.path()).unwrap();
    let names: Vec<String> = facts(root.path()).into_keys().collect();
    assert_eq!(names, ["a", "a/four", "a/one", "b", "c", "c/three", "d"]);
    assert_eq!(applied.entries, 13);
    assert_eq!(root.path().join("b").metadata().unwrap().len(), 7);
}

#[test]
fn folders_get_their_times_though_files_follow() {
    let root = tempfile::tempdir().unwrap();
    let time = Time { secs: 1_000_000, nanos: 7 };
    let bytes = archive(&[
        boxship_layer::tar::Entry { mtime: time, ..folder("./") },
        boxship_layer::tar::Entry { mtime: time, ..folder("a") },
        file("a/b/c/d", 1),
        file("e", 1),
    ]);
    unpack(&bytes, root.path()).unwrap();
    for path in ["", "a"] {
        let metadata = root.path().join(path).metadata().unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_000_000, 7), "{path:?}");
    }
}

#[test]
fn implied_folders_look_as_in_the_layer_below() {
    let dir = tempfile::tempdir().unwrap();
    let (top, bottom, root) = (dir.path().join("top"), dir.path().join("bottom"), dir.path().join("root"));
    fs::create_dir_all(bottom.join("srv/private/data")).unwrap();
    rustix::fs::chmod(bottom.join("srv/private"), Mode::from_raw_mode(0o700)).unwrap();
    rustix::fs::chown(bottom.join("srv/private"), Some(rustix::fs::Uid::from_raw(33)), None).unwrap();
    fs::create_dir_all(&top).unwrap();
    rustix::fs::chmod(&top, Mode::from_raw_mode(0o751)).unwrap();
    fs::create_dir(&root).unwrap();
    let (top, bottom) = (File::open(top).unwrap(), File::open(bottom).unwrap());
    let lowers = [top.as_fd(), bottom.as_fd()];
    let apply =
        Apply { lowers: Lowers::Ready(&lowers), limits: &Limits::default(), hash: true, end_mark: true };
    let bytes = archive(&[file("srv/private/data/new", 1), file("elsewhere/new", 1)]);
    apply.run(&mut &bytes[..], File::open(&root).unwrap().as_fd()).unwrap();
    let look = |path: &str| {
        let metadata = root.join(path).metadata().unwrap();
        (metadata.mode() & 0o7777, metadata.uid())
    };
    assert_eq!(look(""), (0o751, 0));
    assert_eq!(look("srv/private"), (0o700, 33));
    assert_eq!(look("elsewhere"), (0o755, 0));
}
