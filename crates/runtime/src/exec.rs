//! An additional process in a running container.
//!
//! A short-lived process enters the control groups and all namespaces and makes the new one as the caller's child;
//! that one takes on rights and identity as the first process did. Everything that can go wrong is known when
//! [`Container::exec`] returns: the process's socket closes only with the exec.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use boxship_oci::runtime::{Linux, Status};
use boxship_sys::clone::Clone;
use boxship_sys::namespace::{self, Kind};
use boxship_sys::{fd, path, process};
use rustix::fs::{CWD, OFlags};
use rustix::thread::CpuSet;

use crate::child::streams::{self, Streams};
use crate::child::{console, enter, finish};
use crate::child_process::{self as outer, NewProcess};
use crate::container::Container;
use crate::error::{Error, Result};
use crate::message::{At, Channel, Done, Failure, Report, Reporter, Step};
use crate::options::{ExecOptions, Started};
use crate::plan::persona;
use crate::process_plan::{ProcessPlan, grantable};
use crate::{seccomp, supervisor};

/// What the new process works with.
struct Additional<'p> {
    plan: &'p ProcessPlan,
    init: OwnedFd,
    namespaces: u64,
    /// Its root folder, if it has no mount namespace whose root that would be.
    root: Option<OwnedFd>,
    entrances: Vec<OwnedFd>,
    streams: Streams,
    keyring: Option<String>,
    preserve_fds: u32,
    personality: Option<u64>,
}

impl Container {
    /// Runs an additional process; it is a child of the caller.
    pub fn exec(&self, options: ExecOptions) -> Result<Started> {
        outer::check_sealed()?;
        outer::check_preserved(options.preserve_fds)?;
        match self.status()? {
            Status::Running | Status::Created => {}
            Status::Paused if options.ignore_paused => {}
            status => return Err(Error::Status { operation: "exec in", status }),
        }
        let init = self.process_fd()?;
        let init = init.ok_or(Error::Status { operation: "exec in", status: Status::Stopped })?;
        let linux = self.linux(&options)?;
        let filter = linux.seccomp.as_ref().map(seccomp::compile).transpose()?;
        let namespaces = self.namespaces_to_join()?;
        let grantable = grantable(namespaces & Kind::User.flag() != 0);
        let plan = ProcessPlan::new(&options.process, filter, grantable)?;
        let (streams, console_socket) =
            outer::streams(options.stdio, plan.terminal.is_some(), options.preserve_fds)?;
        let cgroup = self.cgroup();
        // A container that has passed controllers down takes no process where it began: beside its first one then.
        let by_itself = options.subgroups.is_empty() && cgroup.takes_processes();
        let additional = Additional {
            plan: &plan,
            init,
            namespaces,
            root: self.root_of_its_own(namespaces)?,
            entrances: if by_itself { cgroup.entrances()? } else { Vec::new() },
            streams,
            keyring: self.record.keyring.clone(),
            preserve_fds: options.preserve_fds,
            personality: linux.personality.as_ref().map(persona),
        };
        let (ours, theirs) = fd::message_pair().map_err(Error::system("make socket"))?;
        let channel = Channel(ours);
        let folder = if by_itself { cgroup.directory_fd() } else { None };
        let process = additional.spawn(theirs, &channel, folder)?;
        if !by_itself {
            cgroup.add_exec(process.pid, &options.subgroups, self.record.pid)?;
        }
        channel.go().map_err(Error::system("let the new process go on"))?;
        let attended = self.attend(process.pid, &channel, &linux).and_then(|console| {
            outer::apply_outer(process.pid, &plan)?;
            if let Some(path) = &options.pid_file {
                outer::write_pid_file(path, process.pid)?;
            }
            match (&console_socket, console) {
                (Some(socket), Some(master)) => outer::send_console(socket, &master).map(|()| None),
                (_, console) => Ok(console),
            }
        });
        let console = match attended.and_then(|console| await_exec(&channel).map(|()| console)) {
            Err(Error::ChildGone { .. }) => return Err(process.reap()),
            other => other?,
        };
        let pid = process.pid;
        Ok(Started { pid, pidfd: process.release(), console, warnings: plan.warnings })
    }

    /// The part of the container's specification that its further processes are bound to.
    fn linux(&self, options: &ExecOptions) -> Result<Linux> {
        if options.without_seccomp {
            return Ok(Linux::default());
        }
        Ok(self.spec()?.linux.unwrap_or_default())
    }

    /// The user namespace cannot be entered by one who is in it.
    fn namespaces_to_join(&self) -> Result<u64> {
        let bits = self.record.namespaces;
        if bits & Kind::User.flag() == 0 {
            return Ok(bits);
        }
        let inode = |pid: &str| {
            let name = format!("/proc/{pid}/ns/user");
            rustix::fs::stat(name.as_str()).map_err(|errno| Error::file("stat", &name)(errno.into()))
        };
        let (own, its) = (inode("self")?, inode(&self.record.pid.to_string())?);
        let same = (own.st_dev, own.st_ino) == (its.st_dev, its.st_ino);
        Ok(if same { bits & !Kind::User.flag() } else { bits })
    }

