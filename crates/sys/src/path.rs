//! Paths below a root that is not trusted: resolved by the kernel (openat2) from a descriptor of the root, never twice.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};

use crate::error::{Errno, Error, Named, Result};

/// Magic number of procfs (statfs).
pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;
/// Magic number of devpts.
pub const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
/// Magic number of sysfs.
pub const SYSFS_MAGIC: u64 = 0x6265_6572;
/// Magic number of cgroup v2.
pub const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// How often openat2 is asked again when a rename somewhere made it doubt its result.
const RETRIES: u32 = 64;

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

/// Opens the folder `path` below `root`, making what is missing of it with `mode`.
/// What exists may contain links (they stay inside the root); what is made never does.
pub fn make_folders_in_root(root: BorrowedFd<'_>, path: &Path, mode: Mode) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match open_in_root(root, path, flags) {
        Err(error) if error.errno == Errno::NOENT => {}
        other => return other,
    }
    let (mut folder, rest) = deepest_existing(root, path)?;
    for name in rest {
        match rustix::fs::mkdirat(&folder, name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::new("mkdirat", path.display(), errno)),
        }
        // NOFOLLOW: somebody inside may put a link where the folder was made.
        folder = rustix::fs::openat(&folder, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .named("openat", path.display())?;
    }
    Ok(folder)
}

/// The longest part of `path` that exists, and the names that are missing.
fn deepest_existing<'p>(root: BorrowedFd<'_>, path: &'p Path) -> Result<(OwnedFd, Vec<&'p OsStr>)> {
    let names: Vec<&OsStr> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            _ => None,
        })
        .collect();
    for length in (0..names.len()).rev() {
        let prefix: std::path::PathBuf = names[..length].iter().collect();
        match open_in_root(root, &prefix, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(_) if names[length..].contains(&OsStr::new("..")) => {
                return Err(Error::new("mkdirat", path.display(), Errno::NOENT));
            }
            Ok(folder) => return Ok((folder, names[length..].to_vec())),
            Err(error) if error.errno == Errno::NOENT => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new("openat2", path.display(), Errno::NOENT))
}

/// Opens what is at `path` below `root` (as `O_PATH`), making an empty file and its folders if nothing is there.
pub fn make_file_in_root(root: BorrowedFd<'_>, path: &Path, mode: Mode) -> Result<OwnedFd> {
    match open_in_root(root, path, OFlags::PATH) {
        Err(error) if error.errno == Errno::NOENT => {}
        other => return other,
    }
    let name = path.file_name().ok_or_else(|| Error::new("openat", path.display(), Errno::ISDIR))?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let folder = make_folders_in_root(root, parent, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&folder, name, flags, mode) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::new("openat", path.display(), errno)),
    }
    rustix::fs::openat(&folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .named("openat", path.display())
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
    fn a_dangling_link_is_never_made_through() {
        let folder = temporary("dangling");
        symlink("/nowhere", folder.join("link")).unwrap();
        let root = open(&folder, OFlags::PATH).unwrap();
        make_file_in_root(root.as_fd(), Path::new("link"), Mode::from_raw_mode(0o644)).unwrap();
        assert!(!folder.join("nowhere").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_null_device_is_checked() {
        open_null_device().unwrap();
    }
}
