//! Reading what a container uses from the v1 controllers (admin-guide/cgroup-v1).
//! A controller that isn't mounted leaves its part empty.

use super::Cgroup;
use super::directory::Directory;
use super::error::Result;
use super::stats::{
    Blkio, BlkioEntry, CpuSet, CpuUsage, Hugetlb, Memory, MemoryEntry, Pids, Stats, Throttling,
};
use super::stats_v2::{device, limit, page_sizes, read_rdma};

pub(super) fn read(cgroup: &Cgroup) -> Result<Stats> {
    let present = |controller| cgroup.directory(controller).filter(Directory::exists);
    let mut stats = Stats::default();
    if let Some(cpu) = present("cpu") {
        stats.cpu.throttling = read_throttling(&cpu)?;
    }
    if let Some(accounts) = present("cpuacct") {
        stats.cpu.usage = read_usage(&accounts)?;
    }
    if let Some(set) = present("cpuset") {
        stats.cpuset = read_cpuset(&set)?;
    }
    if let Some(memory) = present("memory") {
        stats.memory = read_memory(&memory)?;
        stats.oom_kills = memory.keyed("memory.oom_control", "oom_kill")?;
    }
    if let Some(pids) = present("pids") {
        let most = limit(pids.number_optional("pids.max")?);
        stats.pids = Pids { current: pids.number("pids.current")?, limit: most };
    }
    if let Some(block) = present("blkio") {
        stats.blkio = read_block(&block)?;
    }
    if let Some(huge) = present("hugetlb") {
        for size in page_sizes(&huge, ".failcnt") {
            let entry = read_hugetlb(&huge, &size)?;
            stats.hugetlb.insert(size, entry);
        }
    }
    if let Some(rdma) = present("rdma") {
        stats.rdma = read_rdma(&rdma)?;
    }
    Ok(stats)
}

fn read_throttling(directory: &Directory) -> Result<Throttling> {
    let mut throttling = Throttling::default();
    for (key, value) in directory.table("cpu.stat")? {
        match key.as_str() {
            "nr_periods" => throttling.periods = value,
            "nr_throttled" => throttling.throttled_periods = value,
            "throttled_time" => throttling.throttled_time = value,
            _ => {}
        }
    }
    Ok(throttling)
}

fn read_usage(directory: &Directory) -> Result<CpuUsage> {
    /// `cpuacct.stat` counts in USER_HZ, which is 100 on every architecture that we build for.
    const NANOSECONDS_PER_TICK: u64 = 1_000_000_000 / 100;
    let ticks = |key| Ok(directory.keyed("cpuacct.stat", key)?.saturating_mul(NANOSECONDS_PER_TICK));
    let mut usage = CpuUsage {
        total: directory.number("cpuacct.usage")?,
        user: ticks("user")?,
        kernel: ticks("system")?,
        percpu: numbers(&directory.read("cpuacct.usage_percpu")?),
        ..CpuUsage::default()
    };
    // Header, then `cpu user system`.
    for line in directory.read_optional("cpuacct.usage_all")?.unwrap_or_default().lines().skip(1) {
        if let [_, user, kernel, ..] = numbers(line)[..] {
            usage.percpu_user.push(user);
            usage.percpu_kernel.push(kernel);
        }
    }
    Ok(usage)
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn read_cpuset(directory: &Directory) -> Result<CpuSet> {
    let number = |name: &str| Ok(directory.number_optional(&format!("cpuset.{name}"))?.unwrap_or(0));
    let list = |name: &str| -> Result<Vec<u16>> {
        Ok(directory
            .read_optional(&format!("cpuset.{name}"))?
            .map(|text| parse_list(&text))
            .unwrap_or_default())
    };
    let level = directory.read_optional("cpuset.sched_relax_domain_level")?;
    Ok(CpuSet {
        cpus: list("cpus")?,
        cpu_exclusive: number("cpu_exclusive")?,
        mems: list("mems")?,
        mem_hardwall: number("mem_hardwall")?,
        mem_exclusive: number("mem_exclusive")?,
        memory_migrate: number("memory_migrate")?,
        memory_spread_page: number("memory_spread_page")?,
        memory_spread_slab: number("memory_spread_slab")?,
        memory_pressure: number("memory_pressure")?,
        sched_load_balance: number("sched_load_balance")?,
        sched_relax_domain_level: level.and_then(|level| level.parse().ok()).unwrap_or(0),
    })
}

/// The kernel's list format: `0-3,7`.
fn parse_list(text: &str) -> Vec<u16> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
        })
        .flatten()
        .collect()
}

