//! Entering namespaces and control groups: by the container's first process itself, or by a short-lived process that
//! makes it, where the order of namespaces asks for one (see [`needs_two`]).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_sys::clone::Clone;
use boxship_sys::namespace::{self, Kind};
use boxship_sys::{Errno, process};
use rustix::fs::{Mode, OFlags};

use crate::message::{At, Done, Failure, Reporter, Step};
use crate::plan::Namespaces;

/// Namespaces that a process enters by itself after it was made: the control groups' root is where it is then.
const LATER: u64 = Kind::Cgroup.flag() | Kind::Time.flag();

/// The bits to clone the first process with.
pub(crate) fn clone_bits(namespaces: &Namespaces) -> u64 {
    namespaces.new & !LATER
}

/// Whether another process has to make the first one:
/// a process cannot change its own process namespace; clocks are set before the first process of a time namespace
/// exists; the host's namespaces cannot be joined once in a new user namespace.
pub(crate) fn needs_two(namespaces: &Namespaces) -> bool {
    let joins = |kind: Kind| namespaces.joined.iter().any(|(joined, _)| *joined == kind);
    namespaces.is_new(Kind::Time)
        || joins(Kind::Pid)
        || joins(Kind::User)
        || (namespaces.is_new(Kind::User) && !namespaces.joined.is_empty())
}

/// The short-lived process: joins, sets clocks, and makes the first process as its maker's child. Answers its status.
pub(crate) fn make_sibling(
    namespaces: &Namespaces,
    cgroup: Option<BorrowedFd<'_>>,
    reporter: &Reporter<'_>,
    child: impl FnOnce() -> u8,
) -> u8 {
    match try_make_sibling(namespaces, cgroup, reporter, child) {
        Ok(()) => 0,
        Err(failure) => {
            // Were the maker gone, nobody would be left to be told.
            let _ = reporter.failed(&failure);
            1
        }
    }
}

fn try_make_sibling(
    namespaces: &Namespaces,
    cgroup: Option<BorrowedFd<'_>>,
    reporter: &Reporter<'_>,
    child: impl FnOnce() -> u8,
) -> Done {
    join(namespaces)?;
    if namespaces.is_new(Kind::Time) {
        namespace::unshare(Kind::Time.flag()).at(Step::Unshare)?;
        if let Some(offsets) = &namespaces.time_offsets {
            set_clocks(offsets)?;
        }
    }
    let made =
        Clone { namespaces: clone_bits(namespaces), sibling: true, cgroup }.spawn(child).at(Step::Clone)?;
    reporter.spawned(made.pid)
}

/// Joins the namespaces of others: all while still having the host's rights, the user namespace last.
pub(crate) fn join(namespaces: &Namespaces) -> Done {
    let (users, others): (Vec<_>, Vec<_>) =
        namespaces.joined.iter().partition(|(kind, _)| *kind == Kind::User);
    for (kind, namespace) in others.into_iter().chain(users) {
        namespace::join(namespace.as_fd(), *kind).about(Step::Join, kind.file())?;
    }
    Ok(())
}

fn set_clocks(offsets: &str) -> Done {
    let name = Path::new("/proc/self/timens_offsets");
    let file = boxship_sys::path::open(name, OFlags::WRONLY).at(Step::Unshare)?;
    rustix::io::write(&file, offsets.as_bytes()).about(Step::Unshare, name.display())?;
    Ok(())
}

/// Becomes root of the user namespace this process is in.
pub(crate) fn become_root() -> Done {
    process::set_group(0).at(Step::BecomeRoot)?;
    process::set_user(0).at(Step::BecomeRoot)?;
    match process::set_groups(&[]) {
        Ok(()) => Ok(()),
        Err(error) if error.errno == Errno::PERM => Ok(()),
        Err(error) => Err(error).at(Step::BecomeRoot),
    }
}

/// Leaves the caller's session keyring for the container's. Kernels without keyrings do without.
pub(crate) fn keyring(name: &str) -> Done {
    match process::join_session_keyring(name) {
        Err(error) if error.errno == Errno::NOSYS => Ok(()),
        other => other.at(Step::Keyring),
    }
}

/// Enters the control groups behind these files (see [`Cgroup::entrances`](crate::cgroup::Cgroup::entrances)).
pub(crate) fn cgroups(entrances: &[OwnedFd]) -> Done {
    for entrance in entrances {
        match rustix::io::write(entrance, b"0") {
            Ok(_) => {}
            Err(errno) => return Err(Failure::new(Step::Cgroup, "", errno)),
        }
    }
    Ok(())
}

/// First of all: no process of the container may look into this one, and files get the modes they are made with.
pub(crate) fn seclude() -> Done {
    process::set_dumpable(false).at(Step::Descriptors)?;
    rustix::process::umask(Mode::empty());
    process::start_session().at(Step::Descriptors)
}
