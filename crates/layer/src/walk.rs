//! Looks through a folder that may be changing and hostile: without recursion, without following links, with a
//! bounded number of descriptors.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat};
use rustix::io::Errno;

use crate::resolve::{Folders, retrying};
use crate::tar::printable;
use crate::{Error, Result};

/// One entry met on the way.
pub(crate) struct Visit<'a> {
    /// Its path below the root, without leading slash.
    pub path: &'a [u8],
    /// The folder it is in.
    pub folder: BorrowedFd<'a>,
    /// Its last component.
    pub name: &'a [u8],
    /// What it is.
    pub stat: &'a Stat,
}

/// Calls `visit` for each entry below `root` (not for the root itself): folders before what is in them, names in
/// byte order. What vanishes meanwhile is left out.
pub(crate) fn walk(root: BorrowedFd<'_>, mut visit: impl FnMut(&Visit<'_>) -> Result<()>) -> Result<()> {
    let fail =
        |path: &[u8], e: Errno| Error::Io { operation: "look at", name: printable(path), source: e.into() };
    let mut folders =
        Folders::new(root).map_err(|source| Error::Io { operation: "open", name: "/".into(), source })?;
    let mut pending = children(root, &[]).map_err(|e| fail(b"/", e))?;
    while let Some(path) = pending.pop() {
        let (parent, name) = split(&path);
        let folder = match folders.open(parent) {
            Ok(Some(folder)) => folder,
            Ok(None) | Err(Errno::NOTDIR | Errno::LOOP) => continue,
            Err(errno) => return Err(fail(&path, errno)),
        };
        let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(fail(&path, errno)),
        };
        visit(&Visit { path: &path, folder: folder.as_fd(), name, stat: &stat })?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&folder, name, flags, Mode::empty()) {
                Ok(opened) => pending.extend(children(opened.as_fd(), &path).map_err(|e| fail(&path, e))?),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(fail(&path, errno)),
            }
        }
    }
    Ok(())
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

/// The paths of a folder's entries, last first: they are taken from the end.
fn children(folder: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<Vec<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(folder, ".", flags, Mode::empty())?;
    let mut paths = Vec::new();
    for entry in Dir::new(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            paths.push(join(path, name));
        }
    }
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

/// Bytes in the regular files below a folder, hard links counted once. However many files a folder has, their
/// names are not remembered; folders nested deeper than a path can be long are left out.
pub fn usage(root: BorrowedFd<'_>) -> Result<u64> {
    let fail =
        |path: &[u8], e: Errno| Error::Io { operation: "look at", name: printable(path), source: e.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut sum = Sum::default();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let name = if path.is_empty() { &b"."[..] } else { &path };
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match retrying(|| openat2(root, name, flags, Mode::empty(), beneath)) {
            Ok(folder) => sum.folder(&folder, &path, &mut pending).map_err(|e| fail(&path, e))?,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => {}
            Err(errno) => return Err(fail(&path, errno)),
        }
    }
    Ok(sum.bytes)
}

#[derive(Default)]
struct Sum {
    bytes: u64,
    linked: HashSet<(u64, u64)>,
}

impl Sum {
    fn folder(
        &mut self,
        folder: &OwnedFd,
        path: &[u8],
        pending: &mut Vec<Vec<u8>>,
    ) -> rustix::io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match entry.file_type() {
                FileType::Directory => pending.push(join(path, name.to_bytes())),
                FileType::RegularFile | FileType::Unknown => {
                    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) => self.file(&stat),
                        Err(Errno::NOENT) => {}
                        Err(errno) => return Err(errno),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, stat: &Stat) {
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if regular && (stat.st_nlink == 1 || self.linked.insert((stat.st_dev, stat.st_ino))) {
            self.bytes += stat.st_size as u64;
        }
    }
}
