//! A container as it lies on disk, and what can be done with it.
//!
//! ```text
//! create ──▶ Created ──start──▶ Running ◀──resume/pause──▶ Paused
//!               │                  │ (its first process ends)
//!               └──kill────────────┴────▶ Stopped ──delete──▶ gone
//! ```
//!
//! The status is never stored: it is what the kernel says about the process, the fifo and the freezer.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use boxship_oci::runtime::{Process, Resources, Spec, State, Status};
use boxship_sys::signal::{self, Signal};
use boxship_sys::{Errno, mount, path, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::cgroup::{Cgroup, Freezer};
use crate::error::{Error, Result};
use crate::record::{FIFO, Record, check_id};
use crate::{child_process as outer, hooks};

/// How long a killed process may take to go.
const KILL_MILLISECONDS: i32 = 10_000;

/// A container that exists.
#[derive(Debug)]
pub struct Container {
    pub(crate) folder: PathBuf,
    pub(crate) record: Record,
}

/// How long a start waits for the program: startContainer hooks may take longer than anybody wants to wait.
const PROGRAM: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Waits until the process has become its program, or has ended: until then it shows under our name, and signals
/// would meet us. It holds the only reading end of the fifo, which its exec closes.
fn wait_for_program(fifo: BorrowedFd<'_>) {
    let mut asked = [PollFd::from_borrowed_fd(fifo, PollFlags::empty())];
    // Not to know is no failure: it was told to start.
    let _ = poll(&mut asked, Some(&PROGRAM));
}

impl Container {
    /// Finds a container of `root`.
    pub fn load(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        let folder = root.join(id);
        let record = Record::read(&folder, id)?;
        Ok(Self { folder, record })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// What was recorded at creation (time, root folder, control groups).
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its control groups, for statistics and events.
    pub fn cgroup(&self) -> Cgroup {
        Cgroup::load(self.record.cgroup.clone())
    }

    /// Where in its life it is.
    pub fn status(&self) -> Result<Status> {
        if !self.is_alive() {
            return Ok(Status::Stopped);
        }
        if self.cgroup().freezer()? == Freezer::Frozen {
            return Ok(Status::Paused);
        }
        let waits = self.folder.join(FIFO).exists();
        Ok(if waits { Status::Created } else { Status::Running })
    }

    /// Whether the first process is there and is still the same.
    fn is_alive(&self) -> bool {
        let found = outer::start_time(self.record.pid);
        found.is_some_and(|(started, state)| started == self.record.start_time && !matches!(state, 'Z' | 'X'))
    }

    /// Holds the first process; none if it has ended.
    pub(crate) fn process_fd(&self) -> Result<Option<OwnedFd>> {
        let pidfd = match process::open(self.record.pid) {
            Err(error) if error.errno == Errno::SRCH => return Ok(None),
            other => other.map_err(Error::system("hold the container's process"))?,
        };
        // Asked after it is held: the number cannot change hands any more.
        Ok(self.is_alive().then_some(pidfd))
    }

    /// The state as the specification defines it.
    pub fn state(&self) -> Result<State> {
        let status = self.status()?;
        Ok(State {
            oci_version: self.record.oci_version.clone(),
            id: self.record.id.clone(),
            status,
            pid: if status == Status::Stopped { 0 } else { self.record.pid },
            bundle: self.record.bundle.clone(),
            annotations: self.record.annotations.clone(),
        })
    }

    /// The specification it was created from, read from its bundle.
    pub fn spec(&self) -> Result<Spec> {
        let path = self.record.bundle.join("config.json");
        let text = std::fs::read(&path).map_err(Error::file("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| Error::Record { path, source })
    }

    /// The process of its specification, to derive an additional one from.
    pub fn process(&self) -> Result<Process> {
        self.spec()?.process.ok_or_else(|| Error::Invalid("process is missing".to_owned()))
    }

    /// Runs the program that waits since creation, and the hooks due then.
    pub fn start(&self) -> Result<()> {
        let path = self.folder.join(FIFO);
        let refused = || Error::Status { operation: "start", status: self.status().unwrap_or_default() };
        let fifo = match path::open(&path, OFlags::WRONLY | OFlags::NONBLOCK) {
            // Nobody reads: the process is gone. No fifo: it was started before.
            Err(error) if matches!(error.errno, Errno::NXIO | Errno::NOENT) => return Err(refused()),
            other => other.map_err(Error::system("open fifo"))?,
        };
        // Of several callers the one who takes the fifo away starts the program.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(refused()),
            other => other.map_err(Error::file("remove", &path))?,
        }
        rustix::io::write(&fifo, &[1]).map_err(|errno| Error::file("write", &path)(errno.into()))?;
        wait_for_program(fifo.as_fd());
        if self.record.hooks.poststart.is_empty() {
            return Ok(());
        }
        let state = State { status: Status::Running, pid: self.record.pid, ..self.state()? };
        hooks::run("poststart", &self.record.hooks.poststart, &state).inspect_err(|_| {
            // A container whose poststart hooks fail does not live; that it may be gone already is fine.
            let _ = self.end();
        })
    }

    /// Sends a signal to the first process, or with `all` to every process.
    pub fn kill(&self, signal: Signal, all: bool) -> Result<()> {
        if all {
            return self.kill_all(signal);
        }
        let gone = || Error::Status { operation: "kill", status: Status::Stopped };
        let pidfd = self.process_fd()?.ok_or_else(gone)?;
        match signal::send(pidfd.as_fd(), signal) {
            Err(error) if error.errno == Errno::SRCH => Err(gone()),
            other => other.map_err(Error::system("send signal")),
        }
    }

    fn kill_all(&self, signal: Signal) -> Result<()> {
        let cgroup = self.cgroup();
        if signal == Signal::KILL {
            return Ok(cgroup.kill_all()?);
        }
        for pid in cgroup.pids()? {
            let sent = process::open(pid).and_then(|pidfd| signal::send(pidfd.as_fd(), signal));
            match sent {
                // It ended between being listed and being asked.
                Err(error) if error.errno == Errno::SRCH => {}
                other => other.map_err(Error::system("send signal"))?,
            }
        }
        Ok(())
    }

    /// Kills everything and waits for the first process's end. A frozen process dies only when thawed.
    fn end(&self) -> Result<()> {
        let cgroup = self.cgroup();
        let pidfd = self.process_fd()?;
        if let Some(pidfd) = &pidfd {
            match signal::send(pidfd.as_fd(), Signal::KILL) {
                Err(error) if error.errno == Errno::SRCH => {}
                other => other.map_err(Error::system("kill the container's process"))?,
            }
        }
        if cgroup.exists() {
            cgroup.kill_all()?;
            if cgroup.freezer()? == Freezer::Frozen {
                cgroup.thaw()?;
            }
        }
        let Some(pidfd) = pidfd else { return Ok(()) };
        if process::has_ended(pidfd.as_fd(), KILL_MILLISECONDS).map_err(Error::system("wait for the end"))? {
            return Ok(());
        }
        Err(Error::Status { operation: "delete", status: Status::Running })
    }

    /// Removes what is left of a stopped container; one that was never started is killed, with `force` any other too.
    /// Runs the poststop hooks; that one fails stops nothing and is told at the end.
    pub fn delete(self, force: bool) -> Result<()> {
        match self.status()? {
            Status::Stopped => {}
            Status::Created | Status::Creating => self.end()?,
            _ if force => self.end()?,
            status => return Err(Error::Status { operation: "delete", status }),
        }
        let cgroup = self.cgroup();
        if cgroup.exists() {
            // Without a process namespace of its own others can outlive the first process.
            cgroup.kill_all()?;
            cgroup.remove()?;
        }
        if self.record.mounted_on_host {
            match mount::detach(&self.record.rootfs) {
                // Somebody else, or an earlier attempt, has done it.
                Err(error) if matches!(error.errno, Errno::INVAL | Errno::NOENT) => {}
                other => other.map_err(Error::system("unmount root file system"))?,
            }
        }
        std::fs::remove_dir_all(&self.folder).map_err(Error::file("remove", &self.folder))?;
        if self.record.hooks.poststop.is_empty() {
            return Ok(());
        }
        let state = State { status: Status::Stopped, pid: 0, ..self.last_state() };
        hooks::run_all("poststop", &self.record.hooks.poststop, &state).into_iter().next().map_or(Ok(()), Err)
    }

    fn last_state(&self) -> State {
        State {
            oci_version: self.record.oci_version.clone(),
            id: self.record.id.clone(),
            bundle: self.record.bundle.clone(),
            annotations: self.record.annotations.clone(),
            ..State::default()
        }
    }

    /// Stops all processes where they are.
    pub fn pause(&self) -> Result<()> {
        match self.status()? {
            Status::Running | Status::Created => Ok(self.cgroup().freeze()?),
            status => Err(Error::Status { operation: "pause", status }),
        }
    }

    /// Lets them go on.
    pub fn resume(&self) -> Result<()> {
        match self.status()? {
            Status::Paused => Ok(self.cgroup().thaw()?),
            status => Err(Error::Status { operation: "resume", status }),
        }
    }

    /// Changes limits.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        match self.status()? {
            Status::Stopped => Err(Error::Status { operation: "update", status: Status::Stopped }),
            _ => Ok(self.cgroup().update(resources)?),
        }
    }

    /// All processes, as the caller numbers them.
    pub fn pids(&self) -> Result<Vec<i32>> {
        Ok(self.cgroup().pids()?)
    }
}

/// Every container of `root`; folders that hold none, or one that is just being made or removed, are left out.
pub fn list(root: &Path) -> Result<Vec<Container>> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::file("read", root))?,
    };
    let mut containers = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::file("read", root))?.file_name();
        match name.to_str().map(|id| Container::load(root, id)) {
            None | Some(Err(Error::NotFound { .. } | Error::InvalidId { .. })) => {}
            Some(found) => containers.push(found?),
        }
    }
    containers.sort_by(|one, other| one.record.id.cmp(&other.record.id));
    Ok(containers)
}
