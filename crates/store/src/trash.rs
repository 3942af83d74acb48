//! The way out: a rename into the trash, then deletion off the caller's path.
//!
//! What is deleted may have been made by a hostile container: folders nested without end. So deletion neither
//! recurses nor follows links nor holds a descriptor per level: a folder found too deep is moved up into the trash.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::error::io;
use crate::{Error, Paths, Result};

/// Folders open at once while deleting.
const MAX_OPEN: usize = 64;

/// A name that nobody has used.
pub(crate) fn random_name() -> Result<String> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).map_err(|e| Error::Io {
        operation: "read random bytes for",
        path: PathBuf::from("a name"),
        source: std::io::Error::other(e.to_string()),
    })?;
    Ok(boxship_oci::digest::encode_hex(&bytes))
}

/// Moves a file or folder to the trash; `false` when there is none.
pub(crate) fn discard(paths: &Paths, path: &Path) -> Result<bool> {
    let target = paths.trash().join(random_name()?);
    match rustix::fs::rename(path, &target) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(io("discard", path)(errno)),
    }
}

/// Deletes everything in the trash; goes on after failures and reports the first. Returns what was deleted.
pub(crate) fn sweep(paths: &Paths) -> Result<u64> {
    let path = paths.trash();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let trash = openat(CWD, &path, flags, Mode::empty()).map_err(io("open", &path))?;
    let (mut swept, mut first_failure) = (0, None);
    // What was moved up by the first round is deleted by the next.
    loop {
        let names = names(trash.as_fd()).map_err(io("list", &path))?;
        let mut progress = false;
        for (name, _) in names {
            match delete(trash.as_fd(), &name) {
                Ok(()) => {
                    swept += 1;
                    progress = true;
                }
                // Another sweep has it.
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    let name = path.join(String::from_utf8_lossy(&name).as_ref());
                    first_failure.get_or_insert_with(|| io("delete", &name)(errno));
                }
            }
        }
        if !progress {
            break;
        }
    }
    match first_failure {
        Some(failure) => Err(failure),
        None => Ok(swept),
    }
}

/// The entries of a folder and whether each is a folder itself.
fn names(folder: BorrowedFd<'_>) -> rustix::io::Result<Vec<(Vec<u8>, bool)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((name.to_vec(), entry.file_type() == FileType::Directory));
        }
    }
    Ok(names)
}

/// A folder being emptied: its descriptor, its name in the one before, its sub-folders left to do.
struct Level {
    folder: OwnedFd,
    name: Vec<u8>,
    folders: Vec<Vec<u8>>,
}

fn delete(trash: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    let Some(top) = enter(trash, name)? else { return Ok(()) };
    let mut levels = vec![top];
    while let Some(level) = levels.last_mut() {
        if let Some(next) = level.folders.pop() {
            if levels.len() < MAX_OPEN {
                let parent = &levels[levels.len() - 1].folder;
                if let Some(below) = enter(parent.as_fd(), &next)? {
                    levels.push(below);
                }
            } else {
                let lifted = random_name().map_err(|_| Errno::IO)?;
                renameat(&levels[levels.len() - 1].folder, &next[..], trash, lifted)?;
            }
        } else if let Some(done) = levels.pop() {
            let parent = levels.last().map_or(trash, |level| level.folder.as_fd());
            unlinkat(parent, &done.name[..], AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// Deletes a file, or opens a folder and deletes the files in it.
fn enter(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Option<Level>> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => return Ok(None),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(parent, name, flags, Mode::empty())?;
    let mut folders = Vec::new();
    for (name, is_folder) in names(folder.as_fd())? {
        if is_folder {
            folders.push(name);
            continue;
        }
        match unlinkat(&folder, &name[..], AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => folders.push(name),
            Err(errno) => return Err(errno),
        }
    }
    Ok(Some(Level { folder, name: name.to_vec(), folders }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_files_links_and_folders_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("data"), dir.path().join("exec"));
        std::fs::create_dir_all(paths.trash()).unwrap();
        std::fs::write(dir.path().join("kept"), "").unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::os::unix::fs::symlink(dir.path(), tree.join("link")).unwrap();
        let mut folder = openat(CWD, &tree, OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..600 {
            rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
            openat(&folder, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            folder = openat(&folder, "d", OFlags::PATH, Mode::empty()).unwrap();
        }
        assert!(discard(&paths, &tree).unwrap());
        assert!(!discard(&paths, &tree).unwrap());
        assert!(sweep(&paths).unwrap() > 1);
        assert_eq!(std::fs::read_dir(paths.trash()).unwrap().count(), 0);
        assert!(dir.path().join("kept").exists());
    }
}
