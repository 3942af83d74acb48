//! From the flags of `run` and `create` to the API's request. Pure but for the files that flags name.

use std::collections::BTreeMap;

use boxship_api::container::{Config, CreateRequest, HealthConfig, HostConfig, LogConfig, Resources};
use boxship_api::network::{EndpointSettings, NetworkingConfig};
use boxship_api::{Empty, StrSlice};

use crate::flags::Parsed;
use crate::values::{cpus, device, environment, mount, pairs, refused, restart, security, size, ulimit};

/// Paths that `--security-opt systempaths=unconfined` leaves open: the lists are sent empty.
const NO_PATHS: Option<Vec<String>> = Some(Vec::new());

/// The request, and which streams the command attaches to.
pub fn build(parsed: &Parsed) -> Result<CreateRequest, String> {
    refuse_unsupported(parsed)?;
    if parsed.on("rm") && parsed.text("restart").is_some_and(|policy| !policy.is_empty() && policy != "no") {
        return Err("conflicting options: cannot specify both --restart and --rm".into());
    }
    let config = config(parsed)?;
    let host_config = host_config(parsed)?;
    // A network that was named and has no options of its own needs no endpoint.
    let endpoints = match parsed.given("network") {
        true => BTreeMap::new(),
        false => BTreeMap::from([("default".to_string(), Some(EndpointSettings::default()))]),
    };
    Ok(CreateRequest {
        config,
        host_config: Some(host_config),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(endpoints),
            ..NetworkingConfig::default()
        }),
    })
}

fn refuse_unsupported(parsed: &Parsed) -> Result<(), String> {
    match refused::REFUSED.iter().find(|(flag, _)| parsed.given(flag)) {
        Some((flag, why)) => Err(format!("--{flag}: {why}")),
        None => Ok(()),
    }
}

fn config(parsed: &Parsed) -> Result<Config, String> {
    let attach: Vec<String> = parsed.list("attach").iter().map(|stream| stream.to_lowercase()).collect();
    let all = attach.is_empty() && !parsed.on("detach");
    let wants = |stream: &str| attach.iter().any(|one| one == stream);
    let attach_stdin = wants("stdin") || all && parsed.on("interactive");
    let (command, entrypoint) = (&parsed.operands[1..], parsed.text("entrypoint"));
    let labels = environment::labels(&parsed.list("label-file"), &parsed.list("label"))?;
    let env = environment::variables(&parsed.list("env-file"), &parsed.list("env"))?;
    Ok(Config {
        hostname: text(parsed, "hostname"),
        domainname: text(parsed, "domainname"),
        user: text(parsed, "user"),
        attach_stdin,
        attach_stdout: wants("stdout") || all,
        attach_stderr: wants("stderr") || all,
        exposed_ports: exposed(&parsed.list("expose"))?,
        tty: parsed.on("tty"),
        open_stdin: parsed.on("interactive"),
        stdin_once: parsed.on("interactive") && attach_stdin,
        env: some(env),
        cmd: (!command.is_empty()).then(|| StrSlice(command.to_vec())),
        healthcheck: parsed
            .on("no-healthcheck")
            .then(|| HealthConfig { test: vec!["NONE".into()], ..HealthConfig::default() }),
        image: parsed.operand(0).to_string(),
        volumes: Some(volumes(&parsed.list("volume"))),
        working_dir: text(parsed, "workdir"),
        // An empty entrypoint is sent as [""]: it takes the image's away.
        entrypoint: entrypoint.map(|program| StrSlice(vec![program.to_string()])),
        labels: Some(pairs::map(&labels)),
        stop_signal: text(parsed, "stop-signal"),
        stop_timeout: parsed.number("stop-timeout"),
        ..Config::default()
    })
}

