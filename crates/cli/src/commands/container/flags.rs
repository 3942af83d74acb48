//! The flags that `run` and `create` share.

use crate::flags::{Flag, integer};
use crate::values::{cpus, device, duration, mount, names, network, size, ulimit};

/// All flags that describe a container.
pub const CONTAINER: &[Flag] = &[
    Flag::list("add-host", "Add a line to /etc/hosts (name:address)").check(names::check_extra_host),
    Flag::value("annotation", "map", "Give an annotation to the OCI runtime").default("map[]").many(),
    Flag::list("attach", "Attach to stdin, stdout or stderr").short('a').check(names::check_stream),
    Flag::value("blkio-weight", "uint16", "Weight of block I/O, 10 to 1000; 0 for none")
        .default("0")
        .check(weight),
    Flag::list("blkio-weight-device", "Weight of block I/O on a device").check(device::check_weight),
    Flag::list("cap-add", "Add capabilities"),
    Flag::list("cap-drop", "Take capabilities away"),
    Flag::value("cgroup-parent", "string", "Parent cgroup of the container"),
    Flag::value("cgroupns", "string", "Cgroup namespace: host or private"),
    Flag::value("cidfile", "string", "Write the container's id to this file"),
    Flag::value("cpu-count", "int", "Number of CPUs (Windows only)"),
    Flag::value("cpu-percent", "int", "Share of CPU (Windows only)"),
    Flag::value("cpu-period", "int", "CFS period in microseconds").check(integer),
    Flag::value("cpu-quota", "int", "CFS quota in microseconds").check(integer),
    Flag::value("cpu-rt-period", "int", "Real-time period in microseconds").check(integer),
    Flag::value("cpu-rt-runtime", "int", "Real-time budget in microseconds").check(integer),
    Flag::value("cpu-shares", "int", "Relative weight of CPU").short('c').check(integer),
    Flag::value("cpus", "decimal", "Number of CPUs").check(cpus::check),
    Flag::value("cpuset-cpus", "string", "CPUs to run on (0-3, 0,1)"),
    Flag::value("cpuset-mems", "string", "Memory nodes to use (0-3, 0,1)"),
    Flag::list("device", "Add a device of the host"),
    Flag::list("device-cgroup-rule", "Allow devices by a cgroup rule").check(device::check_rule),
    Flag::list("device-read-bps", "Limit reads from a device, in bytes a second")
        .check(device::check_bytes_rate),
    Flag::list("device-read-iops", "Limit reads from a device, in operations a second")
        .check(device::check_operations_rate),
    Flag::list("device-write-bps", "Limit writes to a device, in bytes a second")
        .check(device::check_bytes_rate),
    Flag::list("device-write-iops", "Limit writes to a device, in operations a second")
        .check(device::check_operations_rate),
    Flag::switch("disable-content-trust", "Skip image verification (there is none)").default("true"),
    Flag::list("dns", "Name servers of the container").check(names::check_address),
    Flag::list("dns-option", "Options of the resolver").alias("dns-opt"),
    Flag::list("dns-search", "Domains to search").check(names::check_domain),
    Flag::value("domainname", "string", "NIS domain name"),
    Flag::value("entrypoint", "string", "Run this instead of the image's entrypoint"),
    Flag::list("env", "Set environment variables").check(names::check_env).short('e'),
    Flag::list("env-file", "Read environment variables from a file"),
    Flag::list("expose", "Declare a port or a range of ports"),
    Flag::value("gpus", "gpu-request", "GPUs of the container"),
    Flag::list("group-add", "Join further groups"),
    Flag::value("health-cmd", "string", "Command that checks the container's health"),
    Flag::value("health-interval", "duration", "Time between two checks")
        .default("0s")
        .check(duration::check),
    Flag::value("health-retries", "int", "Failures until the container is unhealthy").check(integer),
    Flag::value("health-start-interval", "duration", "Time between two checks while it starts")
        .default("0s")
        .check(duration::check),
    Flag::value("health-start-period", "duration", "Time it has to start")
        .default("0s")
        .check(duration::check),
    Flag::value("health-timeout", "duration", "Longest time of a check").default("0s").check(duration::check),
    Flag::value("hostname", "string", "Host name").short('h'),
    Flag::switch("init", "Run an init as process 1 that passes signals on and reaps processes"),
    Flag::switch("interactive", "Keep stdin open, attached or not").short('i'),
    Flag::value("io-maxbandwidth", "bytes", "Limit of I/O bandwidth (Windows only)"),
    Flag::value("io-maxiops", "uint", "Limit of I/O operations (Windows only)"),
    Flag::value("ip", "string", "IPv4 address"),
    Flag::value("ip6", "string", "IPv6 address"),
    Flag::value("ipc", "string", "IPC namespace"),
    Flag::value("isolation", "string", "Isolation technology"),
    Flag::value("kernel-memory", "bytes", "Limit of kernel memory").check(size::check),
    Flag::list("label", "Set labels").check(names::check_label).short('l'),
    Flag::list("label-file", "Read labels from a file"),
    Flag::list("link", "Reach another container by its name or an alias (container:alias)")
        .check(network::check_link),
    Flag::list("link-local-ip", "Link-local addresses"),
    Flag::value("log-driver", "string", "Where the log goes: json-file, local or none"),
    Flag::list("log-opt", "Options of the log"),
    Flag::value("mac-address", "string", "MAC address"),
    Flag::value("memory", "bytes", "Limit of memory").short('m').check(size::check),
    Flag::value("memory-reservation", "bytes", "Soft limit of memory").check(size::check),
    Flag::value("memory-swap", "bytes", "Limit of memory and swap together; -1 for no limit")
        .check(size::check_swap),
    Flag::value("memory-swappiness", "int", "How readily memory is swapped, 0 to 100")
        .default("-1")
        .check(integer),
    Flag::list("mount", "Attach a file system").of("mount").check(mount::check),
    Flag::value("name", "string", "Name of the container"),
    Flag::list("network", "Network: a name, bridge, none, host or container:NAME; several are allowed")
        .check(network::check)
        .of("network")
        .alias("net"),
    Flag::list("network-alias", "Name of the container in the network").alias("net-alias"),
    Flag::switch("no-healthcheck", "Ignore the image's health check"),
    Flag::switch("oom-kill-disable", "Don't kill when memory runs out"),
    Flag::value("oom-score-adj", "int", "How readily the host kills it, -1000 to 1000").check(integer),
    Flag::value("pid", "string", "PID namespace"),
    Flag::value("pids-limit", "int", "Limit of processes; -1 for none").check(integer),
    Flag::value("platform", "string", "Platform of the image"),
    Flag::switch("privileged", "Give it all rights of the host"),
    Flag::list("publish", "Publish a port to the host ([[address:]port:]port[/protocol])").short('p'),
    Flag::switch("publish-all", "Publish all exposed ports, each to a port that is free").short('P'),
    Flag::value("pull", "string", "When to pull the image: always, missing or never").default("missing"),
    Flag::switch("quiet", "Don't show the pull's progress").short('q'),
    Flag::switch("read-only", "Mount the root read-only"),
    Flag::value("restart", "string", "What to do when it exits: no, on-failure[:n], always, unless-stopped")
        .default("no"),
    Flag::switch("rm", "Remove the container when it exits"),
    Flag::value("runtime", "string", "Runtime of the container"),
    Flag::list("security-opt", "Security options"),
    Flag::value("shm-size", "bytes", "Size of /dev/shm").check(size::check),
    Flag::value("stop-signal", "string", "Signal that asks it to stop"),
    Flag::value("stop-timeout", "int", "Seconds until it is killed after being asked to stop").check(integer),
    Flag::list("storage-opt", "Options of the storage"),
    Flag::value("sysctl", "map", "Kernel parameters").default("map[]").many().check(names::check_sysctl),
    Flag::list("tmpfs", "Mount a tmpfs"),
    Flag::switch("tty", "Give it a terminal").short('t'),
    Flag::list("ulimit", "Resource limits").of("ulimit").check(ulimit::check),
    Flag::switch("use-api-socket", "Mount the API's socket"),
    Flag::value("user", "string", "User and group: name or id, [:group]").short('u'),
    Flag::value("userns", "string", "User namespace"),
    Flag::value("uts", "string", "UTS namespace"),
    Flag::list("volume", "Bind-mount a file or folder of the host").short('v'),
    Flag::value("volume-driver", "string", "Driver of volumes"),
    Flag::list("volumes-from", "Mount the volumes of other containers"),
    Flag::value("workdir", "string", "Working folder").short('w'),
];

fn weight(text: &str) -> Result<(), String> {
    text.parse::<u16>().map(drop).map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow => {
            format!("strconv.ParseUint: parsing {text:?}: value out of range")
        }
        _ => format!("strconv.ParseUint: parsing {text:?}: invalid syntax"),
    })
}
