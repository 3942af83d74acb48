//! cgroup v1: the files of each controller, in the order the kernel accepts.
//!
//! Values and orders follow the kernel's admin-guide/cgroup-v1 and runc's `fs` managers. A setting without a
//! mounted controller is an error that names it, never silently dropped.

use std::time::Duration;

use boxship_oci::runtime::{BlockIo, Cpu, Memory, Network, Resources};

use super::directory::Directory;
use super::error::{Error, Result};
use super::{Cgroup, Freezer};

const EINVAL: i32 = 22;
const EBUSY: i32 = 16;

/// Sets everything that `resources` names, but for the device rules.
pub(super) fn apply(cgroup: &Cgroup, resources: &Resources) -> Result<()> {
    if let Some(name) = resources.unified.keys().next() {
        let reason = format!("{name}: cgroup v2 files cannot be set on a v1 machine");
        return Err(Error::Invalid { setting: "unified resources", reason });
    }
    if let Some(cpu) = &resources.cpu {
        apply_cpu(cgroup, cpu)?;
    }
    if let Some(memory) = &resources.memory {
        apply_memory(cgroup, memory)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        cgroup.required("pids", "pids limit")?.write("pids.max", pids_max(limit))?;
    }
    if let Some(block) = &resources.block_io {
        apply_block(cgroup, block)?;
    }
    for limit in &resources.hugepage_limits {
        let directory = cgroup.required("hugetlb", "huge page limit")?;
        let value = limit.limit.to_string();
        directory.write(&format!("hugetlb.{}.limit_in_bytes", limit.page_size), &value)?;
        if_present(directory.write(&format!("hugetlb.{}.rsvd.limit_in_bytes", limit.page_size), &value))?;
    }
    if let Some(network) = &resources.network {
        apply_network(cgroup, network)?;
    }
    for (device, limit) in &resources.rdma {
        let line = rdma_line(device, limit.hca_handles, limit.hca_objects);
        cgroup.required("rdma", "rdma limit")?.write("rdma.max", line)?;
    }
    Ok(())
}

/// Docker writes 0 or a negative number for "no limit".
pub(super) fn pids_max(limit: i64) -> String {
    if limit > 0 { limit.to_string() } else { "max".to_owned() }
}

pub(super) fn rdma_line(device: &str, handles: Option<u32>, objects: Option<u32>) -> String {
    let mut line = device.to_owned();
    for (name, value) in [("hca_handle", handles), ("hca_object", objects)] {
        match value {
            Some(u32::MAX) => line.push_str(&format!(" {name}=max")),
            Some(value) => line.push_str(&format!(" {name}={value}")),
            None => {}
        }
    }
    line
}

/// A knob that the kernel doesn't have is no failure.
pub(super) fn if_present(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}

fn apply_cpu(cgroup: &Cgroup, cpu: &Cpu) -> Result<()> {
    if cpu.realtime_runtime.is_some() || cpu.realtime_period.is_some() {
        apply_realtime(&cgroup.required("cpu", "real-time limit")?, cpu)?;
    }
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        apply_shares(&cgroup.required("cpu", "cpu shares")?, shares)?;
    }
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = cpu.period.filter(|period| *period != 0);
    if quota.is_some() || period.is_some() || cpu.burst.is_some() {
        apply_bandwidth(&cgroup.required("cpu", "cpu quota")?, quota, period, cpu.burst)?;
    }
    if let Some(idle) = cpu.idle {
        cgroup.required("cpu", "cpu idle")?.write("cpu.idle", idle.to_string())?;
    }
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            cgroup.required("cpuset", file)?.write(file, value)?;
        }
    }
    Ok(())
}

/// The kernel clamps silently; the caller must hear of it.
fn apply_shares(directory: &Directory, shares: u64) -> Result<()> {
    directory.write("cpu.shares", shares.to_string())?;
    let got = directory.number("cpu.shares")?;
    let bound = match got.cmp(&shares) {
        std::cmp::Ordering::Less => "maximum",
        std::cmp::Ordering::Greater => "minimum",
        std::cmp::Ordering::Equal => return Ok(()),
    };
    Err(Error::Invalid { setting: "cpu shares", reason: format!("the {bound} allowed cpu-shares is {got}") })
}

/// Quota, period and burst constrain one another: what is refused before the quota is set is tried again after.
fn apply_bandwidth(
    directory: &Directory,
    quota: Option<i64>,
    period: Option<u64>,
    burst: Option<u64>,
) -> Result<()> {
    let mut later = Vec::new();
    for (file, value) in [("cpu.cfs_period_us", period), ("cpu.cfs_burst_us", burst)] {
        let Some(value) = value.map(|value| value.to_string()) else { continue };
        match directory.write(file, &value) {
            Err(error) if file == "cpu.cfs_burst_us" && error.is_absent() => {}
            Err(error) if error.raw() == Some(EINVAL) && quota.is_some() => later.push((file, value)),
            other => other?,
        }
    }
    if let Some(quota) = quota {
        directory.write("cpu.cfs_quota_us", quota.to_string())?;
    }
    later.into_iter().try_for_each(|(file, value)| directory.write(file, value))
}

