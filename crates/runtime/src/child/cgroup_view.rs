//! The container's `/sys/fs/cgroup`: what [`View`] describes, mounted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_sys::Errno;
use boxship_sys::mount::{self, Change, FileSystem, attr};
use rustix::fs::{CWD, Mode, OFlags};

use super::mounts::{apply_options, make};
use crate::cgroup::{View, ViewHierarchy};
use crate::message::{At, Done, Step};
use crate::mount_options::Options;
use crate::plan::MountPlan;

/// Mounts the view at `place`. Answers what must become read-only later.
pub(crate) fn mount(
    view: &View,
    own: bool,
    place: BorrowedFd<'_>,
    plan: &MountPlan,
) -> Done<Option<OwnedFd>> {
    // Options such as nsdelegate belong to the whole hierarchy: they are the host's.
    let options = Options { data: Vec::new(), ..plan.options.clone() };
    let name = plan.destination.display();
    match view {
        View::Unified { source } => {
            let made = unified(source, own, &options).about(Step::Mount, &name)?;
            mount::attach(made.as_fd(), place).about(Step::Mount, &name)?;
            Ok(None)
        }
        View::Split { hierarchies, links } => {
            let folder = tmpfs(&options).about(Step::Mount, &name)?;
            mount::attach(folder.as_fd(), place).about(Step::Mount, &name)?;
            for hierarchy in hierarchies {
                split(hierarchy, own, folder.as_fd(), &options)
                    .about(Step::Mount, format_args!("{name}/{}", hierarchy.name))?;
            }
            for (link, target) in links {
                rustix::fs::symlinkat(target, &folder, link)
                    .about(Step::Mount, format_args!("{name}/{link}"))?;
            }
            Ok((options.set & attr::RDONLY != 0).then_some(folder))
        }
    }
}

/// With a namespace of its own a new mount shows the container's part; the kernel may refuse one in a user namespace.
fn unified(source: &Path, own: bool, options: &Options) -> boxship_sys::Result<OwnedFd> {
    if own {
        match make("cgroup2", Some("cgroup"), options) {
            Err(error) if matches!(error.errno, Errno::PERM | Errno::BUSY) => {}
            other => return other,
        }
    }
    bind(source, options)
}

fn tmpfs(options: &Options) -> boxship_sys::Result<OwnedFd> {
    let new = FileSystem::open("tmpfs")?;
    new.set("source", "tmpfs")?;
    new.set("mode", "755")?;
    new.mount(options.set & !attr::RDONLY)
}

fn split(
    hierarchy: &ViewHierarchy,
    own: bool,
    folder: BorrowedFd<'_>,
    options: &Options,
) -> boxship_sys::Result<()> {
    let named = |errno| boxship_sys::Error::new("mkdirat", &hierarchy.name, errno);
    rustix::fs::mkdirat(folder, &hierarchy.name, Mode::from_raw_mode(0o755)).map_err(named)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(folder, &hierarchy.name, flags, Mode::empty()).map_err(named)?;
    let made = if own { new_mount(hierarchy, options)? } else { bind(&hierarchy.source, options)? };
    mount::attach(made.as_fd(), place.as_fd())
}

fn new_mount(hierarchy: &ViewHierarchy, options: &Options) -> boxship_sys::Result<OwnedFd> {
    let new = FileSystem::open("cgroup")?;
    new.set("source", "cgroup")?;
    for word in hierarchy.options.split(',') {
        match word.split_once('=') {
            // A named hierarchy has no controller, and must say so.
            Some((key, value)) => {
                new.set_flag("none")?;
                new.set(key, value)?;
            }
            None => new.set_flag(word)?,
        }
    }
    new.mount(options.set)
}

fn bind(source: &Path, options: &Options) -> boxship_sys::Result<OwnedFd> {
    let tree = mount::copy(CWD, source, false)?;
    Change { propagation: mount::propagation::PRIVATE, ..Change::default() }.apply(tree.as_fd(), false)?;
    apply_options(tree.as_fd(), options)?;
    Ok(tree)
}
