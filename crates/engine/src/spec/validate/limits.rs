//! Limits: ranges and combinations, and what this host's cgroups cannot do (a warning, and the limit is discarded, as
//! Docker does). Shared by create and update.

use boxship_api::container::Resources;

use crate::spec::host::{Host, parse_list};
use crate::{Error, Result};

/// Below this no container starts (Docker's own limit).
const MIN_MEMORY: i64 = 6 << 20;

pub fn validate(limits: &mut Resources, update: bool, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    if limits.memory_swappiness == Some(-1) {
        limits.memory_swappiness = None;
    }
    memory(limits, update)?;
    discard_memory(limits, host, warnings);
    cpu(limits, host)?;
    discard_cpu(limits, host, warnings);
    cpuset(limits, host)?;
    block_io(limits, host, warnings)?;
    if limits.pids_limit.is_some() && !host.limits.pids {
        if limits.pids_limit > Some(0) {
            warnings.push(unsupported("PIDs limit capabilities", true, "PIDs limit discarded."));
        }
        limits.pids_limit = None;
    }
    Ok(())
}

fn unsupported(what: &str, mounted: bool, consequence: &str) -> String {
    let mounted = if mounted { " or the cgroup is not mounted" } else { "" };
    format!("Your kernel does not support {what}{mounted}. {consequence}")
}

fn check(valid: bool, message: impl Into<String>) -> Result<()> {
    if valid { Ok(()) } else { Err(Error::invalid(message)) }
}

fn memory(limits: &Resources, update: bool) -> Result<()> {
    let (memory, swap) = (limits.memory, limits.memory_swap);
    let reservation = limits.memory_reservation;
    check(memory == 0 || memory >= MIN_MEMORY, "Minimum memory limit allowed is 6MB")?;
    check(
        memory <= 0 || swap <= 0 || swap >= memory,
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    )?;
    check(
        memory != 0 || swap <= 0 || update,
        "You should always set the Memory limit when using Memoryswap limit, see usage",
    )?;
    check(swap >= -1, format!("invalid memory swap limit {swap}: use -1 for no limit"))?;
    if let Some(swappiness) = limits.memory_swappiness {
        let message = format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100");
        check((0..=100).contains(&swappiness), message)?;
    }
    check(reservation == 0 || reservation >= MIN_MEMORY, "Minimum memory reservation allowed is 6MB")?;
    check(
        memory <= 0 || reservation <= 0 || memory >= reservation,
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    )?;
    check(
        limits.kernel_memory == 0 || limits.kernel_memory >= MIN_MEMORY,
        "Minimum kernel memory limit allowed is 6MB",
    )
}

fn discard_memory(limits: &mut Resources, host: &Host, warnings: &mut Vec<String>) {
    let can = host.limits;
    if limits.memory > 0 && !can.memory {
        warnings.push(unsupported("memory limit capabilities", true, "Limitation discarded."));
        limits.memory = 0;
        limits.memory_swap = -1;
    }
    if limits.memory > 0 && limits.memory_swap != -1 && !can.swap {
        warnings.push(unsupported("swap limit capabilities", true, "Memory limited without swap."));
        limits.memory_swap = -1;
    }
    if limits.memory_swappiness.is_some() && !can.swappiness {
        warnings.push(unsupported("memory swappiness capabilities", true, "Memory swappiness discarded."));
        limits.memory_swappiness = None;
    }
    if limits.memory_reservation > 0 && !can.memory_reservation {
        warnings.push(unsupported("memory soft limit capabilities", true, "Limitation discarded."));
        limits.memory_reservation = 0;
    }
    if limits.kernel_memory > 0 && !can.kernel_memory {
        warnings.push(unsupported("kernel memory limit capabilities", true, "Limitation discarded."));
        limits.kernel_memory = 0;
    }
    if limits.kernel_memory_tcp > 0 && !can.kernel_memory_tcp {
        warnings.push(unsupported("kernel memory TCP limit capabilities", true, "Limitation discarded."));
        limits.kernel_memory_tcp = 0;
    }
    if limits.oom_kill_disable.is_some() && !can.oom_kill_disable {
        if limits.oom_kill_disable == Some(true) {
            warnings.push(unsupported("OomKillDisable", false, "OomKillDisable discarded."));
        }
        limits.oom_kill_disable = None;
    }
    if limits.oom_kill_disable == Some(true) && limits.memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
             running out of resources."
                .to_owned(),
        );
    }
}