fn read_memory(directory: &Directory) -> Result<Memory> {
    let raw: std::collections::BTreeMap<_, _> = directory.table("memory.stat")?.into_iter().collect();
    Ok(Memory {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: entry(directory, "memory")?,
        swap: entry(directory, "memory.memsw")?,
        kernel: entry(directory, "memory.kmem")?,
        kernel_tcp: entry(directory, "memory.kmem.tcp")?,
        raw,
        psi: None,
    })
}

/// Swap and kernel accounting may be left out of a kernel.
fn entry(directory: &Directory, name: &str) -> Result<MemoryEntry> {
    let number = |file: &str| Ok(directory.number_optional(&format!("{name}.{file}"))?.unwrap_or(0));
    Ok(MemoryEntry {
        limit: number("limit_in_bytes")?,
        usage: number("usage_in_bytes")?,
        max: number("max_usage_in_bytes")?,
        failcnt: number("failcnt")?,
    })
}

fn read_block(directory: &Directory) -> Result<Blkio> {
    // BFQ counts what it schedules; the throttling layer counts everything else.
    let bfq = |name: &str| -> Result<Vec<BlkioEntry>> {
        match entries(directory, &format!("blkio.bfq.{name}_recursive"))? {
            found if !found.is_empty() => Ok(found),
            _ => entries(directory, &format!("blkio.{name}_recursive")),
        }
    };
    let counted = |name: &str| -> Result<Vec<BlkioEntry>> {
        for file in [
            format!("blkio.bfq.{name}_recursive"),
            format!("blkio.{name}_recursive"),
            format!("blkio.throttle.{name}_recursive"),
            format!("blkio.throttle.{name}"),
        ] {
            let found = entries(directory, &file)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    };
    Ok(Blkio {
        io_service_bytes_recursive: counted("io_service_bytes")?,
        io_serviced_recursive: counted("io_serviced")?,
        io_queued_recursive: bfq("io_queued")?,
        io_service_time_recursive: bfq("io_service_time")?,
        io_wait_time_recursive: bfq("io_wait_time")?,
        io_merged_recursive: bfq("io_merged")?,
        io_time_recursive: bfq("time")?,
        sectors_recursive: bfq("sectors")?,
        psi: None,
    })
}

/// `8:0 Read 1282048`, `8:0 6792`, and a last line `Total 12`, which is left out.
fn entries(directory: &Directory, file: &str) -> Result<Vec<BlkioEntry>> {
    let text = directory.read_optional(file)?.unwrap_or_default();
    Ok(text
        .lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (major, minor) = device(fields.first()?)?;
            let op = if fields.len() > 2 { fields[1] } else { "" };
            Some(BlkioEntry { major, minor, op: op.to_owned(), value: fields.last()?.parse().ok()? })
        })
        .collect())
}

fn read_hugetlb(directory: &Directory, size: &str) -> Result<Hugetlb> {
    let number = |file: &str| -> Result<u64> {
        match directory.number_optional(&format!("hugetlb.{size}.rsvd.{file}"))? {
            Some(value) => Ok(value),
            None => Ok(directory.number_optional(&format!("hugetlb.{size}.{file}"))?.unwrap_or(0)),
        }
    };
    Ok(Hugetlb {
        usage: number("usage_in_bytes")?,
        max: number("max_usage_in_bytes")?,
        failcnt: number("failcnt")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse_list("0-3,7"), [0, 1, 2, 3, 7]);
        assert_eq!(parse_list(""), Vec::<u16>::new());
    }

    #[test]
    fn block_lines() {
        let temporary = tempfile::tempdir().unwrap();
        let text = "8:0 Read 5\n8:0 Total 5\n8:16 7\nTotal 12\n";
        std::fs::write(temporary.path().join("blkio.throttle.io_serviced"), text).unwrap();
        let block = read_block(&Directory::new(temporary.path())).unwrap();
        let found: Vec<_> =
            block.io_serviced_recursive.iter().map(|it| (it.minor, it.op.as_str(), it.value)).collect();
        assert_eq!(found, [(0, "Read", 5), (0, "Total", 5), (16, "", 7)]);
    }
}
