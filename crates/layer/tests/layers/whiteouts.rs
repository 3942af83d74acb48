//! What a layer removes: from archive to overlayfs's marks and back, and as a list of changes.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use boxship_layer::tar::{Kind, Reader};
use boxship_layer::{ChangeKind, Limits, changes, diff};
use boxship_sys::xattr;

use super::{archive, file, folder, link, unpack};

fn names(bytes: &[u8]) -> Vec<String> {
    let limits = Limits::default();
    let mut input = bytes;
    let mut reader = Reader::new(&mut input, &limits);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8(entry.name).unwrap());
    }
    names
}

fn is_whiteout(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    let value = xattr::get_at(File::open(path).unwrap().as_fd(), b"", b"trusted.overlay.opaque").unwrap();
    value.as_deref() == Some(b"y")
}

#[test]
fn whiteouts_become_overlayfs_marks_and_come_back() {
    let root = tempfile::tempdir().unwrap();
    let bytes = archive(&[
        folder("a/"),
        file("a/.wh..wh..opq", 0),
        file("a/kept", 1),
        file("gone/.wh.file", 0),
        file(".wh.old", 0),
        file(".wh..wh.aufs", 0),
    ]);
    unpack(&bytes, root.path()).unwrap();
    assert!(is_opaque(&root.path().join("a")));
    assert!(is_whiteout(&root.path().join("gone/file")));
    assert!(is_whiteout(&root.path().join("old")));
    let mut back = Vec::new();
    diff(File::open(root.path()).unwrap().as_fd(), &mut back).unwrap();
    assert_eq!(names(&back), ["a/", "a/.wh..wh..opq", "a/kept", "gone/", "gone/.wh.file", ".wh.old"]);
}

#[test]
fn a_whiteout_never_hides_its_own_layer() {
    let root = tempfile::tempdir().unwrap();
    let bytes = archive(&[
        file("before", 3),
        folder("folder-before"),
        file("folder-before/in", 1),
        file(".wh.before", 0),
        file(".wh.folder-before", 0),
        file(".wh.after", 0),
        file(".wh.folder-after", 0),
        file("after", 3),
        folder("folder-after"),
    ]);
    unpack(&bytes, root.path()).unwrap();
    let path = |name: &str| root.path().join(name);
    assert_eq!(path("before").metadata().unwrap().len(), 3);
    assert_eq!(path("after").metadata().unwrap().len(), 3);
    assert!(path("folder-before/in").exists());
    // The lower folder is gone as a whole, so nothing of it may show through.
    assert!(is_opaque(&path("folder-before")));
    assert!(is_opaque(&path("folder-after")));
}

#[test]
fn whiteouts_of_nothing_and_below_whiteouts_are_refused() {
    for name in [".wh.", "a/.wh..", "a/.wh...", ".wh.a/b"] {
        let root = tempfile::tempdir().unwrap();
        assert!(unpack(&archive(&[file(name, 0)]), root.path()).is_err(), "{name}");
    }
}

#[test]
fn overlayfs_own_attributes_are_not_taken_from_an_archive() {
    let root = tempfile::tempdir().unwrap();
    let mut entry = folder("a");
    entry.xattrs = vec![
        (b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec()),
        (b"user.overlay.opaque".to_vec(), b"y".to_vec()),
        (b"user.fine".to_vec(), b"1".to_vec()),
    ];
    unpack(&archive(&[entry]), root.path()).unwrap();
    let keys = xattr::list_at(File::open(root.path().join("a")).unwrap().as_fd(), b"").unwrap();
    assert_eq!(keys, [b"user.fine".to_vec()]);
}

#[test]
fn changes_are_those_of_docker_diff() {
    let dir = tempfile::tempdir().unwrap();
    let layer = |name: &str, entries: &[boxship_layer::tar::Entry]| {
        let root = dir.path().join(name);
        fs::create_dir(&root).unwrap();
        unpack(&archive(entries), &root).unwrap();
        File::open(root).unwrap()
    };
    let bottom = layer(
        "bottom",
        &[
            folder("etc"),
            file("etc/hosts", 1),
            file("etc/gone-before", 1),
            folder("opt"),
            file("opt/a", 1),
            file("opt/b", 1),
            folder("same"),
            file("same/inner", 1),
            folder("same/deep"),
            folder("same/deep/down"),
            link("link", Kind::Symlink, "etc"),
        ],
    );
    let top = layer("top", &[folder("etc"), file("etc/.wh.gone-before", 0), file("opt/c", 1)]);
    let upper = layer(
        "upper",
        &[
            folder("etc"),
            file("etc/hosts", 9),
            file("etc/gone-before", 3),
            folder("opt"),
            file("opt/.wh..wh..opq", 0),
            file("opt/c", 2),
            folder("same"),
            file("same/inner", 2),
            folder("same/deep"),
            folder("same/deep/down"),
            file("same/deep/down/more", 1),
            file(".wh.link", 0),
            file(".wh.never-there", 0),
            folder("new"),
            file("new/file", 1),
        ],
    );
    let found = changes(upper.as_fd(), &[top.as_fd(), bottom.as_fd()]).unwrap();
    let lines: Vec<String> = found
        .iter()
        .map(|change| {
            let letter = match change.kind {
                ChangeKind::Modified => 'C',
                ChangeKind::Added => 'A',
                ChangeKind::Deleted => 'D',
            };
            format!("{letter} {}", change.path.display())
        })
        .collect();
    assert_eq!(
        lines,
        [
            "C /etc",
            "A /etc/gone-before",
            "C /etc/hosts",
            "D /link",
            "A /new",
            "A /new/file",
            "C /opt",
            "D /opt/a",
            "D /opt/b",
            "C /opt/c",
            "C /same",
            "C /same/deep",
            "C /same/deep/down",
            "A /same/deep/down/more",
            "C /same/inner",
        ]
    );
}
