//! The container's terminal: made in its own devpts, sent to the maker, bound to `/dev/console`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_sys::{mount, path, pty};
use rustix::fs::{Mode, OFlags};

use super::procfs;
use crate::message::{At, Done, Reporter, Step};

/// Makes a terminal of this size in the devpts of the container and hands its master over.
pub(crate) fn open(root: BorrowedFd<'_>, size: (u16, u16), reporter: &Reporter<'_>) -> Done<OwnedFd> {
    let folder = path::open_in_root(root, Path::new("/dev/pts"), OFlags::PATH | OFlags::DIRECTORY);
    let folder = folder.about(Step::Console, "/dev/pts")?;
    let pair = pty::open_in(folder.as_fd()).at(Step::Console)?;
    pty::resize(pair.master.as_fd(), size.0, size.1).at(Step::Console)?;
    reporter.console(pair.master.as_fd())?;
    Ok(pair.terminal)
}

/// Shows the terminal as `/dev/console`. The mount is of the terminal's descriptor: no path leads to it.
pub(crate) fn bind(root: BorrowedFd<'_>, terminal: BorrowedFd<'_>) -> Done {
    let name = Path::new("/dev/console");
    let copy = mount::copy_of(terminal, false).about(Step::Console, name.display())?;
    let place = path::make_file_in_root(root, name, Mode::from_raw_mode(0o666))
        .about(Step::Console, name.display())?;
    procfs::refuse_as_place(place.as_fd(), name, Step::Console)?;
    mount::attach(copy.as_fd(), place.as_fd()).about(Step::Console, name.display())
}
