//! The control groups of one container: its directory in every hierarchy, limits, device rules, freezing, counting,
//! killing and removal.
//!
//! One type serves the three kinds of machine (v1, v2, both); which files are written is decided by what is
//! mounted, in `v1` and `v2`. The order of a container's life:
//!
//! ```text
//! Cgroup::for_spec ─ create ─ apply ─ add or clone into directory_fd ─ … ─ freeze/thaw, update, stats … ─ kill_all ─ remove
//!        └─ record ─ (another process) Cgroup::load
//! ```
//!
//! Never moves a process that isn't the container's, and never writes to a cgroup above the container's own, except
//! to enable controllers for it (v2) and to fill an empty cpuset (v1).

mod convert;
mod device_program;
mod device_rules;
mod directory;
mod error;
mod hierarchy;
mod oom;
mod place;
mod stats;
mod stats_v1;
mod stats_v2;
mod v1;
mod v2;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use boxship_oci::runtime::{Linux, Resources};
use boxship_sys::signal::{self, Signal};
use serde::{Deserialize, Serialize};

use directory::Directory;
pub use error::{Error, Result};
pub use oom::OomEvents;
pub use stats::*;
pub use view::{View, ViewHierarchy};

/// How the container's cgroup is to be made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The systemd driver was asked for: answered by [`Error::Systemd`].
    pub systemd: bool,
    /// Without the rights for it, go without limits nobody asked for, and leave device rules alone.
    pub rootless: bool,
}

/// What another process needs to find the same cgroup again; part of the container's state on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The directories by controller; v2's under the empty name.
    pub paths: BTreeMap<String, PathBuf>,
    /// As in [`Options`].
    #[serde(default)]
    pub rootless: bool,
    /// Whether the place was asked for, rather than derived from the caller's own.
    #[serde(default)]
    pub explicit: bool,
}

/// The control groups of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    record: Record,
}

/// Whether the container's processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freezer {
    /// They run.
    Thawed,
    /// They are stopped.
    Frozen,
}

impl Cgroup {
    /// Finds the container's place: `cgroupsPath` when given (absolute: below the mount points; relative: below the
    /// caller's own cgroup), else `id` below the caller's own (v2: beside it, where processes may live). Makes
    /// nothing.
    pub fn for_spec(linux: &Linux, id: &str, options: Options) -> Result<Self> {
        if options.systemd {
            return Err(Error::Systemd);
        }
        let asked = linux.cgroups_path.as_deref().filter(|path| !path.as_os_str().is_empty());
        let paths = place::find(asked, id, options.rootless)?;
        Ok(Self { record: Record { paths, rootless: options.rootless, explicit: asked.is_some() } })
    }

    /// The cgroup that [`Self::record`] was taken from.
    pub fn load(record: Record) -> Self {
        Self { record }
    }

    /// What to keep for [`Self::load`].
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Makes the directories. An existing cgroup is used when it is empty and not frozen.
    pub fn create(&self) -> Result<()> {
        let mut made = Vec::new();
        let result = self.create_all(&mut made);
        if result.is_err() {
            for directory in made.iter().rev() {
                // The first failure is what the caller must hear of.
                let _ = directory.remove();
            }
        }
        match result {
            Err(error) if self.may_go_without(&error) => Ok(()),
            other => other,
        }
    }

    fn create_all(&self, made: &mut Vec<Directory>) -> Result<()> {
        let mut existed = false;
        for (controller, directory) in self.distinct() {
            let new = match controller {
                "" if self.is_unified() => v2::create(&directory)?,
                "cpuset" => v1::create_cpuset(&directory)?,
                _ => directory.make()?,
            };
            existed |= !new;
            if new {
                made.push(directory);
            }
        }
        if existed { self.check_usable() } else { Ok(()) }
    }

    /// A process put into a frozen cgroup hangs; one put beside others would be killed with them.
    fn check_usable(&self) -> Result<()> {
        let Some(main) = self.main() else { return Ok(()) };
        let count = main.all_pids()?.len();
        if count > 0 {
            return Err(Error::NotEmpty { path: main.path().to_owned(), count });
        }
        match self.freezer()? {
            Freezer::Frozen => Err(Error::Frozen { path: main.path().to_owned() }),
            Freezer::Thawed => Ok(()),
        }
    }

    /// Rootless without an explicit place: no cgroup is better than no container (limits then fail in `apply`).
    fn may_go_without(&self, error: &Error) -> bool {
        const REFUSED: [i32; 3] = [1, 13, 30]; // EPERM, EACCES, EROFS
        self.record.rootless
            && !self.record.explicit
            && error.raw().is_some_and(|errno| REFUSED.contains(&errno))
    }

    /// The v2 directory, for `CLONE_INTO_CGROUP`. On a hybrid machine this is the empty v2 tree's: the v1
    /// controllers still need [`Self::add`] or [`Self::entrances`].
    pub fn directory_fd(&self) -> Option<OwnedFd> {
        use rustix::fs::{Mode, OFlags, open};
        let path = self.record.paths.get("")?;
        open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
    }