fn host_config(parsed: &Parsed) -> Result<HostConfig, String> {
    let (security_opt, unconfined_paths) = security::options(&parsed.list("security-opt"))?;
    let paths = if unconfined_paths { NO_PATHS } else { None };
    let networks = parsed.list("network");
    if networks.len() > 1 {
        return Err("--network: several networks are not supported in this version".into());
    }
    Ok(HostConfig {
        binds: some(binds(&parsed.list("volume"))),
        container_id_file: text(parsed, "cidfile"),
        log_config: log_config(parsed)?,
        network_mode: networks
            .first()
            .filter(|name| !name.is_empty())
            .map_or("default", String::as_str)
            .into(),
        port_bindings: Some(BTreeMap::new()),
        restart_policy: restart::parse(parsed.text("restart").unwrap_or("no"))?,
        auto_remove: parsed.on("rm"),
        annotations: pairs::map(&parsed.list("annotation")),
        cap_add: some(parsed.list("cap-add")).map(StrSlice),
        cap_drop: some(parsed.list("cap-drop")).map(StrSlice),
        cgroupns_mode: mode(parsed, "cgroupns", &["", "host", "private"])?.as_str().into(),
        dns: Some(parsed.list("dns")),
        dns_options: Some(parsed.list("dns-option")),
        dns_search: Some(parsed.list("dns-search")),
        extra_hosts: some(extra_hosts(&parsed.list("add-host"))?),
        group_add: some(parsed.list("group-add")),
        ipc_mode: text(parsed, "ipc").as_str().into(),
        oom_score_adj: parsed.number("oom-score-adj").unwrap_or(0),
        pid_mode: pid_mode(parsed)?.as_str().into(),
        privileged: parsed.on("privileged"),
        readonly_rootfs: parsed.on("read-only"),
        security_opt: some(security_opt),
        tmpfs: tmpfs(&parsed.list("tmpfs")),
        uts_mode: mode(parsed, "uts", &["", "host"])?.as_str().into(),
        userns_mode: mode(parsed, "userns", &["", "host"])?.as_str().into(),
        shm_size: bytes(parsed, "shm-size")?,
        sysctls: pairs::map(&parsed.list("sysctl")),
        runtime: text(parsed, "runtime"),
        isolation: text(parsed, "isolation").as_str().into(),
        resources: resources(parsed)?,
        mounts: parsed.list("mount").iter().map(|text| mount::parse(text)).collect::<Result<_, _>>()?,
        masked_paths: paths.clone(),
        readonly_paths: paths,
        init: parsed.given("init").then(|| parsed.on("init")),
        ..HostConfig::default()
    })
}

/// The limits, which `update` shares.
pub fn resources(parsed: &Parsed) -> Result<Resources, String> {
    let each = |name: &str| parsed.list(name);
    let rates = |name: &str, read: fn(&str) -> _| {
        each(name).iter().map(|text| read(text)).collect::<Result<Vec<_>, String>>()
    };
    let devices: Result<Vec<_>, _> = each("device").iter().map(|text| device::mapping(text)).collect();
    let weights: Result<Vec<_>, _> =
        each("blkio-weight-device").iter().map(|text| device::weight(text)).collect();
    let limits: Result<Vec<_>, _> = each("ulimit").iter().map(|text| ulimit::parse(text)).collect();
    let swappiness = parsed.number("memory-swappiness").unwrap_or(-1);
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    Ok(Resources {
        cpu_shares: parsed.number("cpu-shares").unwrap_or(0),
        memory: bytes(parsed, "memory")?,
        nano_cpus: parsed.filled("cpus").map_or(Ok(0), |text| cpus::parse(&text))?,
        cgroup_parent: text(parsed, "cgroup-parent"),
        blkio_weight: parsed.number("blkio-weight").unwrap_or(0) as u16,
        blkio_weight_device: Some(weights?),
        blkio_device_read_bps: Some(rates("device-read-bps", device::bytes_rate)?),
        blkio_device_write_bps: Some(rates("device-write-bps", device::bytes_rate)?),
        blkio_device_read_iops: Some(rates("device-read-iops", device::operations_rate)?),
        blkio_device_write_iops: Some(rates("device-write-iops", device::operations_rate)?),
        cpu_period: parsed.number("cpu-period").unwrap_or(0),
        cpu_quota: parsed.number("cpu-quota").unwrap_or(0),
        cpu_realtime_period: parsed.number("cpu-rt-period").unwrap_or(0),
        cpu_realtime_runtime: parsed.number("cpu-rt-runtime").unwrap_or(0),
        cpuset_cpus: text(parsed, "cpuset-cpus"),
        cpuset_mems: text(parsed, "cpuset-mems"),
        devices: Some(devices?),
        device_cgroup_rules: some(each("device-cgroup-rule")),
        kernel_memory: bytes(parsed, "kernel-memory")?,
        memory_reservation: bytes(parsed, "memory-reservation")?,
        memory_swap: parsed.filled("memory-swap").map_or(Ok(0), |text| size::parse_swap(&text))?,
        memory_swappiness: Some(swappiness),
        oom_kill_disable: Some(parsed.on("oom-kill-disable")),
        pids_limit: Some(parsed.number("pids-limit").unwrap_or(0)),
        ulimits: Some(limits?),
        ..Resources::default()
    })
}

