//! The mounts of the specification, in its order: each made detached, then attached at a place held by a descriptor
//! that was resolved below the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_sys::mount::{self, Change, FileSystem, attr};
use boxship_sys::{Errno, path};
use rustix::fs::{Mode, OFlags};

use super::{cgroup_view, copy_up, procfs};
use crate::cgroup::View;
use crate::message::{At, Done, Failure, Step};
use crate::mount_options::{Bind, Options};
use crate::plan::{MountPlan, What, clean};
use crate::trees;

/// File systems that exist once for a namespace: making the superblock read-only would meet others.
const ONE_PER_NAMESPACE: [&str; 6] = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts"];

/// What the mounts need to know, and what they leave for later steps.
#[derive(Debug)]
pub(crate) struct Mounting<'p> {
    /// The container's root, attached.
    pub root: BorrowedFd<'p>,
    /// The detached trees of those bind mounts that were prepared, in the order of the mounts.
    pub trees: &'p [Option<OwnedFd>],
    /// Of the others, unless they say themselves.
    pub default_propagation: u64,
    /// What to show at a mount of control groups.
    pub view: Option<&'p View>,
    /// Whether the container has a cgroup namespace of its own.
    pub own_cgroups: bool,
    /// Mounts that become read-only when everything is in them.
    pub read_only_later: Vec<OwnedFd>,
}

impl Mounting<'_> {
    /// Makes all mounts.
    pub(crate) fn all(&mut self, mounts: &[MountPlan]) -> Done {
        for (index, plan) in mounts.iter().enumerate() {
            self.one(index, plan)?;
        }
        Ok(())
    }

    fn one(&mut self, index: usize, plan: &MountPlan) -> Done {
        match &plan.what {
            What::Remount => self.remount(plan),
            What::Bind(source, bind) => self.bind(index, plan, source, *bind),
            What::Cgroup => self.cgroup(plan),
            What::FileSystem(kind, source) => self.file_system(plan, kind, source.as_deref()),
        }
    }

    fn remount(&self, plan: &MountPlan) -> Done {
        let destination = &plan.destination;
        let place = path::open_in_root(self.root, destination, OFlags::PATH)
            .about(Step::Mount, destination.display())?;
        apply_options(place.as_fd(), &plan.options).about(Step::Mount, destination.display())
    }

    fn bind(&self, index: usize, plan: &MountPlan, source: &Path, bind: Bind) -> Done {
        let name = plan.destination.display();
        let made;
        let tree = match self.trees.get(index) {
            Some(Some(prepared)) => prepared,
            _ => {
                made = trees::bind_here(plan, source, bind, self.default_propagation)?;
                &made
            }
        };
        if clean(&plan.destination) == Path::new("/proc") {
            require_procfs(tree.as_fd(), &plan.destination)?;
        }
        let is_folder = path::file_type(tree.as_fd()).about(Step::Mount, &name)?.is_dir();
        let place = if is_folder {
            path::make_folders_in_root(self.root, &plan.destination, Mode::from_raw_mode(0o755))
        } else {
            path::make_file_in_root(self.root, &plan.destination, Mode::from_raw_mode(0o755))
        }
        .about(Step::Mount, &name)?;
        procfs::refuse_as_place(place.as_fd(), &plan.destination, Step::Mount)?;
        mount::attach(tree.as_fd(), place.as_fd()).about(Step::Mount, &name)
    }

    fn cgroup(&mut self, plan: &MountPlan) -> Done {
        let name = plan.destination.display();
        let place = self.folder(plan)?;
        let view = self.view.ok_or_else(|| Failure::new(Step::Mount, &name, Errno::NODEV))?;
        let later = cgroup_view::mount(view, self.own_cgroups, place.as_fd(), plan)?;
        self.read_only_later.extend(later);
        Ok(())
    }

    fn file_system(&mut self, plan: &MountPlan, kind: &str, source: Option<&str>) -> Done {
        let name = plan.destination.display();
        if matches!(kind, "proc" | "sysfs") {
            self.require_ordinary_folder(&plan.destination)?;
        }
        let existed = path::open_in_root(self.root, &plan.destination, OFlags::PATH).is_ok();
        let place = self.folder(plan)?;
        let is_dev = clean(&plan.destination) == Path::new("/dev");
        let later = plan.options.set & attr::RDONLY != 0 && (kind == "tmpfs" || is_dev);
        let mut options = plan.options.clone();
        if later {
            options.set &= !attr::RDONLY;
        }
        if kind == "tmpfs" && existed && !options.data.iter().any(|(key, _)| key == "mode") {
            // A tmpfs over /tmp stays world-writable, one over /run does not become so.
            let mode = path::stat(place.as_fd()).about(Step::Mount, &name)?.st_mode & 0o7777;
            options.data.push(("mode".to_owned(), Some(format!("{mode:o}"))));
        }
        let made = make(kind, source, &options).about(Step::Mount, &name)?;
        if options.copy_up {
            copy_up::copy(self.root, &plan.destination, made.as_fd())?;
        }
        mount::attach(made.as_fd(), place.as_fd()).about(Step::Mount, &name)?;
        if later {
            self.read_only_later.push(made);
        }
        Ok(())
    }

    fn folder(&self, plan: &MountPlan) -> Done<OwnedFd> {
        let place = path::make_folders_in_root(self.root, &plan.destination, Mode::from_raw_mode(0o755))
            .about(Step::Mount, plan.destination.display())?;
        procfs::refuse_as_place(place.as_fd(), &plan.destination, Step::Mount)?;
        Ok(place)
    }

    /// An image could have a link at `/proc`, so that what is mounted there would be somewhere else (CVE-2019-19921).
    fn require_ordinary_folder(&self, destination: &Path) -> Done {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        match path::open_in_root(self.root, destination, flags) {
            Err(error) if error.errno == Errno::NOENT => Ok(()),
            found => {
                let found = found.about(Step::Mount, destination.display())?;
                let kind = path::file_type(found.as_fd()).about(Step::Mount, destination.display())?;
                if kind.is_dir() {
                    return Ok(());
                }
                let object = format!("{} must be mounted on ordinary directory", destination.display());
                Err(Failure::new(Step::Mount, object, Errno::NOTDIR))
            }
        }
    }

    /// Makes read-only what had to be filled first.
    pub(crate) fn finish(&mut self) -> Done {
        for made in self.read_only_later.drain(..) {
            Change { set: attr::RDONLY, ..Change::default() }
                .apply(made.as_fd(), false)
                .at(Step::ReadOnly)?;
        }
        Ok(())
    }
}

