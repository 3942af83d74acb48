//! What an upper folder changes on top of its lower ones.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use crate::metadata::{is_folder, mtime, of_sys};
use crate::tar::printable;
use crate::walk::{Visit, walk};
use crate::{Error, Result, lower, whiteout};

/// How a path changed. The numbers are the Engine API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Other content or metadata (`C`).
    Modified = 0,
    /// Not in the lower folders (`A`).
    Added = 1,
    /// Only in the lower folders (`D`).
    Deleted = 2,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path from the root, beginning with `/`.
    pub path: PathBuf,
    /// How it changed.
    pub kind: ChangeKind,
}

/// Lists the changes of `upper` on top of `lowers` (topmost first), sorted by path.
pub fn changes(upper: BorrowedFd<'_>, lowers: &[BorrowedFd<'_>]) -> Result<Vec<Change>> {
    let mut found = Found::default();
    walk(upper, |entry| found.entry(entry, lowers))?;
    let change = |(path, kind): (Vec<u8>, ChangeKind)| Change {
        path: PathBuf::from(OsStr::from_bytes(&[b"/", &path[..]].concat())),
        kind,
    };
    Ok(found.changes.into_iter().map(change).collect())
}

#[derive(Default)]
struct Found {
    changes: BTreeMap<Vec<u8>, ChangeKind>,
}

impl Found {
    fn entry(&mut self, entry: &Visit<'_>, lowers: &[BorrowedFd<'_>]) -> Result<()> {
        let fail = |source| Error::Io { operation: "compare", name: printable(entry.path), source };
        let below = lower::find(lowers, entry.path).map_err(fail)?.map(|(_, stat)| stat);
        match below {
            _ if whiteout::is(entry.stat) => {
                if below.is_some() {
                    self.add(entry.path, ChangeKind::Deleted);
                }
            }
            None => self.add(entry.path, ChangeKind::Added),
            Some(below) => {
                // A folder is copied up as soon as something in it changes: that alone is no change.
                if !(is_folder(entry.stat) && is_folder(&below) && same_folder(entry.stat, &below)) {
                    self.add(entry.path, ChangeKind::Modified);
                }
                if is_folder(entry.stat) {
                    self.hidden(entry, lowers).map_err(fail)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &[u8], kind: ChangeKind) {
        self.changes.insert(path.to_vec(), kind);
        // As Docker lists it: what changes in a folder changes the folder, and those above it. What is listed has those
        // above it listed, too: trees are as deep as a container makes them.
        let ends = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for folder in ends.map(|end| &path[..end]) {
            if self.changes.contains_key(folder) {
                break;
            }
            self.changes.insert(folder.to_vec(), ChangeKind::Modified);
        }
    }

    /// An opaque folder deletes what the lower ones have in it and it has not.
    fn hidden(&mut self, entry: &Visit<'_>, lowers: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match openat(entry.folder, entry.name, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        if !whiteout::is_opaque(folder.as_fd()).map_err(of_sys)? {
            return Ok(());
        }
        for name in lower_names(lowers, entry.path)? {
            let path = [entry.path, b"/", &name[..]].concat();
            let gone = matches!(statat(&folder, &name[..], AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT));
            if gone && lower::find(lowers, &path)?.is_some() {
                self.add(&path, ChangeKind::Deleted);
            }
        }
        Ok(())
    }
}

fn same_folder(a: &Stat, b: &Stat) -> bool {
    (a.st_mode, a.st_uid, a.st_gid, mtime(a)) == (b.st_mode, b.st_uid, b.st_gid, mtime(b))
}

/// All names that any of the lower folders has at a path, hidden ones included.
fn lower_names(lowers: &[BorrowedFd<'_>], path: &[u8]) -> std::io::Result<HashSet<Vec<u8>>> {
    let mut names = HashSet::new();
    for layer in lowers {
        let Some(folder) = lower::find_folder(std::slice::from_ref(layer), path)? else { continue };
        let folder =
            openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        for entry in Dir::new(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.insert(name.to_vec());
            }
        }
    }
    Ok(names)
}