    /// Whether the container's own directory takes a process: not when the container has passed controllers down to
    /// cgroups of its own (v2's no-internal-process rule).
    pub fn takes_processes(&self) -> bool {
        let Some(directory) = self.directory("") else { return true };
        directory.read("cgroup.subtree_control").is_ok_and(|enabled| enabled.is_empty())
    }

    /// Whether v2 alone is used, so that cloning into [`Self::directory_fd`] is all there is to do.
    pub fn is_unified(&self) -> bool {
        self.record.paths.len() == 1 && self.record.paths.contains_key("")
    }

    /// Moves a process into all of the container's cgroups.
    pub fn add(&self, pid: i32) -> Result<()> {
        for (_, directory) in self.distinct() {
            match directory.add(pid) {
                Err(error) if self.may_go_without(&error) || self.skips(&directory) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// As [`Self::add`] for an additional process: below the container's cgroup where `subgroups` (v1: by
    /// controller; v2: under the empty name) says so, and, when the container has filled its cgroup with domain
    /// controllers of its own (EBUSY, v2), beside the container's first process.
    pub fn add_exec(&self, pid: i32, subgroups: &BTreeMap<String, String>, init: i32) -> Result<()> {
        for (controller, directory) in self.distinct() {
            let target = match subgroups.get(controller) {
                Some(below) => subgroup(&directory, below)?,
                None => directory.clone(),
            };
            match target.add(pid) {
                Err(error) if error.raw() == Some(16) && controller.is_empty() => {
                    let beside = hierarchy::memberships(&init.to_string())?;
                    let place = beside.get("").map(|path| place::resolve_v2(path)).transpose()?;
                    place.map_or(Err(error), |place| place.add(pid))?;
                }
                Err(error) if self.may_go_without(&error) || self.skips(&directory) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Files into which a single-threaded process writes `0` to enter by itself. That takes no kernel-wide lock, so
    /// it is the quick way in on v1 (moving another process waits for an RCU grace period).
    /// v2 isn't among them when it can be cloned into.
    pub fn entrances(&self) -> Result<Vec<OwnedFd>> {
        let mut files = Vec::new();
        for (controller, directory) in self.distinct() {
            if controller.is_empty() || self.skips(&directory) {
                continue;
            }
            let path = directory.path().join("tasks");
            let open = std::fs::OpenOptions::new().write(true).open(&path);
            files.push(OwnedFd::from(open.map_err(|source| Error::File { action: "open", path, source })?));
        }
        Ok(files)
    }

    /// Sets all limits and device rules of a new container. Without any device rule everything but the default
    /// devices is denied, as runc does.
    pub fn apply(&self, resources: &Resources) -> Result<()> {
        self.apply_limits(resources)?;
        match self.apply_devices(resources) {
            Err(_) if self.record.rootless => Ok(()),
            other => other,
        }
    }

    /// Changes the limits that `resources` names; everything else, device rules too, stays.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        self.apply_limits(resources)
    }

    fn apply_limits(&self, resources: &Resources) -> Result<()> {
        if self.is_unified() {
            let directory = self.required("", "limits")?;
            return v2::apply(&directory, resources);
        }
        v1::apply(self, resources)
    }

    fn apply_devices(&self, resources: &Resources) -> Result<()> {
        let rules = device_rules::Rules::of(&resources.devices)?;
        if self.is_unified() {
            return device_program::apply(&self.required("", "device rules")?, &rules);
        }
        match self.directory("devices") {
            Some(directory) => device_rules::apply_v1(&directory, &rules),
            None => Err(Error::NoDevices),
        }
    }

    /// Stops all processes and waits until they have stopped.
    pub fn freeze(&self) -> Result<()> {
        match self.directory("freezer") {
            Some(directory) => v1::freeze(&directory),
            None => v2::freeze(&self.required("", "pause")?),
        }
    }

    /// Lets all processes run.
    pub fn thaw(&self) -> Result<()> {
        match self.directory("freezer") {
            Some(directory) => directory.write("freezer.state", "THAWED"),
            None => self.required("", "resume")?.write("cgroup.freeze", "0"),
        }
    }

    /// Whether the processes are stopped. A cgroup that isn't there is not frozen.
    pub fn freezer(&self) -> Result<Freezer> {
        match (self.directory("freezer"), self.directory("")) {
            (Some(directory), _) => v1::freezer(&directory),
            (None, Some(directory)) => v2::freezer(&directory),
            (None, None) => Ok(Freezer::Thawed),
        }
    }

    /// All processes, also in cgroups that the container made below its own.
    pub fn pids(&self) -> Result<Vec<i32>> {
        match self.main() {
            Some(directory) => directory.all_pids(),
            None => Ok(Vec::new()),
        }
    }

    /// What the container uses.
    pub fn stats(&self) -> Result<Stats> {
        if self.is_unified() {
            stats_v2::read(&self.required("", "statistics")?)
        } else {
            stats_v1::read(self)
        }
    }

    /// Kills every process in the container's cgroups, those also that appear meanwhile.
    pub fn kill_all(&self) -> Result<()> {
        // Since Linux 5.14 the v2 tree does it at one stroke, on hybrid machines too.
        if let Some(directory) = self.directory("").filter(|directory| directory.has("cgroup.kill")) {
            directory.write("cgroup.kill", "1")?;
            if self.is_unified() {
                return Ok(());
            }
        }
        if self.pids()?.is_empty() {
            return Ok(());
        }
        // Frozen, nothing can fork away between reading the list and the signal.
        let frozen = self.freeze().is_ok();
        let killed = self.signal_all(Signal::KILL);
        if frozen {
            self.thaw()?;
        }
        killed
    }

    /// Sends a signal to every process. One that has just ended has no need of it.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let failed = |errno: rustix::io::Errno| Error::Call {
            action: "signal a process of the cgroup",
            source: errno.into(),
        };
        for pid in self.pids()?.into_iter().filter_map(Pid::from_raw) {
            let sent = pidfd_open(pid, PidfdFlags::empty())
                .and_then(|pidfd| signal::send(pidfd.as_fd(), signal).map_err(|error| error.errno));
            match sent {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(())
    }

    /// Removes all directories; waits a moment for processes that are just leaving. Goes on after a failure and
    /// reports the first.
    pub fn remove(&self) -> Result<()> {
        let mut result = Ok(());
        for (_, directory) in self.distinct().into_iter().filter(|(_, directory)| !self.skips(directory)) {
            let removed = directory.remove();
            if result.is_ok() {
                result = removed;
            }
        }
        result
    }

    /// Whether any of its directories is there.
    pub fn exists(&self) -> bool {
        self.record.paths.values().any(|path| path.is_dir())
    }

    /// A descriptor that becomes readable when the kernel runs out of memory for this container.
    pub fn oom_event_fd(&self) -> Result<OomEvents> {
        match self.directory("memory") {
            Some(directory) => OomEvents::v1(&directory),
            None => OomEvents::v2(&self.required("", "memory events")?),
        }
    }

    /// How many processes the out-of-memory killer has ended.
    pub fn oom_kill_count(&self) -> Result<u64> {
        match self.directory("memory") {
            Some(directory) => directory.keyed("memory.oom_control", "oom_kill"),
            None => self.required("", "memory events")?.keyed("memory.events", "oom_kill"),
        }
    }

    /// What to mount on the container's `/sys/fs/cgroup`.
    pub fn view(&self) -> Result<View> {
        view::of(self)
    }

    /// The directories by controller, as in the record.
    pub fn paths(&self) -> &BTreeMap<String, PathBuf> {
        &self.record.paths
    }

    fn directory(&self, controller: &str) -> Option<Directory> {
        self.record.paths.get(controller).map(Directory::new)
    }

    fn required(&self, controller: &str, setting: &str) -> Result<Directory> {
        self.directory(controller).ok_or_else(|| Error::NoController {
            setting: setting.to_owned(),
            controller: controller.to_owned(),
            path: Path::new("/sys/fs/cgroup").to_owned(),
        })
    }

    /// The directory whose processes count as the container's.
    fn main(&self) -> Option<Directory> {
        let controllers = ["devices", "freezer", "pids", ""];
        controllers
            .iter()
            .find_map(|controller| self.directory(controller))
            .or_else(|| self.record.paths.values().next().map(Directory::new))
            .filter(Directory::exists)
    }

    /// Each directory once (co-mounted controllers share one), with the first of its controllers.
    fn distinct(&self) -> Vec<(&str, Directory)> {
        let mut seen = BTreeSet::new();
        let paths = self.record.paths.iter().filter(|(_, path)| seen.insert(path.as_path()));
        paths.map(|(controller, path)| (controller.as_str(), Directory::new(path))).collect()
    }

    /// A rootless container has only the directories it was allowed to make.
    fn skips(&self, directory: &Directory) -> bool {
        self.record.rootless && !directory.exists()
    }
}

/// A cgroup below the container's own, named by `exec --cgroup`.
fn subgroup(directory: &Directory, below: &str) -> Result<Directory> {
    let target = Directory::new(directory.path().join(hierarchy::clean(Path::new(below))));
    if !target.exists() {
        return Err(Error::Invalid {
            setting: "cgroup",
            reason: format!("{} does not exist", target.path().display()),
        });
    }
    Ok(target)
}

/// Doubling waits from a quarter of a millisecond, about `limit` in all.
fn backoff(limit: Duration) -> impl Iterator<Item = Duration> {
    let mut next = Duration::from_micros(250);
    let mut total = Duration::ZERO;
    std::iter::from_fn(move || {
        let now = next;
        total += now;
        next = (next * 2).min(Duration::from_millis(20));
        (total < limit).then_some(now)
    })
}
