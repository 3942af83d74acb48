//! Removal of a folder that an archive made, because a later entry puts something else in its place.
//!
//! Such a folder may be nested without end (each link on an entry's way leads deeper than a name can), so this neither
//! recurses nor holds a descriptor per level: a folder found too deep is moved up beside the one being removed.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::{Errno, Result};

/// Folders open at once.
const MAX_OPEN: usize = 64;

/// A folder being emptied: its descriptor, its name in the one before, its sub-folders left to do.
struct Level {
    folder: OwnedFd,
    name: Vec<u8>,
    folders: Vec<Vec<u8>>,
}

/// Removes the folder `name` with all that is in it, without following links.
pub(crate) fn tree(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    let mut pending = VecDeque::from([name.to_vec()]);
    while let Some(name) = pending.pop_front() {
        one(parent, &name, &mut pending)?;
    }
    Ok(())
}

/// Removes one folder; what is too deep in it is moved to `parent` and put on the list.
fn one(parent: BorrowedFd<'_>, name: &[u8], pending: &mut VecDeque<Vec<u8>>) -> Result<()> {
    let mut levels = vec![enter(parent, name)?];
    while let Some(level) = levels.last_mut() {
        if let Some(next) = level.folders.pop() {
            if levels.len() < MAX_OPEN {
                let above = &levels[levels.len() - 1].folder;
                levels.push(enter(above.as_fd(), &next)?);
            } else {
                pending.push_back(lift(levels[levels.len() - 1].folder.as_fd(), &next, parent)?);
            }
        } else if let Some(done) = levels.pop() {
            let above = levels.last().map_or(parent, |level| level.folder.as_fd());
            unlinkat(above, &done.name[..], AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// Opens a folder and removes the files in it.
fn enter(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Level> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(parent, name, flags, Mode::empty())?;
    let mut folders = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        match entry.file_type() {
            _ if matches!(name, b"." | b"..") => {}
            FileType::Directory => folders.push(name.to_vec()),
            _ => match unlinkat(&folder, name, AtFlags::empty()) {
                // A file system that doesn't tell kinds.
                Err(Errno::ISDIR) => folders.push(name.to_vec()),
                other => other?,
            },
        }
    }
    Ok(Level { folder, name: name.to_vec(), folders })
}

/// Moves a folder to `parent` under a name that nothing there has.
fn lift(from: BorrowedFd<'_>, name: &[u8], parent: BorrowedFd<'_>) -> Result<Vec<u8>> {
    for number in 0_u64.. {
        let free = format!(".boxship-removed-{number}").into_bytes();
        match renameat_with(from, name, parent, &free[..], RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(free),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, mkdirat};

    #[test]
    fn folders_without_end_and_what_is_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kept"), "").unwrap();
        std::fs::create_dir(dir.path().join(".boxship-removed-0")).unwrap();
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("tree/link")).unwrap();
        let mut folder = openat(CWD, dir.path().join("tree"), OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..3000 {
            mkdirat(&folder, "d", Mode::RWXU).unwrap();
            openat(&folder, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            folder = openat(&folder, "d", OFlags::PATH, Mode::empty()).unwrap();
        }
        let parent = std::fs::File::open(dir.path()).unwrap();
        tree(parent.as_fd(), b"tree").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(dir.path().join("kept").exists());
    }
}
