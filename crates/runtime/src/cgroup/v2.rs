//! cgroup v2: one directory, files named by controller.
//!
//! A controller's files exist in a cgroup only when every cgroup above has passed it down in
//! `cgroup.subtree_control`, which the kernel refuses where processes live (the no-internal-process rule,
//! admin-guide/cgroup-v2.rst). What cannot be passed down is an error only when a limit needs it.

use std::path::PathBuf;
use std::time::Duration;

use boxship_oci::runtime::{BlockIo, Cpu, Memory, Resources, ThrottleDevice};

use super::Freezer;
use super::convert;
use super::directory::Directory;
use super::error::{Error, Result};
use super::v1::{check_usage, if_present, pids_max, rdma_line};

const EINVAL: i32 = 22;

/// Makes the directory and passes all controllers down to it; tells whether it was made now.
pub(super) fn create(directory: &Directory) -> Result<bool> {
    let mut above: Vec<PathBuf> = directory
        .path()
        .ancestors()
        .skip(1)
        .take_while(|path| !path.exists() || path.join("cgroup.controllers").exists())
        .map(PathBuf::from)
        .collect();
    above.reverse();
    for path in above {
        let parent = Directory::new(path);
        if parent.make()? {
            join_threaded(&parent)?;
        }
        pass_down(&parent)?;
    }
    let made = directory.make()?;
    join_threaded(directory)?;
    Ok(made)
}

/// Below a cgroup with processes of its own a new one is "domain invalid" and takes no process until it is made
/// threaded; controllers that are no domain controllers work there.
fn join_threaded(directory: &Directory) -> Result<()> {
    if directory.read_optional("cgroup.type")?.as_deref() == Some("domain invalid") {
        directory.write("cgroup.type", "threaded")?;
    }
    Ok(())
}

fn pass_down(parent: &Directory) -> Result<()> {
    let available = parent.read("cgroup.controllers")?;
    let enabled = parent.read("cgroup.subtree_control")?;
    let enabled: Vec<_> = enabled.split_whitespace().collect();
    let missing: Vec<_> = available
        .split_whitespace()
        .filter(|name| !enabled.contains(name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() || parent.write("cgroup.subtree_control", missing.join(" ")).is_ok() {
        return Ok(());
    }
    for name in missing {
        // One that can't be passed down is missed when a limit needs it: `controllers` names it then.
        let _ = parent.write("cgroup.subtree_control", name);
    }
    Ok(())
}

/// Sets everything that `resources` names, but for the device rules.
pub(super) fn apply(directory: &Directory, resources: &Resources) -> Result<()> {
    check_type(directory, resources)?;
    let group = Group { directory };
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        group.set("pids limit", "pids.max", pids_max(limit))?;
    }
    if let Some(memory) = &resources.memory {
        group.memory(memory)?;
    }
    if let Some(block) = &resources.block_io {
        group.block(block)?;
    }
    if let Some(cpu) = &resources.cpu {
        group.cpu(cpu)?;
    }
    for limit in &resources.hugepage_limits {
        let value = limit.limit.to_string();
        group.set("huge page limit", &format!("hugetlb.{}.max", limit.page_size), &value)?;
        if_present(directory.write(&format!("hugetlb.{}.rsvd.max", limit.page_size), &value))?;
    }
    if let Some(network) = &resources.network
        && (network.class_id.is_some_and(|class| class != 0) || !network.priorities.is_empty())
    {
        let reason = "cgroup v2 has no net_cls and net_prio controllers".to_owned();
        return Err(Error::Invalid { setting: "network class or priority", reason });
    }
    for (device, limit) in &resources.rdma {
        group.set("rdma limit", "rdma.max", rdma_line(device, limit.hca_handles, limit.hca_objects))?;
    }
    for (file, value) in &resources.unified {
        group.unified(file, value)?;
    }
    Ok(())
}

/// In a threaded cgroup only cpu, cpuset, perf_event and pids exist.
fn check_type(directory: &Directory, resources: &Resources) -> Result<()> {
    let memory = resources.memory.as_ref().is_some_and(|memory| {
        [memory.limit, memory.reservation, memory.swap].iter().flatten().any(|limit| *limit != 0)
    });
    let block = resources.block_io.as_ref().is_some_and(|block| *block != BlockIo::default());
    if !memory && !block && resources.hugepage_limits.is_empty() {
        return Ok(());
    }
    match directory.read_optional("cgroup.type")? {
        Some(mode) if mode != "domain" => Err(Error::Threaded { path: directory.path().to_owned(), mode }),
        _ => Ok(()),
    }
}

struct Group<'a> {
    directory: &'a Directory,
}

