//! A container as it lies on disk, and what can be done with it.
//!
//! ```text
//! create ──▶ Created ──start──▶ Running ◀──resume/pause──▶ Paused
//!               │                  │ (its first process ends)
//!               └──kill────────────┴────▶ Stopped ──delete──▶ gone
//! ```
//!
//! The status is never stored: it is what the kernel says about the process, the fifo and the freezer.

use std::path::{Path, PathBuf};

use boxship_oci::runtime::{Process, Resources, Spec, State, Status};
use boxship_sys::signal::Signal;

use crate::cgroup::Cgroup;
use crate::error::Result;
use crate::options::{ExecOptions, Started};
use crate::record::Record;

/// A container that exists.
#[derive(Debug)]
pub struct Container {
    pub(crate) folder: PathBuf,
    pub(crate) record: Record,
}

impl Container {
    /// Finds a container of `root`.
    pub fn load(root: &Path, id: &str) -> Result<Self> {
        todo!()
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Where in its life it is.
    pub fn status(&self) -> Result<Status> {
        todo!()
    }

    /// The state as the specification defines it.
    pub fn state(&self) -> Result<State> {
        todo!()
    }

    /// What was recorded at creation (time, root folder, control groups).
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its control groups, for statistics and events.
    pub fn cgroup(&self) -> Cgroup {
        todo!()
    }

    /// The specification it was created from, read from its bundle.
    pub fn spec(&self) -> Result<Spec> {
        todo!()
    }

    /// The process of its specification, to derive an additional one from.
    pub fn process(&self) -> Result<Process> {
        todo!()
    }

    /// Runs the program that waits since creation, and the hooks due then.
    pub fn start(&self) -> Result<()> {
        todo!()
    }

    /// Sends a signal to the first process, or with `all` to every process.
    pub fn kill(&self, signal: Signal, all: bool) -> Result<()> {
        todo!()
    }

    /// Removes what is left of a stopped container; with `force` kills it first. Runs the poststop hooks.
    pub fn delete(self, force: bool) -> Result<()> {
        todo!()
    }

    /// Runs an additional process; it is a child of the caller.
    pub fn exec(&self, options: ExecOptions) -> Result<Started> {
        todo!()
    }

    /// Stops all processes where they are.
    pub fn pause(&self) -> Result<()> {
        todo!()
    }

    /// Lets them go on.
    pub fn resume(&self) -> Result<()> {
        todo!()
    }

    /// Changes limits.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        todo!()
    }

    /// All processes, as the caller numbers them.
    pub fn pids(&self) -> Result<Vec<i32>> {
        todo!()
    }
}

/// Every container of `root`; folders that hold none are left out.
pub fn list(root: &Path) -> Result<Vec<Container>> {
    todo!()
}