    fn root_of_its_own(&self, namespaces: u64) -> Result<Option<OwnedFd>> {
        if namespaces & Kind::Mount.flag() != 0 {
            return Ok(None);
        }
        let name = format!("/proc/{}/root", self.record.pid);
        let root = path::open(Path::new(&name), OFlags::PATH | OFlags::DIRECTORY);
        root.map(Some).map_err(Error::system("open the container's root"))
    }

    fn attend(&self, pid: i32, channel: &Channel, linux: &Linux) -> Result<Option<OwnedFd>> {
        let mut console = None;
        loop {
            match channel.next().map_err(Error::system("listen to the new process"))? {
                Some(Report::Ready) => return Ok(console),
                Some(Report::Console(master)) => console = Some(master),
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(Report::Listener(listener)) => {
                    supervisor::hand_over(linux.seccomp.as_ref(), &listener, pid, self.state()?)?;
                }
                Some(Report::Mounted | Report::Spawned(_)) | None => {
                    return Err(Error::ChildGone { how: String::new() });
                }
            }
        }
    }
}

/// Which processors this process may use.
fn set_affinity(set: Option<&CpuSet>) -> Done {
    let Some(set) = set else { return Ok(()) };
    rustix::thread::sched_setaffinity(None, set)
        .map_err(|errno| Failure::new(Step::Scheduling, "execCPUAffinity", errno))
}

/// Lets the process exec and waits until it has.
fn await_exec(channel: &Channel) -> Result<()> {
    channel.go().map_err(Error::system("let the new process go on"))?;
    match channel.next().map_err(Error::system("listen to the new process"))? {
        Some(Report::Failed(failure)) => Err(failure.into()),
        _ => Ok(()),
    }
}

impl Additional<'_> {
    fn spawn(self, theirs: OwnedFd, channel: &Channel, folder: Option<OwnedFd>) -> Result<NewProcess> {
        let clone = Clone { cgroup: folder.as_ref().map(|folder| folder.as_fd()), ..Clone::default() };
        let helper = clone.spawn(move || {
            fd::close_copy(channel.0.as_fd());
            let reporter = Reporter(theirs.as_fd());
            match self.enter(&reporter) {
                Ok(()) => 0,
                Err(failure) => {
                    // Were the maker gone, nobody would be left to be told.
                    let _ = reporter.failed(&failure);
                    1
                }
            }
        });
        let helper = helper.map_err(Error::system("clone into the container"))?;
        outer::sibling(NewProcess::new(helper.pid, helper.pidfd), channel)
    }

    /// The short-lived process: enters, and makes the one that stays.
    fn enter(self, reporter: &Reporter<'_>) -> Done {
        enter::seclude()?;
        set_affinity(self.plan.affinity.before.as_ref())?;
        enter::cgroups(&self.entrances)?;
        if let Some(root) = &self.root {
            rustix::process::fchdir(root).about(Step::Pivot, "chdir")?;
            rustix::process::chroot(".").about(Step::Pivot, "chroot")?;
        }
        if self.namespaces != 0 {
            namespace::join_process(self.init.as_fd(), self.namespaces).at(Step::Join)?;
        }
        let made =
            Clone { sibling: true, ..Clone::default() }.spawn(|| self.run(reporter)).at(Step::Clone)?;
        reporter.spawned(made.pid)
    }

    /// The process that stays.
    fn run(self, reporter: &Reporter<'_>) -> u8 {
        // Its descriptors are closed all at once; dropping them then would close somebody else's.
        let this = ManuallyDrop::new(self);
        let failure = match this.prepare(reporter) {
            Err(failure) => failure,
            Ok(prepared) => prepared.exec(this.plan),
        };
        // As above.
        let _ = reporter.failed(&failure);
        u8::MAX
    }

    fn prepare(&self, reporter: &Reporter<'_>) -> Done<finish::Prepared> {
        enter::seclude()?;
        reporter.wait_for_go()?;
        set_affinity(self.plan.affinity.after.as_ref())?;
        if let Some(personality) = self.personality {
            process::set_personality(personality).at(Step::Personality)?;
        }
        if self.namespaces & Kind::User.flag() != 0 {
            enter::become_root()?;
        }
        if let Some(keyring) = &self.keyring {
            enter::keyring(keyring)?;
        }
        // Joining the mount namespace made the container's root ours.
        let root =
            path::open_in_root(CWD, Path::new("/"), OFlags::PATH | OFlags::DIRECTORY).at(Step::Root)?;
        let terminal = match self.plan.terminal {
            Some(size) => Some(console::open(root.as_fd(), size, reporter)?),
            None => None,
        };
        streams::place(&self.streams, terminal.as_ref().map(|terminal| terminal.as_fd()))?;
        drop(terminal);
        let prepared = finish::prepare(root, self.plan, self.preserve_fds, None, reporter)?;
        reporter.ready()?;
        reporter.wait_for_go()?;
        Ok(prepared)
    }
}
