//! Owner, mode, attributes and times of what was unpacked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use boxship_sys::xattr;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, chmodat, chownat, fchmod, fchown,
    futimens, statat, utimensat,
};
use rustix::io::Errno;

use crate::tar::{Entry, Kind, Time};
use crate::whiteout;

type Result<T> = std::result::Result<T, std::io::Error>;

pub(crate) fn of_sys(error: boxship_sys::error::Error) -> std::io::Error {
    error.errno.into()
}

pub(crate) fn timestamps(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.secs, tv_nsec: i64::from(time.nanos) };
    Timestamps { last_access: time, last_modification: time }
}

/// Everything about an open regular file. The order matters: a change of owner clears set-uid and capabilities.
pub(crate) fn set_on_file(file: &OwnedFd, entry: &Entry, as_made: bool) -> Result<()> {
    if !as_made {
        fchown(file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
    }
    fchmod(file, Mode::from_raw_mode(entry.mode))?;
    set_xattrs(entry, |key, value| xattr::set(file.as_fd(), key, value))?;
    Ok(futimens(file, &timestamps(entry.mtime))?)
}

/// Everything but times about an entry that isn't a regular file.
pub(crate) fn set_on_name(folder: BorrowedFd<'_>, name: &[u8], entry: &Entry, as_made: bool) -> Result<()> {
    if !as_made {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if entry.kind != Kind::Symlink {
        // Not a link, as it was just made or looked at, and nobody else is here: nothing is followed.
        chmodat(folder, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
    }
    set_xattrs(entry, |key, value| xattr::set_at(folder, name, key, value))
}

/// The times of anything, a link itself included.
pub(crate) fn set_time(folder: BorrowedFd<'_>, name: &[u8], time: Time) -> rustix::io::Result<()> {
    utimensat(folder, name, &timestamps(time), AtFlags::SYMLINK_NOFOLLOW)
}

fn set_xattrs(entry: &Entry, set: impl Fn(&[u8], &[u8]) -> boxship_sys::error::Result<()>) -> Result<()> {
    for (key, value) in entry.xattrs.iter().filter(|(key, _)| !whiteout::is_overlays(key)) {
        match set(key, value) {
            Ok(()) => {}
            // Not a thing of this file system (NFS ACLs, SELinux on tmpfs), or of this kind of file (user.* on a
            // link or device): nothing could ever read it here.
            Err(error) if error.errno == Errno::OPNOTSUPP => {}
            Err(error) if error.errno == Errno::PERM && key.starts_with(b"user.") => {}
            Err(error) => return Err(of_sys(error)),
        }
    }
    Ok(())
}

/// Copies owner, mode and attributes from one folder to another (perhaps `O_PATH`); returns the time to give it.
pub(crate) fn copy_folder(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<Time> {
    let stat = statat(from, "", AtFlags::EMPTY_PATH)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(to, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    chmodat(to, ".", Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
    for key in xattr::list_at(from, b"").map_err(of_sys)? {
        if whiteout::is_overlays(&key) {
            continue;
        }
        if let Some(value) = xattr::get_at(from, b"", &key).map_err(of_sys)? {
            xattr::set(to, &key, &value).map_err(of_sys)?;
        }
    }
    Ok(mtime(&stat))
}

pub(crate) fn mtime(stat: &Stat) -> Time {
    Time { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 }
}

pub(crate) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}
