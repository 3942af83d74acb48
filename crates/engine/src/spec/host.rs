//! What the host offers to containers: cgroup controllers, processors, capabilities, security modules. Found out once
//! at open and told in `info`; everything else in this module takes it as data. It decides nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use boxship_oci::runtime::CAPABILITIES;

/// What the host offers, found out once at open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The unified cgroup hierarchy alone (v2).
    pub cgroup_v2: bool,
    /// Number of processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// What cgroups can limit here.
    pub limits: Limits,
    /// The processors and memory nodes that containers may use.
    pub cpuset: Cpuset,
    /// Names of the capabilities that may be given (`CAP_CHOWN` …), in the kernel's order.
    pub capabilities: Vec<&'static str>,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// Whether seccomp filters are compiled in.
    pub seccomp: bool,
    /// Whether AppArmor confines here.
    pub apparmor: bool,
    /// Whether there are cgroup namespaces.
    pub cgroup_namespaces: bool,
    /// Whether the host forwards IPv4 packets.
    pub ipv4_forwarding: bool,
    /// Whether mounts below a read-only bind mount can be made read-only too (Linux 5.12).
    pub recursive_read_only: bool,
    /// The kernel parameters below these names exist: `net.ipv4.ping_group_range`, …
    pub sysctls: BTreeSet<&'static str>,
    /// Thermal throttle folders, to be masked (they tell of neighbours' load).
    pub thermal_throttle: Vec<PathBuf>,
}

/// What cgroups can limit here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Limits {
    pub memory: bool,
    pub swap: bool,
    pub memory_reservation: bool,
    pub oom_kill_disable: bool,
    pub swappiness: bool,
    pub kernel_memory: bool,
    pub kernel_memory_tcp: bool,
    pub cpu_shares: bool,
    pub cpu_cfs: bool,
    pub cpu_realtime: bool,
    pub cpuset: bool,
    pub pids: bool,
    pub blkio_weight: bool,
    pub blkio_weight_device: bool,
    pub blkio_throttle: bool,
}

/// Lists in the kernel's form (`0-3,7`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpuset {
    /// Processors.
    pub cpus: String,
    /// Memory nodes.
    pub mems: String,
}

const CGROUP: &str = "/sys/fs/cgroup";
/// Parameters that Docker sets by default in a new network namespace, when they exist.
const WANTED_SYSCTLS: [&str; 2] = ["net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"];

/// Whether this version knows the capability, wherever it may be available.
pub fn is_known_capability(name: &str) -> bool {
    CAPABILITIES.contains(&name)
}

impl Host {
    /// Looks at the running host. What cannot be read counts as not offered.
    pub fn discover() -> Self {
        let cgroup_v2 = Path::new(CGROUP).join("cgroup.controllers").exists();
        let kernel = kernel_version(&read("/proc/sys/kernel/osrelease"));
        Self {
            cgroup_v2,
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            memory: memory_total(&read("/proc/meminfo")),
            limits: if cgroup_v2 { Limits::of_v2() } else { Limits::of_v1() },
            cpuset: if cgroup_v2 { Cpuset::of_v2() } else { Cpuset::of_v1() },
            capabilities: bounding_set(&read("/proc/self/status")),
            kernel,
            seccomp: read("/proc/self/status").contains("\nSeccomp:"),
            apparmor: read("/sys/module/apparmor/parameters/enabled").starts_with('Y'),
            cgroup_namespaces: Path::new("/proc/self/ns/cgroup").exists(),
            ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward").trim() == "1",
            recursive_read_only: kernel >= (5, 12),
            sysctls: WANTED_SYSCTLS.into_iter().filter(|name| sysctl_path(name).exists()).collect(),
            thermal_throttle: thermal_throttle(),
        }
    }

    /// The paths that are hidden in a container unless asked otherwise.
    pub fn default_masked_paths(&self) -> Vec<String> {
        const MASKED: [&str; 12] = [
            "/proc/asound",
            "/proc/acpi",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/sys/firmware",
            "/sys/devices/virtual/powercap",
        ];
        let thermal = self.thermal_throttle.iter().map(|path| path.to_string_lossy().into_owned());
        MASKED.iter().map(|&path| path.to_owned()).chain(thermal).collect()
    }

    /// The paths that are read-only in a container unless asked otherwise.
    pub fn default_readonly_paths() -> Vec<String> {
        ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"].map(str::to_owned).to_vec()
    }
}

impl Limits {
    fn of_v2() -> Self {
        let controllers = read("/sys/fs/cgroup/cgroup.controllers");
        let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
        let own = read("/proc/self/cgroup");
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        Self {
            memory: has("memory"),
            swap: has("memory") && swap_is_counted(own),
            memory_reservation: has("memory"),
            cpu_shares: has("cpu"),
            cpu_cfs: has("cpu"),
            cpuset: has("cpuset"),
            pids: has("pids"),
            blkio_weight: has("io"),
            blkio_weight_device: has("io"),
            blkio_throttle: has("io"),
            ..Self::default()
        }
    }

