//! Paths made unreadable (the null device or an empty folder over them) and read-only.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use boxship_sys::mount::{self, Change, FileSystem, attr};
use boxship_sys::{Errno, path};
use rustix::fs::OFlags;

use crate::message::{At, Done, Failure, Step};
use crate::plan::clean;

/// Covers every path. `null` is a detached mount of the host's null device, verified to be that.
pub(crate) fn mask(root: BorrowedFd<'_>, paths: &[PathBuf], null: BorrowedFd<'_>) -> Done {
    // A detached mount can be attached once; from then on it can be copied.
    let mut null_is_attached = false;
    let mut empty: Option<OwnedFd> = None;
    for masked in paths {
        let name = masked.display();
        let Some(place) = open(root, masked, Step::Mask)? else { continue };
        let cover = if path::file_type(place.as_fd()).about(Step::Mask, &name)?.is_dir() {
            match &empty {
                Some(empty) => Some(mount::copy_of(empty.as_fd(), false).about(Step::Mask, &name)?),
                None => {
                    let made = empty_folder().about(Step::Mask, &name)?;
                    mount::attach(made.as_fd(), place.as_fd()).about(Step::Mask, &name)?;
                    empty = Some(made);
                    continue;
                }
            }
        } else if null_is_attached {
            Some(mount::copy_of(null, false).about(Step::Mask, &name)?)
        } else {
            null_is_attached = true;
            None
        };
        let cover = cover.as_ref().map_or(null, |cover| cover.as_fd());
        mount::attach(cover, place.as_fd()).about(Step::Mask, &name)?;
    }
    Ok(())
}

/// Makes every path read-only, with all mounted below it.
pub(crate) fn read_only(root: BorrowedFd<'_>, paths: &[PathBuf]) -> Done {
    for wanted in paths {
        let name = wanted.display();
        let Some(place) = open(root, wanted, Step::ReadOnly)? else { continue };
        let copy = mount::copy_of(place.as_fd(), true).about(Step::ReadOnly, &name)?;
        Change { set: attr::RDONLY, ..Change::default() }
            .apply(copy.as_fd(), true)
            .about(Step::ReadOnly, &name)?;
        mount::attach(copy.as_fd(), place.as_fd()).about(Step::ReadOnly, &name)?;
    }
    Ok(())
}

/// The root itself: its mount only, not what is mounted below.
pub(crate) fn read_only_root(root: BorrowedFd<'_>) -> Done {
    Change { set: attr::RDONLY, ..Change::default() }.apply(root, false).about(Step::ReadOnly, "/")
}

/// Opens a path to be covered; none if it isn't there.
fn open(root: BorrowedFd<'_>, wanted: &Path, step: Step) -> Done<Option<OwnedFd>> {
    let place = match path::open_in_root(root, wanted, OFlags::PATH) {
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.about(step, wanted.display())?,
    };
    require_real(place.as_fd(), wanted, step)?;
    Ok(Some(place))
}

/// A path of procfs or sysfs must lead there: were it somewhere else, the real one would stay open (CVE-2025-31133).
fn require_real(place: BorrowedFd<'_>, wanted: &Path, step: Step) -> Done {
    let cleaned = clean(wanted);
    let expected = if cleaned.starts_with("/proc") && cleaned != Path::new("/proc") {
        path::PROC_SUPER_MAGIC
    } else {
        return Ok(());
    };
    let found = path::file_system(place).about(step, wanted.display())?;
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(step, format_args!("{} is not on procfs", wanted.display()), Errno::XDEV))
}

fn empty_folder() -> boxship_sys::Result<OwnedFd> {
    let new = FileSystem::open("tmpfs")?;
    new.set("source", "tmpfs")?;
    new.set("size", "0")?;
    new.set("nr_inodes", "1")?;
    new.mount(attr::RDONLY)
}
