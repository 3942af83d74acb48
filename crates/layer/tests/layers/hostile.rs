//! Archives that mean harm: nothing outside the folder changes, and nothing ever panics.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use boxship_layer::tar::{Entry, Kind};
use boxship_layer::{Apply, Error, Limits, Lowers, apply};
use proptest::prelude::*;

use super::{archive, entry, file, folder, link, unpack};

/// A folder to unpack into, with things beside it that must never change.
struct Yard {
    dir: tempfile::TempDir,
    before: Vec<(PathBuf, String)>,
}

impl Yard {
    fn new() -> Yard {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("cage/root")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        fs::write(dir.path().join("cage/beside"), "beside").unwrap();
        let before = Yard::look(dir.path());
        Yard { dir, before }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("cage/root")
    }

    fn look(dir: &Path) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        for folder in [dir.to_owned(), dir.join("outside"), dir.join("cage")] {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let content =
                    if metadata.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
                // The root itself may be given other attributes, by an entry ".".
                if path.ends_with("cage/root") {
                    continue;
                }
                let facts = format!("{content} {:o}", metadata.permissions().mode());
                found.push((path, facts));
            }
        }
        found.sort();
        found
    }

    fn check(&self) {
        assert_eq!(self.before, Yard::look(self.dir.path()), "something outside of the root changed");
    }
}

