//! Sparse files of every format that GNU tar writes.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::unpack;

const LENGTH: u64 = 40 << 20;

/// A file with more stretches of data than one header (and one extension block) can list.
fn with_holes(path: &Path) {
    let mut file = File::create(path).unwrap();
    for number in 0..60u64 {
        file.seek(SeekFrom::Start(number * (512 << 10))).unwrap();
        file.write_all(&[number as u8 + 1; 5000]).unwrap();
    }
    file.set_len(LENGTH).unwrap();
}

#[test]
fn all_formats_come_through_with_their_holes() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::create_dir(&from).unwrap();
    with_holes(&from.join("holes"));
    File::create(from.join("nothing-but-a-hole")).unwrap().set_len(1 << 20).unwrap();
    fs::write(from.join("after"), "still in step").unwrap();
    for (number, options) in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ]
    .iter()
    .enumerate()
    {
        let output = Command::new("tar")
            .arg("--sparse")
            .args(*options)
            .arg("-C")
            .arg(&from)
            .args(["-cf", "-", "holes", "nothing-but-a-hole", "after"])
            .output()
            .unwrap();
        assert!(output.status.success());
        assert!(output.stdout.len() < 2 << 20, "tar did write sparse files");
        let root = dir.path().join(format!("to{number}"));
        fs::create_dir(&root).unwrap();
        let applied = unpack(&output.stdout, &root).unwrap_or_else(|e| panic!("{options:?}: {e}"));
        assert_eq!(applied.size, LENGTH + (1 << 20) + 13);
        for name in ["holes", "nothing-but-a-hole", "after"] {
            let (expect, found) = (fs::read(from.join(name)).unwrap(), fs::read(root.join(name)).unwrap());
            assert!(expect == found, "{options:?} {name}");
        }
        assert!(
            root.join("holes").metadata().unwrap().blocks() * 512 < 4 << 20,
            "{options:?} keeps the holes"
        );
    }
}