fn cpu(limits: &Resources, host: &Host) -> Result<()> {
    let nano = limits.nano_cpus;
    check(
        nano <= 0 || limits.cpu_period <= 0,
        "Conflicting options: Nano CPUs and CPU Period cannot both be set",
    )?;
    check(
        nano <= 0 || limits.cpu_quota <= 0,
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
    )?;
    check(
        nano <= 0 || host.limits.cpu_cfs,
        "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
    )?;
    let cpus = host.cpus;
    check(
        nano == 0 || (1..=i64::from(cpus) * 1_000_000_000).contains(&nano),
        format!("range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"),
    )?;
    let shares = limits.cpu_shares;
    check(shares >= 0, format!("invalid CPU shares ({shares}): value must be a positive integer"))?;
    check(
        limits.cpu_period == 0 || (1000..=1_000_000).contains(&limits.cpu_period),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    )?;
    check(
        limits.cpu_quota <= 0 || limits.cpu_quota >= 1000,
        "CPU cfs quota can not be less than 1ms (i.e. 1000)",
    )?;
    let (period, runtime) = (limits.cpu_realtime_period, limits.cpu_realtime_runtime);
    check(
        (period == 0 && runtime == 0) || host.limits.cpu_realtime,
        "kernel does not support CPU real-time scheduler",
    )?;
    check(
        period == 0 || runtime <= period,
        "cpu real-time runtime cannot be higher than cpu real-time period",
    )
}

fn discard_cpu(limits: &mut Resources, host: &Host, warnings: &mut Vec<String>) {
    let can = host.limits;
    if limits.cpu_shares > 0 && !can.cpu_shares {
        warnings.push(unsupported("CPU shares", true, "Shares discarded."));
        limits.cpu_shares = 0;
    }
    if (limits.cpu_period != 0 || limits.cpu_quota != 0) && !can.cpu_cfs {
        warnings.push(unsupported("CPU CFS scheduler", false, "CPU period/quota discarded."));
        (limits.cpu_period, limits.cpu_quota) = (0, 0);
    }
    if limits.cpu_percent > 0 {
        warnings.push("linux does not support CPU percent. Percent discarded.".to_owned());
        limits.cpu_percent = 0;
    }
    if limits.cpu_count > 0 {
        warnings.push("linux does not support CPU count. Count discarded.".to_owned());
        limits.cpu_count = 0;
    }
    let chosen = !limits.cpuset_cpus.is_empty() || !limits.cpuset_mems.is_empty();
    if chosen && !can.cpuset {
        warnings.push(unsupported("cpuset", true, "Cpuset discarded."));
        limits.cpuset_cpus.clear();
        limits.cpuset_mems.clear();
    }
}

fn cpuset(limits: &Resources, host: &Host) -> Result<()> {
    let invalid =
        |what: &str, value: &str| Error::invalid(format!("Invalid value {value} for cpuset {what}"));
    for (what, label, asked, available) in [
        ("cpus", "CPUs", &limits.cpuset_cpus, &host.cpuset.cpus),
        ("mems", "memory nodes", &limits.cpuset_mems, &host.cpuset.mems),
    ] {
        let wanted = parse_list(asked).ok_or_else(|| invalid(what, asked))?;
        let offered = parse_list(available).unwrap_or_default();
        let message =
            format!("Requested {label} are not available - requested {asked}, available: {available}");
        check(wanted.is_subset(&offered), message)?;
    }
    Ok(())
}

fn block_io(limits: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    let can = host.limits;
    check(
        limits.io_maximum_bandwidth == 0,
        "invalid option: QoS maximum bandwidth configuration is not supported on linux",
    )?;
    check(
        limits.io_maximum_iops == 0,
        "invalid option: QoS maximum IOPs configuration is not supported on linux",
    )?;
    if limits.blkio_weight > 0 && !can.blkio_weight {
        warnings.push(unsupported("Block I/O weight", true, "Weight discarded."));
        limits.blkio_weight = 0;
    }
    let in_range = |weight: u16| (10..=1000).contains(&weight);
    check(
        limits.blkio_weight == 0 || in_range(limits.blkio_weight),
        "Range of blkio weight is from 10 to 1000",
    )?;
    let weights = &mut limits.blkio_weight_device;
    if !can.blkio_weight_device && discard(weights) {
        warnings.push(unsupported("Block I/O weight_device", true, "Weight-device discarded."));
    }
    let valid = weights.iter().flatten().all(|device| in_range(device.weight));
    check(valid, "Range of blkio weight is from 10 to 1000")?;
    if can.blkio_throttle {
        return Ok(());
    }
    for (devices, what) in [
        (&mut limits.blkio_device_read_bps, "BPS Block I/O read limit"),
        (&mut limits.blkio_device_write_bps, "BPS Block I/O write limit"),
        (&mut limits.blkio_device_read_iops, "IOPS Block read limit"),
        (&mut limits.blkio_device_write_iops, "IOPS Block write limit"),
    ] {
        if discard(devices) {
            warnings.push(unsupported(what, true, &format!("{what} discarded.")));
        }
    }
    Ok(())
}

/// Empties a list; whether there was something in it.
fn discard<T>(list: &mut Option<Vec<T>>) -> bool {
    let had = list.as_ref().is_some_and(|list| !list.is_empty());
    if had {
        *list = Some(Vec::new());
    }
    had
}