#[test]
fn nothing_leaves_the_root() {
    let absolute = |yard: &Yard| yard.dir.path().join("outside").to_string_lossy().into_owned();
    type Make = Box<dyn Fn(&Yard) -> Vec<Entry>>;
    let cases: Vec<(&str, Make, bool)> = vec![
        ("dotdot", Box::new(|_| vec![file("../escaped", 1)]), false),
        ("dotdot inside", Box::new(|_| vec![folder("a"), file("a/../../escaped", 1)]), false),
        ("absolute name", Box::new(move |y| vec![file(&format!("{}/new", absolute(y)), 1)]), true),
        (
            "through a link",
            Box::new(|_| vec![link("a", Kind::Symlink, "../../outside"), file("a/new", 1)]),
            false,
        ),
        (
            "absolute link",
            Box::new(move |y| vec![link("a", Kind::Symlink, &absolute(y)), file("a/new", 1)]),
            false,
        ),
        (
            "over a link",
            Box::new(|_| vec![link("a", Kind::Symlink, "../../outside/secret"), file("a", 1)]),
            true,
        ),
        (
            "folder over a link",
            Box::new(|_| vec![link("a", Kind::Symlink, "../../outside"), folder("a"), file("a/b", 1)]),
            true,
        ),
        (
            "link chain",
            Box::new(|_| {
                vec![
                    link("a", Kind::Symlink, "b/../.."),
                    link("b", Kind::Symlink, ".."),
                    folder("a/outside"),
                    file("a/outside/secret", 1),
                ]
            }),
            true,
        ),
        (
            "hard link out",
            Box::new(|_| vec![link("a", Kind::HardLink, "../../outside/secret"), file("a", 1)]),
            false,
        ),
        (
            "hard link by link",
            Box::new(|_| {
                vec![
                    link("l", Kind::Symlink, "../../outside"),
                    link("a", Kind::HardLink, "l/secret"),
                    file("a", 1),
                ]
            }),
            false,
        ),
        (
            "hard link to a link, then written",
            Box::new(|_| {
                vec![
                    link("l", Kind::Symlink, "../../outside/secret"),
                    link("a", Kind::HardLink, "l"),
                    file("a", 9),
                ]
            }),
            true,
        ),
        (
            "magic link",
            Box::new(|_| vec![link("p", Kind::Symlink, "/proc/self/root"), file("p/tmp/escaped", 1)]),
            false,
        ),
        ("whiteout of dotdot", Box::new(|_| vec![file("a/.wh...", 0)]), false),
        ("the root as a file", Box::new(|_| vec![file("./", 0), file("a", 1)]), true),
        ("the root as a link", Box::new(|_| vec![link("./", Kind::Symlink, "/")]), false),
        ("NUL in a PAX name", Box::new(|_| vec![file(&format!("{}\0/x", "a".repeat(200)), 0)]), false),
        ("deep", Box::new(|_| vec![file(&"d/".repeat(300), 0)]), false),
        ("file as folder", Box::new(|_| vec![file("a", 1), file("a/b", 1)]), false),
    ];
    for (name, entries, accepted) in cases {
        let yard = Yard::new();
        let outcome = unpack(&archive(&entries(&yard)), &yard.root());
        assert_eq!(outcome.is_ok(), accepted, "{name}: {outcome:?}");
        yard.check();
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = archive(&[
        folder("a"),
        file("a/b", 700),
        file(&"long".repeat(60), 10),
        link("l", Kind::Symlink, "x"),
    ]);
    let end = bytes.len() - 1024;
    for length in (0..=end).step_by(64).chain([end - 1, end]) {
        let root = tempfile::tempdir().unwrap();
        let outcome = unpack(&bytes[..length], root.path());
        assert!(matches!(outcome, Err(Error::Truncated)), "{length}: {outcome:?}");
    }
    let root = tempfile::tempdir().unwrap();
    unpack(&bytes[..end + 512], root.path()).expect("one zero block is an end mark too");
}

#[test]
fn bombs_are_bounded() {
    let many: Vec<Entry> = (0..200).map(|n| file(&format!("{n}"), 0)).collect();
    let mut zeros = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    zeros.write_all(&archive(&[file("zeros", 64 << 20)])).unwrap();
    let zeros = zeros.finish().unwrap();
    let fat = Entry { xattrs: vec![(b"user.a".to_vec(), vec![b'x'; 60_000])], ..file("fat", 0) };
    let limits = Limits::default();
    for (what, bytes, limits) in [
        ("entries", archive(&many), Limits { max_entries: 100, ..limits.clone() }),
        ("bytes", zeros.clone(), Limits { max_bytes: 1 << 20, ..limits.clone() }),
        ("bytes of one file", archive(&[file("a", 5000)]), Limits { max_file: 4096, ..limits.clone() }),
        ("bytes of extended headers", archive(&[fat]), Limits { max_header: 4096, ..limits.clone() }),
        (
            "uncompressed bytes for each compressed one",
            zeros.clone(),
            Limits { ratio_from: 1 << 20, ..limits.clone() },
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        let folder = File::open(root.path()).unwrap();
        match apply(&mut &bytes[..], folder.as_fd(), &limits) {
            Err(Error::Limit { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// Folders that an archive only implies are looked up in every layer below: a thousand names of one kilobyte would
/// cost hours with five hundred layers as deep.
#[test]
fn implied_folders_are_bounded() {
    let deep = |count: u32| -> Vec<Entry> {
        (0..count).map(|n| file(&format!("{}{n}/file", "d/".repeat(100)), 0)).collect()
    };
    let (lower, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (below, folder) = (File::open(lower.path()).unwrap(), File::open(root.path()).unwrap());
    let lowers = [below.as_fd(); 10];
    let limits = Limits { max_lookups: 100_000, ..Limits::default() };
    let apply = Apply { lowers: Lowers::Ready(&lowers), limits: &limits, hash: false, end_mark: true };
    apply.run(&mut &archive(&deep(10))[..], folder.as_fd()).unwrap();
    let refused = apply.run(&mut &archive(&deep(1000))[..], folder.as_fd());
    assert!(matches!(refused, Err(Error::Limit { what: "implied folders", .. })), "{refused:?}");
}

/// CVE-2023-25153 and its like: each whiteout is one call, however many there are and whatever they name.
#[test]
fn whiteouts_without_end_are_entries_like_others() {
    let many: Vec<Entry> = (0..5000).map(|n| file(&format!("d/.wh.{n}"), 0)).collect();
    let root = tempfile::tempdir().unwrap();
    let applied = unpack(&archive(&many), root.path()).unwrap();
    assert_eq!((applied.entries, std::fs::read_dir(root.path().join("d")).unwrap().count()), (5000, 5000));
    let folder = File::open(root.path()).unwrap();
    let limits = Limits { max_entries: 4999, ..Limits::default() };
    let refused = apply(&mut &archive(&many)[..], folder.as_fd(), &limits);
    assert!(matches!(refused, Err(Error::Limit { what: "entries", .. })));
}

/// Each link on the way of a name leads deeper; the folder that comes of it must still go when it is replaced.
#[test]
fn folders_deeper_than_names_can_be_replaced() {
    let step = "d/".repeat(200);
    let mut entries = vec![folder(&format!("top/{step}"))];
    for level in 0..12 {
        let place = (0..level).map(|n| format!("l{n}/")).collect::<String>();
        let target = format!("{}{step}", if level == 0 { "top/" } else { "" });
        entries.push(link(&format!("{place}l{level}"), Kind::Symlink, target.trim_end_matches('/')));
        entries.push(folder(&format!("{place}l{level}/{step}")));
    }
    entries.push(file("top", 1));
    let root = tempfile::tempdir().unwrap();
    unpack(&archive(&entries), root.path()).unwrap();
    assert!(root.path().join("top").is_file());
}

fn any_name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "..",
        ".",
        "",
        ".wh.a",
        ".wh..wh..opq",
        "outside",
        "secret",
        "x y",
    ]);
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let kind = prop::sample::select(vec![
        Kind::File,
        Kind::Directory,
        Kind::Symlink,
        Kind::HardLink,
        Kind::Fifo,
        Kind::CharDevice,
        Kind::BlockDevice,
    ]);
    (any_name(), kind, any_name(), any::<bool>(), 0u64..600).prop_map(
        |(name, kind, target, absolute, size)| {
            let target = if absolute { format!("/{target}") } else { target };
            match kind {
                Kind::File => file(&name, size),
                Kind::Symlink | Kind::HardLink => link(&name, kind, &target),
                _ => Entry { device: (1, 3), mode: 0o7777, ..entry(&name, kind) },
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mixture_of_entries_leaves_the_root(entries in prop::collection::vec(any_entry(), 1..25)) {
        let yard = Yard::new();
        let mut whole = Vec::new();
        for entry in entries {
            // One at a time, so that a refused one doesn't keep the others from trying.
            let _ = unpack(&archive(std::slice::from_ref(&entry)), &yard.root());
            whole.push(entry);
        }
        let _ = unpack(&archive(&whole), &yard.root());
        yard.check();
    }

    #[test]
    fn damaged_archives_are_harmless(
        entries in prop::collection::vec(any_entry(), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        fix in any::<bool>(),
    ) {
        let yard = Yard::new();
        let mut bytes = archive(&entries);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if fix {
                mend_checksum(&mut bytes, at);
            }
        }
        let _ = unpack(&bytes, &yard.root());
        yard.check();
    }
}

/// Makes the damaged block a valid header again, so that the damage is not found at once.
fn mend_checksum(bytes: &mut [u8], at: usize) {
    let start = at / 512 * 512;
    let block = &mut bytes[start..start + 512];
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