fn apply_realtime(directory: &Directory, cpu: &Cpu) -> Result<()> {
    let period = cpu.realtime_period.filter(|period| *period != 0).map(|period| period.to_string());
    let runtime = cpu.realtime_runtime.filter(|runtime| *runtime != 0);
    let mut later = None;
    if let Some(period) = period {
        match directory.write("cpu.rt_period_us", &period) {
            Err(error) if error.raw() == Some(EINVAL) && runtime.is_some() => later = Some(period),
            other => other?,
        }
    }
    if let Some(runtime) = runtime {
        directory.write("cpu.rt_runtime_us", runtime.to_string())?;
    }
    later.map_or(Ok(()), |period| directory.write("cpu.rt_period_us", period))
}

fn apply_memory(cgroup: &Cgroup, memory: &Memory) -> Result<()> {
    let directory = cgroup.required("memory", "memory limit")?;
    check_usage(&directory, memory, "memory.usage_in_bytes")?;
    apply_memory_and_swap(&directory, memory)?;
    // Kernel memory limits went with Linux 5.16 and runc ignores them since 1.0; TCP buffers still have theirs.
    if let Some(limit) = memory.kernel_tcp.filter(|limit| *limit != 0) {
        directory.write("memory.kmem.tcp.limit_in_bytes", limit.to_string())?;
    }
    if let Some(limit) = memory.reservation.filter(|limit| *limit != 0) {
        directory.write("memory.soft_limit_in_bytes", limit.to_string())?;
    }
    if memory.disable_oom_killer == Some(true) {
        directory.write("memory.oom_control", "1")?;
    }
    match memory.swappiness {
        None | Some(u64::MAX) => Ok(()),
        Some(value @ 0..=100) => directory.write("memory.swappiness", value.to_string()),
        Some(value) => Err(Error::Invalid {
            setting: "memory swappiness",
            reason: format!("{value} is outside the valid range of 0 to 100"),
        }),
    }
}

/// `memory.limit_in_bytes` may never exceed `memory.memsw.limit_in_bytes`, so which is written first depends on
/// whether the limits grow or shrink.
fn apply_memory_and_swap(directory: &Directory, memory: &Memory) -> Result<()> {
    const SWAP: &str = "memory.memsw.limit_in_bytes";
    let limit = memory.limit.filter(|limit| *limit != 0);
    let mut swap = memory.swap.filter(|swap| *swap != 0);
    if limit == Some(-1) && swap.is_none() && directory.has(SWAP) {
        swap = Some(-1);
    }
    let set_limit = |value: i64| match directory.write("memory.limit_in_bytes", value.to_string()) {
        Err(error) if error.raw() == Some(EBUSY) => Err(too_low(directory, value)),
        other => other,
    };
    let set_swap = |value: i64| directory.write(SWAP, value.to_string());
    match (limit, swap) {
        (Some(limit), Some(swap)) => {
            let current = directory.number("memory.limit_in_bytes")?;
            if swap == -1 || i128::from(current) < i128::from(swap) {
                set_swap(swap)?;
                set_limit(limit)
            } else {
                set_limit(limit)?;
                set_swap(swap)
            }
        }
        (Some(limit), None) => set_limit(limit),
        (None, Some(swap)) => set_swap(swap),
        (None, None) => Ok(()),
    }
}

fn too_low(directory: &Directory, limit: i64) -> Error {
    let read = |file| directory.number(file).unwrap_or(0);
    Error::Invalid {
        setting: "memory limit",
        reason: format!(
            "unable to set memory limit to {limit} (current usage: {}, peak usage: {})",
            read("memory.usage_in_bytes"),
            read("memory.max_usage_in_bytes")
        ),
    }
}

/// With `checkBeforeUpdate`, a limit below what is in use is refused instead of killing processes.
pub(super) fn check_usage(directory: &Directory, memory: &Memory, file: &str) -> Result<()> {
    if memory.check_before_update != Some(true) {
        return Ok(());
    }
    let Ok(usage) = directory.number(file) else { return Ok(()) };
    for (setting, limit) in [("memory+swap limit", memory.swap), ("memory limit", memory.limit)] {
        if let Some(limit) = limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0)
            && limit <= usage
        {
            return Err(Error::Invalid {
                setting,
                reason: format!("rejecting limit {limit} <= usage {usage}"),
            });
        }
    }
    Ok(())
}