/// A new file system with these options, detached.
pub(crate) fn make(kind: &str, source: Option<&str>, options: &Options) -> boxship_sys::Result<OwnedFd> {
    let new = FileSystem::open(kind)?;
    if let Some(source) = source {
        new.set("source", source)?;
    }
    if options.set & attr::RDONLY != 0 && !ONE_PER_NAMESPACE.contains(&kind) {
        new.set_flag("ro")?;
    }
    for (key, value) in &options.data {
        match value {
            Some(value) => new.set(key, value)?,
            None => new.set_flag(key)?,
        }
    }
    let made = new.mount(options.set)?;
    let rest = Options { set: 0, clear: 0, ..options.clone() };
    apply_options(made.as_fd(), &rest)?;
    Ok(made)
}

/// Applies attributes and propagation to the mount behind a descriptor.
pub(crate) fn apply_options(mount: BorrowedFd<'_>, options: &Options) -> boxship_sys::Result<()> {
    // All below first: what is said about the mount itself then has the last word.
    let all = Change { set: options.set_all, clear: options.clear_all, ..Change::default() };
    let own = Change { set: options.set, clear: options.clear, ..Change::default() };
    for (change, recursive) in [(all, true), (own, false)] {
        if !change.is_empty() {
            change.apply(mount, recursive)?;
        }
    }
    for (propagation, recursive) in &options.propagation {
        Change { propagation: *propagation, ..Change::default() }.apply(mount, *recursive)?;
    }
    Ok(())
}

fn require_procfs(tree: BorrowedFd<'_>, destination: &Path) -> Done {
    let found = path::file_system(tree).about(Step::Mount, destination.display())?;
    if found == path::PROC_SUPER_MAGIC {
        return Ok(());
    }
    let object = format!("{} cannot be mounted because it is not of type proc", destination.display());
    Err(Failure::new(Step::Mount, object, Errno::INVAL))
}
