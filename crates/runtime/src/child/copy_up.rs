//! `tmpcopyup`: a new tmpfs begins with what was in its place. Folders, files and links are copied with owner and
//! mode; nothing is followed and nothing outside is reached.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use boxship_sys::{Errno, path};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};

use crate::message::{At, Done, Step};

/// Images are untrusted: folders deeper than this are not copied but refused.
const MOST_DEPTH: u32 = 128;

/// Copies what is at `place` below `root` into the file system `target`.
pub(crate) fn copy(root: BorrowedFd<'_>, place: &Path, target: BorrowedFd<'_>) -> Done {
    let source = path::open_in_root(root, place, OFlags::RDONLY | OFlags::DIRECTORY);
    let source = source.about(Step::Mount, place.display())?;
    folder(source.as_fd(), target, 0).about(Step::Mount, format_args!("{} (tmpcopyup)", place.display()))
}

fn folder(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> rustix::io::Result<()> {
    if depth > MOST_DEPTH {
        return Err(Errno::LOOP);
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        one(from, to, name, depth)?;
    }
    Ok(())
}

fn one(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &OsStr, depth: u32) -> rustix::io::Result<()> {
    let found = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(found.st_mode & 0o7777);
    let open = |flags: OFlags| {
        rustix::fs::openat(
            from,
            name,
            flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let owner = |flags: AtFlags| {
        let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
        rustix::fs::chownat(to, name, Some(uid), Some(gid), flags)
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700))?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(to, name, flags, Mode::empty())?;
            folder(open(OFlags::DIRECTORY)?.as_fd(), made.as_fd(), depth + 1)?;
            owner(AtFlags::SYMLINK_NOFOLLOW)?;
            rustix::fs::fchmod(&made, mode)
        }
        FileType::RegularFile => {
            let made = file(&open(OFlags::NONBLOCK)?, to, name)?;
            owner(AtFlags::SYMLINK_NOFOLLOW)?;
            rustix::fs::fchmod(&made, mode)
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target, to, name)?;
            owner(AtFlags::SYMLINK_NOFOLLOW)
        }
        // Sockets, pipes and devices of an image mean nothing in a copy.
        _ => Ok(()),
    }
}

fn file(from: &OwnedFd, to: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = rustix::io::read(from, &mut buffer[..])?;
        if length == 0 {
            return Ok(made);
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let written = rustix::io::write(&made, rest)?;
            rest = &rest[written..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn everything_comes_along_and_nothing_is_followed() {
        let base = std::env::temp_dir().join(format!("boxship-copyup-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(from.join("a/b/file"), "text").unwrap();
        std::fs::set_permissions(from.join("a/b/file"), PermissionsExt::from_mode(0o640)).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();

        let root = path::open(&base, OFlags::PATH).unwrap();
        let target = path::open(&to, OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
        copy(root.as_fd(), Path::new("/from"), target.as_fd()).unwrap();

        assert_eq!(std::fs::read_to_string(to.join("a/b/file")).unwrap(), "text");
        assert_eq!(std::fs::metadata(to.join("a/b/file")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
        std::fs::remove_dir_all(base).unwrap();
    }
}
