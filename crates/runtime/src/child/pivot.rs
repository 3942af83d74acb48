//! Making the container's root the root, and letting go of the host's tree.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_sys::mount::{self, Change, propagation};
use boxship_sys::path;
use rustix::fs::{CWD, OFlags};

use crate::message::{At, Done, Step};

/// How the root is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// pivot_root(2): the host's tree is unmounted.
    Pivot,
    /// The root mount is moved over the host's: for an initramfs, which cannot be pivoted.
    Move,
    /// chroot(2) alone: without a mount namespace there is nothing else.
    Chroot,
}

/// Nothing mounted from here on shows on the host. (What the host mounts still shows here: binds are to inherit that.)
pub(crate) fn leave_propagation() -> Done {
    Change { propagation: propagation::SLAVE, ..Change::default() }
        .apply_at(Path::new("/"), true)
        .about(Step::Root, "slave propagation")
}

/// Attaches the root tree: at `place` if this process can reach it (hooks look for it there), else over the old root.
pub(crate) fn attach(tree: BorrowedFd<'_>, place: Option<&Path>) -> Done {
    let attached = place.map(|place| path::open(place, OFlags::PATH | OFlags::DIRECTORY));
    if let Some(Ok(place)) = attached
        && mount::attach(tree, place.as_fd()).is_ok()
    {
        return Ok(());
    }
    mount::move_to(tree, Path::new("/")).about(Step::Root, "attach")
}

/// Makes `root` the root of this process and answers a descriptor of it.
pub(crate) fn change(root: BorrowedFd<'_>, way: Way) -> Done<OwnedFd> {
    let enter = || rustix::process::fchdir(root).about(Step::Pivot, "chdir");
    match way {
        Way::Pivot => {
            let old = path::open(Path::new("/"), OFlags::PATH | OFlags::DIRECTORY).at(Step::Pivot)?;
            enter()?;
            mount::pivot_root_here().at(Step::Pivot)?;
            rustix::process::fchdir(&old).about(Step::Pivot, "chdir to old root")?;
            mount::detach(Path::new(".")).at(Step::Pivot)?;
        }
        Way::Move => {
            enter()?;
            mount::move_to(root, Path::new("/")).at(Step::Pivot)?;
            rustix::process::chroot(".").about(Step::Pivot, "chroot")?;
        }
        Way::Chroot => {
            enter()?;
            rustix::process::chroot(".").about(Step::Pivot, "chroot")?;
        }
    }
    rustix::process::chdir("/").about(Step::Pivot, "chdir to new root")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    path::open_in_root(CWD, Path::new("/"), flags).at(Step::Pivot)
}

/// How the root mount passes events on from now on.
pub(crate) fn set_propagation(root: BorrowedFd<'_>, wanted: Option<(u64, bool)>) -> Done {
    match wanted {
        Some((value, recursive)) if value != propagation::PRIVATE => {
            Change { propagation: value, ..Change::default() }
                .apply(root, recursive)
                .about(Step::Root, "propagation")
        }
        _ => Ok(()),
    }
}
