//! Paths below a root that is not trusted: resolved by the kernel (openat2) from a descriptor of the root, never twice.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};

use crate::error::{Errno, Error, Named, Result};

/// Magic number of procfs (statfs).
pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;
/// Magic number of devpts.
pub const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

/// How often openat2 is asked again when a rename somewhere made it doubt its result.
const RETRIES: u32 = 64;
/// How many dangling links are followed, as many as the kernel follows others.
const MOST_LINKS: u32 = 40;

/// Opens a trusted path.
pub fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty()).named("open", path.display())
}

/// Opens `path` as if `root` were the root folder: links and `..` cannot leave it, magic links are refused.
pub fn open_in_root(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    create_in_root(root, path, flags, Mode::empty())
}

/// Like [`open_in_root`], with the mode of a file that `flags` may ask to create.
pub fn create_in_root(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    resolve(root, path, flags, mode, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

/// Opens `path` below `directory` without leaving its mount and without following any link: what is found belongs to
/// the very file system the descriptor is of, whatever was mounted or linked over it.
pub fn open_same_mount(directory: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let how = ResolveFlags::BENEATH
        | ResolveFlags::NO_XDEV
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS;
    resolve(directory, path, flags, Mode::empty(), how)
}

fn resolve(at: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode, how: ResolveFlags) -> Result<OwnedFd> {
    let name = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    for _ in 0..RETRIES {
        match rustix::fs::openat2(at, name, flags | OFlags::CLOEXEC, mode, how) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other.named("openat2", path.display()),
        }
    }
    Err(Error::new("openat2", path.display(), Errno::AGAIN))
}

/// Opens the folder `path` below `root`, making what is missing of it with `mode`. Links count as if `root` were the
/// root folder; what a dangling one points to is made there.
pub fn make_folders_in_root(root: BorrowedFd<'_>, path: &Path, mode: Mode) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut wanted = path.to_owned();
    for _ in 0..MOST_LINKS {
        match open_in_root(root, &wanted, flags) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => return other,
        }
        match make_missing(root, &wanted, mode)? {
            Made::All(folder) => return Ok(folder),
            Made::UpToLink(instead) => wanted = instead,
        }
    }
    Err(Error::new("mkdirat", path.display(), Errno::LOOP))
}

/// How far the making of missing folders came.
enum Made {
    /// The last folder.
    All(OwnedFd),
    /// A name was a dangling link: go on with this path instead.
    UpToLink(PathBuf),
}

fn make_missing(root: BorrowedFd<'_>, path: &Path, mode: Mode) -> Result<Made> {
    let (mut folder, done, missing) = deepest_existing(root, path)?;
    for (index, name) in missing.iter().enumerate() {
        match rustix::fs::mkdirat(&folder, *name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::new("mkdirat", path.display(), errno)),
        }
        // NOFOLLOW: somebody inside may put a link where the folder was made.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&folder, *name, flags, Mode::empty()) {
            Ok(next) => folder = next,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let above: PathBuf = done.iter().chain(&missing[..index]).collect();
                let mut instead = above.join(target_of(folder.as_fd(), name, path)?);
                instead.extend(&missing[index + 1..]);
                return Ok(Made::UpToLink(instead));
            }
            Err(errno) => return Err(Error::new("openat", path.display(), errno)),
        }
    }
    Ok(Made::All(folder))
}

/// What the link `name` points to; an error if it is no link.
fn target_of(folder: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    match rustix::fs::readlinkat(folder, name, Vec::new()) {
        Ok(target) => Ok(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()))),
        Err(Errno::INVAL) => Err(Error::new("openat", path.display(), Errno::NOTDIR)),
        Err(errno) => Err(Error::new("readlinkat", path.display(), errno)),
    }
}

/// The longest part of `path` that exists: its folder and names; and the names that are missing.
fn deepest_existing<'p>(
    root: BorrowedFd<'_>,
    path: &'p Path,
) -> Result<(OwnedFd, Vec<&'p OsStr>, Vec<&'p OsStr>)> {
    let names: Vec<&OsStr> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            _ => None,
        })
        .collect();
    for length in (0..names.len()).rev() {
        let prefix: PathBuf = names[..length].iter().collect();
        match open_in_root(root, &prefix, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(_) if names[length..].contains(&OsStr::new("..")) => {
                return Err(Error::new("mkdirat", path.display(), Errno::NOENT));
            }
            Ok(folder) => return Ok((folder, names[..length].to_vec(), names[length..].to_vec())),
            Err(error) if error.errno == Errno::NOENT => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new("openat2", path.display(), Errno::NOENT))
}

