//! Archives to folders and back, on a real file system as root: what comes through, what is refused, and that
//! nothing ever happens outside of the folder.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is their way to fail.

mod folder;
mod hostile;
mod sparse;
mod whiteouts;

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use boxship_layer::tar::{Entry, Kind, Writer};
use boxship_layer::{Applied, Error, Limits, apply};

/// An entry; files get as many bytes as `size` says.
fn entry(name: &str, kind: Kind) -> Entry {
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    Entry { name: name.into(), kind, mode, ..Entry::default() }
}

fn link(name: &str, kind: Kind, target: &str) -> Entry {
    Entry { link: target.into(), ..entry(name, kind) }
}

fn file(name: &str, size: u64) -> Entry {
    Entry { size, ..entry(name, Kind::File) }
}

fn folder(name: &str) -> Entry {
    entry(name, Kind::Directory)
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for entry in entries {
        writer.entry(entry).unwrap();
        if entry.kind == Kind::File {
            writer.data(&vec![b'x'; entry.size as usize]).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn unpack(bytes: &[u8], root: &Path) -> Result<Applied, Error> {
    let root = File::open(root).unwrap();
    let mut bytes = bytes;
    apply(&mut bytes, root.as_fd(), &Limits::default())
}
