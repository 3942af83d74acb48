//! Looks for what a daemon and its containers may leave behind: mounts, cgroups, processes,
//! and files of the exec root. Read from the kernel, not from what Boxship believes.
//!
//! Other daemons may live on the machine, so only what names the host's own folder, or what
//! is below Boxship's cgroups and new since the snapshot, is counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel and the shims get to finish what happens off the caller's path.
const SETTLE: Duration = Duration::from_secs(60);

/// What there was before the host started.
pub struct Snapshot {
    cgroups: BTreeSet<PathBuf>,
}

impl Snapshot {
    /// Reads the state of the machine.
    pub fn take() -> Snapshot {
        Snapshot { cgroups: cgroups() }
    }

    /// One line for each thing that belongs to the host at `dir` and is still there.
    /// Waits for teardown in the background, which is allowed, for a bounded time.
    pub fn left_behind(&self, dir: &Path) -> Vec<String> {
        let deadline = Instant::now() + SETTLE;
        // Another test's host may make and end containers all the time: only a cgroup that was there at the first look
        // can be this host's, and only one in which there is no process.
        let new: Vec<PathBuf> = cgroups().into_iter().filter(|path| !self.cgroups.contains(path)).collect();
        loop {
            let left = look(dir, &new);
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn look(dir: &Path, new_cgroups: &[PathBuf]) -> Vec<String> {
    let mut left = mounts_below(dir);
    left.extend(processes_naming(dir));
    left.extend(children(&dir.join("exec/containers")));
    left.extend(children(&dir.join("data/containers")));
    let empty = new_cgroups.iter().filter(|path| is_empty(path));
    left.extend(empty.map(|path| format!("cgroup {}", path.display())));
    left
}

/// The mount points below `dir`, in the mount namespace of the test.
fn mounts_below(dir: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| Path::new(point).starts_with(dir)).map(|point| format!("mount {point}")).collect()
}

/// Processes whose command line or root names `dir`.
fn processes_naming(dir: &Path) -> Vec<String> {
    let needle = dir.to_string_lossy().into_owned();
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("read /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = pids.filter(|name| name.bytes().all(|b| b.is_ascii_digit()) && *name != own);
    pids.filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(&needle).then(|| format!("process {pid}: {line}"))
    })
    .collect()
}

fn children(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().map(|entry| format!("file {}", entry.path().display())).collect()
}

/// The cgroups below a folder named `boxship`, in every hierarchy that is mounted.
fn cgroups() -> BTreeSet<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    let mut found = BTreeSet::new();
    for line in table.lines().filter(|line| line.contains(" - cgroup")) {
        let Some(point) = line.split(' ').nth(4) else { continue };
        collect(&Path::new(point).join("boxship"), &mut found);
    }
    found
}

fn collect(dir: &Path, found: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        collect(&entry.path(), found);
        found.insert(entry.path());
    }
}

fn is_empty(cgroup: &Path) -> bool {
    fs::read_to_string(cgroup.join("cgroup.procs")).is_ok_and(|procs| procs.trim().is_empty())
}