/// Opens what is at `path` below `root` (as `O_PATH`), making an empty file and its folders if nothing is there. Of a
/// dangling link the file it points to is made, below `root`.
pub fn make_file_in_root(root: BorrowedFd<'_>, path: &Path, mode: Mode) -> Result<OwnedFd> {
    let mut wanted = path.to_owned();
    for _ in 0..MOST_LINKS {
        match open_in_root(root, &wanted, OFlags::PATH) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => return other,
        }
        let name = wanted.file_name().ok_or_else(|| Error::new("openat", path.display(), Errno::ISDIR))?;
        let parent = wanted.parent().unwrap_or(Path::new("/"));
        let folder = make_folders_in_root(root, parent, Mode::from_raw_mode(0o755))?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&folder, name, flags, mode) {
            Ok(_) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                return rustix::fs::openat(&folder, name, flags, Mode::empty())
                    .named("openat", path.display());
            }
            Err(Errno::EXIST) => wanted = parent.join(target_of(folder.as_fd(), name, path)?),
            Err(errno) => return Err(Error::new("openat", path.display(), errno)),
        }
    }
    Err(Error::new("openat", path.display(), Errno::LOOP))
}

/// The kind of what a descriptor points to.
pub fn file_type(file: BorrowedFd<'_>) -> Result<FileType> {
    let found = stat(file)?;
    Ok(FileType::from_raw_mode(found.st_mode))
}

/// Status of what a descriptor points to, `O_PATH` included.
pub fn stat(file: BorrowedFd<'_>) -> Result<rustix::fs::Stat> {
    rustix::fs::statat(file, "", AtFlags::EMPTY_PATH).named("fstat", "descriptor")
}

/// The magic number of the file system a descriptor is in.
pub fn file_system(file: BorrowedFd<'_>) -> Result<u64> {
    Ok(rustix::fs::fstatfs(file).named("fstatfs", "descriptor")?.f_type as u64)
}

/// Opens the host's null device and makes sure that it is the null device (`O_PATH`).
pub fn open_null_device() -> Result<OwnedFd> {
    let path = Path::new("/dev/null");
    let device = open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let found = stat(device.as_fd())?;
    let is_null = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
        && found.st_rdev == rustix::fs::makedev(1, 3);
    if is_null { Ok(device) } else { Err(Error::new("open", path.display(), Errno::NODEV)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn temporary(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("boxship-sys-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn links_cannot_leave_the_root() {
        let folder = temporary("links");
        std::fs::create_dir_all(folder.join("root/inside")).unwrap();
        std::fs::create_dir_all(folder.join("outside")).unwrap();
        symlink("/../../outside", folder.join("root/out")).unwrap();
        symlink("../inside", folder.join("root/in")).unwrap();
        let root = open(&folder.join("root"), OFlags::PATH).unwrap();

        let failed = open_in_root(root.as_fd(), Path::new("out"), OFlags::PATH).unwrap_err();
        assert_eq!(failed.errno, Errno::NOENT);
        make_folders_in_root(root.as_fd(), Path::new("/in/a/b"), Mode::from_raw_mode(0o755)).unwrap();
        assert!(folder.join("root/inside/a/b").is_dir());
        make_file_in_root(root.as_fd(), Path::new("/x/../in/f"), Mode::from_raw_mode(0o644)).unwrap_err();
        make_file_in_root(root.as_fd(), Path::new("/in/c/f"), Mode::from_raw_mode(0o644)).unwrap();
        assert!(folder.join("root/inside/c/f").is_file());
        assert!(!folder.join("outside/a").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_dangling_links_point_to_is_made_inside() {
        let folder = temporary("dangling");
        let inside = folder.join("root");
        std::fs::create_dir_all(inside.join("etc")).unwrap();
        symlink("../run/resolve/stub", inside.join("etc/file")).unwrap();
        symlink("/../../var/run", inside.join("etc/folder")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        let root = open(&inside, OFlags::PATH).unwrap();
        let mode = Mode::from_raw_mode(0o755);
        make_file_in_root(root.as_fd(), Path::new("/etc/file"), mode).unwrap();
        assert!(inside.join("run/resolve/stub").is_file());
        make_folders_in_root(root.as_fd(), Path::new("etc/folder/a/b"), mode).unwrap();
        assert!(inside.join("var/run/a/b").is_dir());
        assert!(!folder.join("var").exists());
        make_folders_in_root(root.as_fd(), Path::new("loop/x"), mode).unwrap_err();
        make_file_in_root(root.as_fd(), Path::new("loop"), mode).unwrap_err();
        make_file_in_root(root.as_fd(), Path::new("run/resolve/stub/x"), mode).unwrap_err();
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_null_device_is_checked() {
        open_null_device().unwrap();
    }
}