fn apply_block(cgroup: &Cgroup, block: &BlockIo) -> Result<()> {
    if *block == BlockIo::default() {
        return Ok(());
    }
    let directory = cgroup.required("blkio", "block I/O limit")?;
    // The BFQ scheduler has files of its own (Linux 5.0 dropped CFQ's).
    let bfq = !directory.has("blkio.weight");
    let (weight, weight_device) = match bfq {
        true => ("blkio.bfq.weight", "blkio.bfq.weight_device"),
        false => ("blkio.weight", "blkio.weight_device"),
    };
    if let Some(value) = block.weight.filter(|weight| *weight != 0) {
        directory.write(weight, value.to_string())?;
    }
    if let Some(value) = block.leaf_weight.filter(|weight| *weight != 0) {
        directory.write("blkio.leaf_weight", value.to_string())?;
    }
    for device in &block.weight_device {
        for (file, value) in
            [(weight_device, device.weight), ("blkio.leaf_weight_device", device.leaf_weight)]
        {
            if let Some(value) = value.filter(|weight| *weight != 0) {
                directory.write(file, format!("{}:{} {value}", device.major, device.minor))?;
            }
        }
    }
    for (file, devices) in [
        ("blkio.throttle.read_bps_device", &block.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", &block.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", &block.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", &block.throttle_write_iops_device),
    ] {
        directory
            .write_all(file, devices.iter().map(|it| format!("{}:{} {}", it.major, it.minor, it.rate)))?;
    }
    Ok(())
}

fn apply_network(cgroup: &Cgroup, network: &Network) -> Result<()> {
    if let Some(class) = network.class_id.filter(|class| *class != 0) {
        cgroup.required("net_cls", "network class")?.write("net_cls.classid", class.to_string())?;
    }
    for priority in &network.priorities {
        let line = format!("{} {}", priority.name, priority.priority);
        cgroup.required("net_prio", "network priority")?.write("net_prio.ifpriomap", line)?;
    }
    Ok(())
}

/// A new cpuset is empty, and nothing can live in it until it has processors and memory nodes: taken from the
/// parent, from the top down.
pub(super) fn create_cpuset(directory: &Directory) -> Result<bool> {
    let Some(parent) = directory.path().parent().map(Directory::new) else { return directory.make() };
    if !parent.exists() {
        create_cpuset(&parent)?;
    }
    let made = directory.make()?;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        inherit(directory, &parent, file)?;
    }
    Ok(made)
}

fn inherit(directory: &Directory, parent: &Directory, file: &str) -> Result<()> {
    // The mount option noprefix (Android) leaves out "cpuset."; such a machine has no container engine.
    if directory.read_optional(file)?.is_some_and(|value| value.is_empty()) {
        let mut value = parent.read_optional(file)?.unwrap_or_default();
        if value.is_empty() {
            let above = parent.path().parent().map(Directory::new);
            if let Some(above) = above.filter(|above| above.has(file)) {
                inherit(parent, &above, file)?;
                value = parent.read(file)?;
            }
        }
        directory.write(file, value)?;
    }
    Ok(())
}

/// v1 cannot promise to freeze while processes keep appearing (runc tried many recipes): ask, look, and now and
/// then let go and try again.
pub(super) fn freeze(directory: &Directory) -> Result<()> {
    let result = try_freeze(directory);
    if result.is_err() {
        // A cgroup left half frozen would hang whatever comes next.
        let _ = directory.write("freezer.state", "THAWED");
    }
    result
}

fn try_freeze(directory: &Directory) -> Result<()> {
    for attempt in 0..1000 {
        if attempt % 50 == 49 {
            directory.write("freezer.state", "THAWED")?;
            std::thread::sleep(Duration::from_millis(10));
        }
        directory.write("freezer.state", "FROZEN")?;
        if attempt % 25 == 24 {
            std::thread::sleep(Duration::from_micros(100));
        }
        match directory.read("freezer.state")?.as_str() {
            "FROZEN" => return Ok(()),
            "FREEZING" => {}
            other => return Err(directory.unexpected("freezer.state", other)),
        }
    }
    Err(Error::FreezeTimeout { path: directory.path().to_owned() })
}

pub(super) fn freezer(directory: &Directory) -> Result<Freezer> {
    for wait in super::backoff(Duration::from_secs(1)) {
        match directory.read_optional("freezer.state")?.as_deref() {
            None | Some("THAWED") => return Ok(Freezer::Thawed),
            // Frozen through a cgroup above doesn't count as the container's own state.
            Some("FROZEN") => {
                let own = directory.read_optional("freezer.self_freezing")?;
                return Ok(if own.as_deref() == Some("0") { Freezer::Thawed } else { Freezer::Frozen });
            }
            Some("FREEZING") => std::thread::sleep(wait),
            Some(other) => return Err(directory.unexpected("freezer.state", other)),
        }
    }
    Ok(Freezer::Frozen)
}