fn text(parsed: &Parsed, name: &str) -> String {
    parsed.text(name).unwrap_or_default().to_string()
}

fn bytes(parsed: &Parsed, name: &str) -> Result<i64, String> {
    parsed.filled(name).map_or(Ok(0), |text| size::parse(&text))
}

/// Go's nil slice: `null` when nothing was given.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}

fn mode(parsed: &Parsed, name: &str, allowed: &[&str]) -> Result<String, String> {
    let given = text(parsed, name);
    if allowed.contains(&given.as_str()) {
        Ok(given)
    } else {
        Err(format!("--{name}: invalid {} mode", name.to_uppercase()))
    }
}

fn pid_mode(parsed: &Parsed) -> Result<String, String> {
    let given = text(parsed, "pid");
    let named = given.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    if given.is_empty() || given == "host" || named {
        Ok(given)
    } else {
        Err("--pid: invalid PID mode".into())
    }
}

fn log_config(parsed: &Parsed) -> Result<LogConfig, String> {
    let driver = text(parsed, "log-driver");
    let options = parsed.list("log-opt");
    if driver == "none" && !options.is_empty() {
        return Err(format!("invalid logging opts for driver {driver}"));
    }
    Ok(LogConfig { driver, config: Some(pairs::map(&options)) })
}

/// `-v` with a colon is a bind; a source that begins with a dot is below the client's folder.
fn binds(volumes: &[String]) -> Vec<String> {
    let pairs = volumes.iter().filter_map(|volume| volume.split_once(':'));
    pairs.map(|(source, rest)| format!("{}:{rest}", mount::absolute(source))).collect()
}

/// `-v` without a colon asks for an anonymous volume.
fn volumes(volumes: &[String]) -> BTreeMap<String, Empty> {
    volumes.iter().filter(|volume| !volume.contains(':')).map(|volume| (volume.clone(), Empty)).collect()
}

fn tmpfs(given: &[String]) -> BTreeMap<String, String> {
    given
        .iter()
        .map(|one| one.split_once(':').unwrap_or((one, "")))
        .map(|(p, o)| (p.into(), o.into()))
        .collect()
}

/// `name:address` or `name=address`; an IPv6 address may stand in brackets.
fn extra_hosts(given: &[String]) -> Result<Vec<String>, String> {
    let read = |line: &String| {
        let (name, address) = line.split_once('=').or_else(|| line.split_once(':'))?;
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let fine = bare == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok();
        (!name.is_empty()).then(|| if fine { Ok(format!("{name}:{bare}")) } else { Err(bare.to_string()) })
    };
    given
        .iter()
        .map(|line| match read(line) {
            Some(Ok(host)) => Ok(host),
            Some(Err(address)) => Err(format!("invalid IP address in add-host: {address:?}")),
            None => Err(format!("bad format for add-host: {line:?}")),
        })
        .collect()
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn exposed(given: &[String]) -> Result<BTreeMap<String, Empty>, String> {
    let mut ports = BTreeMap::new();
    for one in given {
        let wrong = || format!("invalid range format for --expose: {one}");
        let (range, protocol) = one.split_once('/').unwrap_or((one, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u16, u16) =
            (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if first > last || !["tcp", "udp", "sctp"].contains(&protocol.to_lowercase().as_str()) {
            return Err(wrong());
        }
        ports.extend((first..=last).map(|port| (format!("{port}/{}", protocol.to_lowercase()), Empty)));
    }
    Ok(ports)
}
