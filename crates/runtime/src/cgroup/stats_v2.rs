//! Reading what a container uses from cgroup v2 (admin-guide/cgroup-v2.rst), told in v1's units and layout.
//! A controller that isn't there leaves its part empty.

use super::directory::Directory;
use super::error::Result;
use super::stats::{
    Blkio, BlkioEntry, Hugetlb, Memory, MemoryEntry, Pids, Pressure, PressureLine, Rdma, Stats,
};

pub(super) fn read(directory: &Directory) -> Result<Stats> {
    let mut stats = Stats { unified: true, ..Stats::default() };
    read_cpu(directory, &mut stats)?;
    stats.memory = read_memory(directory)?;
    if directory.has("memory.events") {
        stats.oom_kills = directory.keyed("memory.events", "oom_kill")?;
    }
    stats.pids = Pids {
        current: directory.number_optional("pids.current")?.unwrap_or(0),
        limit: limit(directory.number_optional("pids.max")?),
    };
    stats.blkio = read_io(directory)?;
    for size in page_sizes(directory, ".events") {
        let prefix = format!("hugetlb.{size}");
        let usage = match directory.number_optional(&format!("{prefix}.rsvd.current"))? {
            Some(usage) => usage,
            None => directory.number_optional(&format!("{prefix}.current"))?.unwrap_or(0),
        };
        let failcnt = directory.keyed(&format!("{prefix}.events"), "max")?;
        stats.hugetlb.insert(size, Hugetlb { usage, max: 0, failcnt });
    }
    stats.rdma = read_rdma(directory)?;
    Ok(stats)
}

/// A limit as counters tell it: none is zero.
pub(super) fn limit(value: Option<u64>) -> u64 {
    value.filter(|value| *value != u64::MAX).unwrap_or(0)
}

fn read_cpu(directory: &Directory, stats: &mut Stats) -> Result<()> {
    for (key, value) in directory.table("cpu.stat")? {
        let nanoseconds = value.saturating_mul(1000);
        match key.as_str() {
            "usage_usec" => stats.cpu.usage.total = nanoseconds,
            "user_usec" => stats.cpu.usage.user = nanoseconds,
            "system_usec" => stats.cpu.usage.kernel = nanoseconds,
            "nr_periods" => stats.cpu.throttling.periods = value,
            "nr_throttled" => stats.cpu.throttling.throttled_periods = value,
            "throttled_usec" => stats.cpu.throttling.throttled_time = nanoseconds,
            _ => {}
        }
    }
    stats.cpu.psi = pressure(directory, "cpu.pressure")?;
    Ok(())
}

fn read_memory(directory: &Directory) -> Result<Memory> {
    let mut memory = Memory { psi: pressure(directory, "memory.pressure")?, ..Memory::default() };
    if !directory.has("memory.current") {
        return Ok(memory);
    }
    memory.raw = directory.table("memory.stat")?.into_iter().collect();
    memory.cache = memory.raw.get("file").copied().unwrap_or(0);
    memory.usage = entry(directory, "memory")?;
    memory.usage.failcnt = directory.keyed("memory.events", "max")?;
    // v2 counts swap alone; v1's readers expect both together.
    let swap = entry(directory, "memory.swap")?;
    memory.swap = MemoryEntry {
        usage: swap.usage.saturating_add(memory.usage.usage),
        limit: swap.limit.saturating_add(memory.usage.limit),
        max: 0,
        failcnt: swap.failcnt,
    };
    Ok(memory)
}

