//! Durable changes of files and folders: what a caller is told is done survives a crash of the machine, and what a
//! crash interrupts is either whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::error::{Named, Result};

/// Makes a folder and what is missing above it; what was made is durable.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    // Collection removes folders that have become empty, so what was there a moment ago may have to be made again.
    for _ in 0..16 {
        make_folder(parent)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).named("mkdir", path);
            }
            _ => return sync_folder(parent),
        }
    }
    fs::create_dir(path).named("mkdir", path)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).named("fsync", path)
}

/// Writes a file that is visible only when whole; `draft` is a path on the same file system that nobody else uses.
pub(crate) fn write_whole(draft: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let written = draw_up(draft, bytes).and_then(|()| fs::rename(draft, path).named("rename", path));
    if written.is_err() {
        // What is left of the draft takes room that may be what was missing.
        let _ = fs::remove_file(draft);
    }
    written?;
    sync_folder(path.parent().unwrap_or(path))
}

fn draw_up(draft: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(draft).named("create", draft)?;
    file.write_all(bytes).named("write", draft)?;
    file.sync_data().named("fsync", draft)
}

/// Removes a file; whether it was there.
pub(crate) fn remove_file(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if missing(&error) => Ok(false),
        Err(error) => Err(error).named("remove", path),
    }
}

/// Whether the error says that something is not there.
pub(crate) fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What is not there as `None`.
pub(crate) fn if_there<T>(result: io::Result<T>, call: &'static str, path: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(error).named(call, path),
    }
}

/// The names in a folder; none when it is not there. Names that are no UTF-8 are not ours.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let Some(entries) = if_there(fs::read_dir(path), "read", path)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.named("read", path)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// A lock on a folder, held until it is dropped; other processes respect it too.
pub(crate) struct Lock {
    _folder: File,
}

/// Locks a folder: shared by those who add, alone for those who take away. `None` when the folder is not there.
pub(crate) fn lock(path: &Path, alone: bool) -> Result<Option<Lock>> {
    locked(path, if alone { FlockOperation::LockExclusive } else { FlockOperation::LockShared })
}

fn locked(path: &Path, operation: FlockOperation) -> Result<Option<Lock>> {
    use std::os::unix::fs::MetadataExt;
    loop {
        let Some(folder) = if_there(File::open(path), "open", path)? else { return Ok(None) };
        rustix::fs::flock(&folder, operation).named("flock", path)?;
        // The folder may have been removed, even made again, before the lock was ours.
        let held = folder.metadata().named("stat", path)?;
        match if_there(fs::metadata(path), "stat", path)? {
            Some(there) if there.ino() == held.ino() => return Ok(Some(Lock { _folder: folder })),
            _ => continue,
        }
    }
}

/// Removes the folders above one that have become empty, up to `top`; none that somebody holds to add to it.
pub(crate) fn remove_empty_above(path: &Path, top: &Path) {
    for above in path.ancestors().skip(1).take_while(|above| *above != top) {
        let alone = locked(above, FlockOperation::NonBlockingLockExclusive);
        if !matches!(alone, Ok(Some(_))) || fs::remove_dir(above).is_err() {
            return;
        }
    }
}

/// Moves a file's change time to now, and nothing else that anybody looks at.
pub(crate) fn touch(path: &Path) -> Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .named("utimensat", path)
}