impl Group<'_> {
    /// Writes one file; a missing one is explained by the missing controller.
    fn set(&self, setting: &str, file: &str, value: impl AsRef<str>) -> Result<()> {
        match self.directory.write(file, value) {
            Err(error) if error.is_absent() => Err(self.explain(setting, file, error)),
            other => other,
        }
    }

    fn explain(&self, setting: &str, file: &str, error: Error) -> Error {
        let controller = file.split('.').next().unwrap_or(file);
        let available = self.directory.read("cgroup.controllers").unwrap_or_default();
        if available.split_whitespace().any(|name| name == controller) || controller == "cgroup" {
            return error;
        }
        Error::NoController {
            setting: setting.to_owned(),
            controller: controller.to_owned(),
            path: self.directory.path().to_owned(),
        }
    }

    fn memory(&self, memory: &Memory) -> Result<()> {
        check_usage(self.directory, memory, "memory.current")?;
        // runc's managers ignore the same: v2 has no swappiness, no kernel limits and no switch for the OOM killer.
        if let Some(swap) = convert::swap(memory.swap, memory.limit)? {
            let value = limit(swap);
            match self.set("swap limit", "memory.swap.max", &value) {
                // No swap in this kernel: nothing to forbid or to set free.
                Err(_) if matches!(value.as_str(), "0" | "max") && !self.directory.has("memory.swap.max") => {
                }
                other => other?,
            }
        }
        if let Some(value) = memory.limit.filter(|value| *value != 0) {
            self.set("memory limit", "memory.max", limit(value))?;
        }
        if let Some(value) = memory.reservation.filter(|value| *value != 0) {
            self.set("memory reservation", "memory.low", limit(value))?;
        }
        Ok(())
    }

    fn cpu(&self, cpu: &Cpu) -> Result<()> {
        if let Some(idle) = cpu.idle {
            self.set("cpu idle", "cpu.idle", idle.to_string())?;
        }
        if let Some(weight) = cpu.shares.map(convert::cpu_weight).filter(|weight| *weight != 0) {
            self.set("cpu shares", "cpu.weight", weight.to_string())?;
        }
        self.bandwidth(cpu)?;
        for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                self.set(file, file, value)?;
            }
        }
        Ok(())
    }

    fn bandwidth(&self, cpu: &Cpu) -> Result<()> {
        const DEFAULT_PERIOD: u64 = 100_000;
        let quota = cpu.quota.filter(|quota| *quota != 0);
        let period = cpu.period.filter(|period| *period != 0);
        let mut burst = cpu.burst.map(|burst| burst.to_string());
        if let Some(value) = &burst {
            match self.set("cpu burst", "cpu.max.burst", value) {
                // Larger than the quota in force: it may fit the new one.
                Err(error) if error.raw() == Some(EINVAL) && quota.is_some() => {}
                other => {
                    other?;
                    burst = None;
                }
            }
        }
        if quota.is_some() || period.is_some() {
            let quota = quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
            self.set("cpu quota", "cpu.max", format!("{quota} {}", period.unwrap_or(DEFAULT_PERIOD)))?;
        }
        burst.map_or(Ok(()), |value| self.set("cpu burst", "cpu.max.burst", value))
    }

    fn block(&self, block: &BlockIo) -> Result<()> {
        let bfq = self.directory.has("io.bfq.weight");
        if let Some(weight) = block.weight.filter(|weight| *weight != 0) {
            match bfq {
                true => self.set("block I/O weight", "io.bfq.weight", weight.to_string())?,
                false => self.set("block I/O weight", "io.weight", convert::io_weight(weight).to_string())?,
            }
        }
        for device in &block.weight_device {
            if let Some(weight) = device.weight.filter(|weight| *weight != 0) {
                let place = format!("{}:{}", device.major, device.minor);
                match bfq {
                    true => self.set("device weight", "io.bfq.weight", format!("{place} {weight}"))?,
                    false => {
                        let weight = convert::io_weight(weight);
                        self.set("device weight", "io.weight", format!("{place} {weight}"))?;
                    }
                }
            }
        }
        self.throttle("rbps", &block.throttle_read_bps_device)?;
        self.throttle("wbps", &block.throttle_write_bps_device)?;
        self.throttle("riops", &block.throttle_read_iops_device)?;
        self.throttle("wiops", &block.throttle_write_iops_device)
    }

    fn throttle(&self, key: &str, devices: &[ThrottleDevice]) -> Result<()> {
        devices.iter().try_for_each(|device| {
            let rate = if device.rate == 0 { "max".to_owned() } else { device.rate.to_string() };
            self.set("block I/O rate", "io.max", format!("{}:{} {key}={rate}", device.major, device.minor))
        })
    }

    fn unified(&self, file: &str, value: &str) -> Result<()> {
        if file.contains('/') || !file.contains('.') {
            let reason = format!("{file:?} must be a file name of the form CONTROLLER.PARAMETER");
            return Err(Error::Invalid { setting: "unified resource", reason });
        }
        value.lines().try_for_each(|line| self.set(&format!("unified resource {file:?}"), file, line))
    }
}

fn limit(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

pub(super) fn freeze(directory: &Directory) -> Result<()> {
    directory.write("cgroup.freeze", "1")?;
    for wait in super::backoff(Duration::from_secs(10)) {
        if directory.keyed("cgroup.events", "frozen")? == 1 {
            return Ok(());
        }
        std::thread::sleep(wait);
    }
    directory.write("cgroup.freeze", "0")?;
    Err(Error::FreezeTimeout { path: directory.path().to_owned() })
}

pub(super) fn freezer(directory: &Directory) -> Result<Freezer> {
    Ok(match directory.read_optional("cgroup.freeze")?.as_deref() {
        Some("1") => Freezer::Frozen,
        _ => Freezer::Thawed,
    })
}