    fn of_v1() -> Self {
        let has = |file: &str| Path::new(CGROUP).join(file).exists();
        Self {
            memory: has("memory/memory.limit_in_bytes"),
            swap: has("memory/memory.memsw.limit_in_bytes"),
            memory_reservation: has("memory/memory.soft_limit_in_bytes"),
            oom_kill_disable: has("memory/memory.oom_control"),
            swappiness: has("memory/memory.swappiness"),
            kernel_memory: has("memory/memory.kmem.limit_in_bytes"),
            kernel_memory_tcp: has("memory/memory.kmem.tcp.limit_in_bytes"),
            cpu_shares: has("cpu/cpu.shares"),
            cpu_cfs: has("cpu/cpu.cfs_quota_us"),
            cpu_realtime: has("cpu/cpu.rt_runtime_us"),
            cpuset: has("cpuset/cpuset.cpus"),
            pids: has("pids"),
            blkio_weight: has("blkio/blkio.weight") || has("blkio/blkio.bfq.weight"),
            blkio_weight_device: has("blkio/blkio.weight_device") || has("blkio/blkio.bfq.weight_device"),
            blkio_throttle: has("blkio/blkio.throttle.read_bps_device"),
        }
    }
}

/// The root has no `memory.swap.max`; any group below it tells.
fn swap_is_counted(own: &str) -> bool {
    let root = Path::new(CGROUP);
    if !own.is_empty() {
        return root.join(own).join("memory.swap.max").exists();
    }
    fs::read_dir(root).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.path().join("memory.swap.max").exists())
            || Path::new("/proc/swaps").exists()
    })
}

impl Cpuset {
    fn of_v2() -> Self {
        Self {
            cpus: read("/sys/fs/cgroup/cpuset.cpus.effective").trim().to_owned(),
            mems: read("/sys/fs/cgroup/cpuset.mems.effective").trim().to_owned(),
        }
    }

    fn of_v1() -> Self {
        Self {
            cpus: read("/sys/fs/cgroup/cpuset/cpuset.cpus").trim().to_owned(),
            mems: read("/sys/fs/cgroup/cpuset/cpuset.mems").trim().to_owned(),
        }
    }
}

/// Reads a list in the kernel's form (`0-3,7`); `None` when it is none.
pub fn parse_list(list: &str) -> Option<BTreeSet<u32>> {
    const MAX: u32 = 8192;
    let mut set = BTreeSet::new();
    for part in list.split(',').filter(|_| !list.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > MAX {
            return None;
        }
        set.extend(first..=last);
    }
    Some(set)
}

/// The file of a kernel parameter.
pub fn sysctl_path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name.replace('.', "/"))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn kernel_version(release: &str) -> (u32, u32) {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn memory_total(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn bounding_set(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap_or_default();
    let bits = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
    CAPABILITIES.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name).collect()
}

fn thermal_throttle() -> Vec<PathBuf> {
    let possible = parse_list(read("/sys/devices/system/cpu/possible").trim()).unwrap_or_default();
    let folder = |cpu| PathBuf::from(format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"));
    possible.into_iter().map(folder).filter(|path| path.exists()).collect()
}

#[cfg(test)]
impl Host {
    /// A host that offers everything, the same wherever tests run.
    pub(crate) fn example(cgroup_v2: bool) -> Self {
        let all = Limits {
            memory: true,
            swap: true,
            memory_reservation: true,
            oom_kill_disable: !cgroup_v2,
            swappiness: !cgroup_v2,
            kernel_memory: false,
            kernel_memory_tcp: false,
            cpu_shares: true,
            cpu_cfs: true,
            cpu_realtime: false,
            cpuset: true,
            pids: true,
            blkio_weight: true,
            blkio_weight_device: true,
            blkio_throttle: true,
        };
        Self {
            cgroup_v2,
            cpus: 4,
            memory: 8 << 30,
            limits: all,
            cpuset: Cpuset { cpus: "0-3".into(), mems: "0".into() },
            capabilities: CAPABILITIES.to_vec(),
            kernel: (6, 12),
            seccomp: true,
            apparmor: false,
            cgroup_namespaces: true,
            ipv4_forwarding: true,
            recursive_read_only: true,
            sysctls: WANTED_SYSCTLS.into(),
            thermal_throttle: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(parse_list("0-2,7"), Some([0, 1, 2, 7].into()));
        assert_eq!(parse_list(""), Some(BTreeSet::new()));
        for bad in ["2-1", "a", "1,", "0-999999", "-1"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn kernel_files_are_understood() {
        assert_eq!(kernel_version("6.18.44-fc-v669\n"), (6, 18));
        assert_eq!(memory_total("MemTotal:       16 kB\nMemFree: 1 kB\n"), 16384);
        assert_eq!(bounding_set("CapBnd:\t0000000000000021\n"), ["CAP_CHOWN", "CAP_KILL"]);
    }

    #[test]
    fn this_host_is_found() {
        let host = Host::discover();
        assert!(host.cpus > 0 && host.memory > 0 && host.kernel > (4, 0));
    }
}
