//! Writer and reader against each other, over rotation, compression and truncation.

use std::os::unix::fs::PermissionsExt;
use std::{fs, path::Path};

use super::*;
use crate::log::Writer;

fn target(folder: &Path, driver: Driver, max_size: Option<u64>, max_files: u32, compress: bool) -> Target {
    Target { driver, path: folder.join("log"), max_size, max_files, compress, ..Target::default() }
}

fn all() -> ReadOptions {
    ReadOptions { stdout: true, stderr: true, ..ReadOptions::default() }
}

fn take(reader: &mut Reader) -> Vec<String> {
    let mut lines = Vec::new();
    while let Next::Record(record) = reader.poll().unwrap() {
        lines.push(String::from_utf8(record.line).unwrap());
    }
    lines
}

fn read(target: &Target, options: ReadOptions) -> Vec<String> {
    take(&mut Reader::open(target, options).unwrap())
}

fn lines(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("line {number}\n")).collect()
}

fn write(writer: &mut Writer, range: std::ops::Range<u32>) {
    for line in lines(range) {
        writer.write(Stream::Stdout, line.as_bytes());
    }
}

const KINDS: [(Driver, Option<u64>, u32, bool); 6] = [
    (Driver::JsonFile, None, 1, false),
    (Driver::JsonFile, Some(2000), 100, false),
    (Driver::JsonFile, Some(2000), 100, true),
    (Driver::Local, None, 1, false),
    (Driver::Local, Some(1000), 100, false),
    (Driver::Local, Some(1000), 100, true),
];

#[test]
fn whole_and_tail_over_all_files() {
    for (driver, size, files, compress) in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let target = target(folder.path(), driver, size, files, compress);
        assert!(read(&target, all()).is_empty());
        write(&mut Writer::open(&target).unwrap(), 0..200);
        assert_eq!(read(&target, all()), lines(0..200), "{target:?}");
        for tail in [0, 1, 5, 17, 199, 200, 1000] {
            let options = ReadOptions { tail: Some(tail), ..all() };
            let expect = lines(200_u32.saturating_sub(tail as u32)..200);
            assert_eq!(read(&target, options), expect, "{target:?} {tail}");
        }
    }
}

#[test]
fn old_files_are_dropped_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(folder.path(), Driver::JsonFile, Some(1000), 3, true);
    let mut writer = Writer::open(&target).unwrap();
    write(&mut writer, 0..200);
    while writer.work() {}
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["log", "log.1.gz", "log.2.gz"]);
    for name in names {
        // Output may hold secrets.
        let mode = fs::metadata(folder.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{name:?} is open to others");
    }
    let kept = read(&target, all());
    assert!(lines(0..200).ends_with(&kept) && kept.len() > 20 && kept.len() < 60, "{}", kept.len());
}

#[test]
fn follows_over_rotations() {
    for (driver, size, files, compress) in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let target = target(folder.path(), driver, size, files, compress);
        let mut writer = Writer::open(&target).unwrap();
        write(&mut writer, 0..10);
        let mut reader = Reader::open(&target, ReadOptions { follow: true, tail: Some(2), ..all() }).unwrap();
        assert_eq!(take(&mut reader), lines(8..10));
        let mut next = 10;
        for step in [1, 3, 50, 1, 200, 7] {
            write(&mut writer, next..next + step);
            while step == 50 && writer.work() {}
            assert_eq!(take(&mut reader), lines(next..next + step), "{target:?} at {next}");
            next += step;
        }
        assert!(matches!(reader.poll().unwrap(), Next::Pending));
        write(&mut writer, next..next + 2);
        reader.stop_following();
        assert_eq!(take(&mut reader), lines(next..next + 2));
        assert!(matches!(reader.poll().unwrap(), Next::End));
    }
}

#[test]
fn follows_from_nothing_and_over_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(folder.path(), Driver::JsonFile, None, 1, false);
    let mut reader = Reader::open(&target, ReadOptions { follow: true, ..all() }).unwrap();
    assert!(matches!(reader.poll().unwrap(), Next::Pending));
    let mut writer = Writer::open(&target).unwrap();
    write(&mut writer, 0..5);
    let mut ready = [rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut ready, None).unwrap(), 1);
    assert_eq!(take(&mut reader), lines(0..5));
    fs::File::options().write(true).open(&target.path).unwrap().set_len(0).unwrap();
    write(&mut writer, 5..6);
    assert_eq!(take(&mut reader), lines(5..6));
}

#[test]
fn since_until_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(folder.path(), Driver::JsonFile, None, 1, false);
    let line = |text: &str, stream: &str, second: u32| {
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"{stream}\",\"time\":\"2026-01-01T00:00:{second:02}Z\"}}\n"
        )
    };
    let text = [line("a", "stdout", 1), line("b", "stderr", 2), "garbage\n".into(), line("c", "stdout", 3)];
    fs::write(&target.path, text.concat()).unwrap();
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}Z").parse::<Timestamp>().ok();
    for (options, expect) in [
        (all(), &["a\n", "b\n", "c\n"][..]),
        (ReadOptions { since: at(2), ..all() }, &["b\n", "c\n"]),
        (ReadOptions { until: at(2), ..all() }, &["a\n", "b\n"]),
        (ReadOptions { until: at(2), follow: true, ..all() }, &["a\n", "b\n"]),
        (ReadOptions { stderr: false, ..all() }, &["a\n", "c\n"]),
        (ReadOptions { stdout: false, tail: Some(3), ..all() }, &["b\n"]),
        (ReadOptions { since: at(9), ..all() }, &[]),
    ] {
        assert_eq!(read(&target, options), expect);
    }
}

#[test]
fn a_failed_write_is_undone_and_noted() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(folder.path(), Driver::JsonFile, None, 1, false);
    std::os::unix::fs::symlink("/dev/full", &target.path).unwrap();
    let mut writer = Writer::open(&target).unwrap();
    write(&mut writer, 0..5);
    // The device cannot be emptied; what matters is that nothing panics and that all is counted.
    let text = format!("{writer:?}");
    assert!(text.contains("dropped: 5"), "{text}");
}

#[test]
fn follows_without_a_folder_to_watch() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(&folder.path().join("later"), Driver::Local, None, 1, false);
    let mut reader = Reader::open(&target, ReadOptions { follow: true, ..all() }).unwrap();
    assert!(matches!(reader.poll().unwrap(), Next::Pending));
    write(&mut Writer::open(&target).unwrap(), 0..3);
    let mut ready = [rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut ready, None).unwrap(), 1);
    assert_eq!(take(&mut reader), lines(0..3));
}