fn entry(directory: &Directory, name: &str) -> Result<MemoryEntry> {
    let number = |file: &str| directory.number_optional(&format!("{name}.{file}"));
    Ok(MemoryEntry {
        usage: number("current")?.unwrap_or(0),
        limit: number("max")?.unwrap_or(0),
        max: number("peak")?.unwrap_or(0),
        failcnt: 0,
    })
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`
fn read_io(directory: &Directory) -> Result<Blkio> {
    let mut block = Blkio { psi: pressure(directory, "io.pressure")?, ..Blkio::default() };
    for line in directory.read_optional("io.stat")?.unwrap_or_default().lines() {
        let mut fields = line.split_whitespace();
        let Some((major, minor)) = fields.next().and_then(device) else { continue };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            let (table, op) = match key {
                "rbytes" => (&mut block.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut block.io_service_bytes_recursive, "Write"),
                "rios" => (&mut block.io_serviced_recursive, "Read"),
                "wios" => (&mut block.io_serviced_recursive, "Write"),
                _ => continue,
            };
            table.push(BlkioEntry { major, minor, op: op.to_owned(), value });
        }
    }
    Ok(block)
}

pub(super) fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `mlx4_0 hca_handle=2 hca_object=2000`
pub(super) fn read_rdma(directory: &Directory) -> Result<Vec<Rdma>> {
    let text = directory.read_optional("rdma.current")?.unwrap_or_default();
    let number = |value: &str| if value == "max" { u32::MAX } else { value.parse().unwrap_or(0) };
    Ok(text
        .lines()
        .filter_map(|line| {
            let (device, rest) = line.split_once(' ')?;
            let mut entry = Rdma { device: device.to_owned(), ..Rdma::default() };
            for (key, value) in rest.split_whitespace().filter_map(|field| field.split_once('=')) {
                match key {
                    "hca_handle" => entry.hca_handles = number(value),
                    "hca_object" => entry.hca_objects = number(value),
                    _ => {}
                }
            }
            Some(entry)
        })
        .collect())
}

/// The huge page sizes that a directory has files for: `hugetlb.2MB<ending>`.
pub(super) fn page_sizes(directory: &Directory, ending: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory.path()) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut sizes: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix("hugetlb.")?.strip_suffix(ending)?.to_owned()))
        .filter(|size| !size.contains('.'))
        .collect();
    sizes.sort();
    sizes
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; EOPNOTSUPP when pressure is switched off at boot.
fn pressure(directory: &Directory, file: &str) -> Result<Option<Pressure>> {
    let text = match directory.read_optional(file) {
        Err(error) if error.raw() == Some(95) => None,
        other => other?,
    };
    Ok(text.map(|text| parse_pressure(&text)))
}

fn parse_pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let target = match fields.next() {
            Some("some") => &mut pressure.some,
            Some("full") => &mut pressure.full,
            _ => continue,
        };
        *target = parse_pressure_line(fields);
    }
    pressure
}

fn parse_pressure_line<'a>(fields: impl Iterator<Item = &'a str>) -> PressureLine {
    let mut line = PressureLine::default();
    for (key, value) in fields.filter_map(|field| field.split_once('=')) {
        let average = value.parse().unwrap_or(0.0);
        match key {
            "avg10" => line.avg10 = average,
            "avg60" => line.avg60 = average,
            "avg300" => line.avg300 = average,
            "total" => line.total = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> (tempfile::TempDir, Directory) {
        let temporary = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(temporary.path().join(name), text).unwrap();
        }
        let directory = Directory::new(temporary.path());
        (temporary, directory)
    }

    #[test]
    fn all_files_are_understood() {
        let (_keep, directory) = directory(&[
            (
                "cpu.stat",
                "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
            ),
            ("memory.current", "100\n"),
            ("memory.max", "max\n"),
            ("memory.peak", "150\n"),
            ("memory.stat", "anon 60\nfile 40\n"),
            ("memory.events", "low 0\nmax 3\noom 1\noom_kill 2\n"),
            ("memory.swap.current", "5\n"),
            ("memory.swap.max", "50\n"),
            ("pids.current", "6\n"),
            ("pids.max", "max\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
            ("hugetlb.2MB.current", "4096\n"),
            ("hugetlb.2MB.events", "max 9\n"),
            ("hugetlb.2MB.rsvd.current", "8192\n"),
            ("cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\n"),
            ("rdma.current", "mlx4_0 hca_handle=2 hca_object=max\n"),
        ]);
        let stats = read(&directory).unwrap();
        assert_eq!(
            (stats.cpu.usage.total, stats.cpu.usage.user, stats.cpu.usage.kernel),
            (30_000, 20_000, 10_000)
        );
        assert_eq!(stats.cpu.throttling.throttled_time, 7000);
        assert_eq!(
            (stats.memory.usage.usage, stats.memory.usage.limit, stats.memory.usage.max),
            (100, u64::MAX, 150)
        );
        assert_eq!((stats.memory.cache, stats.memory.usage.failcnt, stats.oom_kills), (40, 3, 2));
        assert_eq!((stats.memory.swap.usage, stats.memory.swap.limit), (105, u64::MAX));
        assert_eq!((stats.pids.current, stats.pids.limit), (6, 0));
        assert_eq!(stats.blkio.io_service_bytes_recursive[1].op, "Write");
        assert_eq!(stats.blkio.io_serviced_recursive[0].value, 3);
        assert_eq!(stats.hugetlb["2MB"], Hugetlb { usage: 8192, max: 0, failcnt: 9 });
        assert_eq!(
            stats.cpu.psi.unwrap().some,
            PressureLine { avg10: 1.5, total: 77, ..PressureLine::default() }
        );
        assert_eq!(stats.rdma[0].hca_objects, u32::MAX);
    }

    #[test]
    fn missing_controllers_leave_gaps() {
        let (_keep, directory) = directory(&[("cpu.stat", "usage_usec 1\n")]);
        let stats = read(&directory).unwrap();
        assert_eq!(stats.cpu.usage.total, 1000);
        assert_eq!(stats.memory, Memory::default());
    }
}
