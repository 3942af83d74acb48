//! From the flags of `run` and `create` to the API's request. Pure but for the files that flags name.

use std::collections::{BTreeMap, BTreeSet};

use boxship_api::container::{Config, CreateRequest, HostConfig, LogConfig, Resources, Ulimit};
use boxship_api::network::NetworkingConfig;
use boxship_api::port::{PortMap, PortSet};
use boxship_api::{Empty, StrSlice};

use super::endpoints;
use crate::flags::Parsed;
use crate::values::{
    cpus, device, environment, health, mount, names, pairs, port, refused, restart, security, size, ulimit,
};

/// Paths that `--security-opt systempaths=unconfined` leaves open: the lists are sent empty.
const NO_PATHS: Option<Vec<String>> = Some(Vec::new());

/// The request, and which streams the command attaches to.
pub fn build(parsed: &Parsed) -> Result<CreateRequest, String> {
    refuse_unsupported(parsed)?;
    if parsed.on("rm") && parsed.text("restart").is_some_and(|policy| !policy.is_empty() && policy != "no") {
        return Err("conflicting options: cannot specify both --restart and --rm".into());
    }
    let (exposed, published) = port::ports(&parsed.list("publish"), &parsed.list("expose"))?;
    let config = config(parsed, exposed)?;
    let mut host_config = host_config(parsed, published)?;
    let (mode, endpoints) = endpoints::read(parsed)?;
    host_config.network_mode = mode.as_str().into();
    Ok(CreateRequest {
        config,
        host_config: Some(host_config),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(endpoints) }),
    })
}

fn refuse_unsupported(parsed: &Parsed) -> Result<(), String> {
    if !parsed.on_or("disable-content-trust", true) {
        return Err("--disable-content-trust=false: there is no content trust".into());
    }
    match refused::REFUSED.iter().find(|(flag, _)| parsed.given(flag)) {
        Some((flag, why)) => Err(format!("--{flag}: {why}")),
        None => Ok(()),
    }
}

fn config(parsed: &Parsed, exposed_ports: PortSet) -> Result<Config, String> {
    let attach: Vec<String> = parsed.list("attach").iter().map(|stream| stream.to_lowercase()).collect();
    let all = attach.is_empty() && !parsed.on("detach");
    let wants = |stream: &str| attach.iter().any(|one| one == stream);
    let attach_stdin = wants("stdin") || parsed.on("interactive") && !parsed.on("detach");
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
        exposed_ports,
        tty: parsed.on("tty"),
        open_stdin: parsed.on("interactive"),
        stdin_once: parsed.on("interactive") && attach_stdin,
        env: some(env),
        cmd: (!command.is_empty()).then(|| StrSlice(command.to_vec())),
        healthcheck: health::check(parsed)?,
        image: parsed.operand(0).to_string(),
        volumes: Some(volumes(&parsed.list("volume"))?.1),
        working_dir: text(parsed, "workdir"),
        // An empty entrypoint is sent as [""]: it takes the image's away.
        entrypoint: entrypoint.map(|program| StrSlice(vec![program.to_string()])),
        labels: Some(pairs::map(&labels)),
        stop_signal: text(parsed, "stop-signal"),
        stop_timeout: parsed.number("stop-timeout"),
        ..Config::default()
    })
}

fn host_config(parsed: &Parsed, published: PortMap) -> Result<HostConfig, String> {
    let (security_opt, unconfined_paths) = security::options(&parsed.list("security-opt"))?;
    let security_opt = parsed.given("security-opt").then_some(security_opt);
    let paths = if unconfined_paths { NO_PATHS } else { None };
    Ok(HostConfig {
        binds: some(volumes(&parsed.list("volume"))?.0),
        container_id_file: text(parsed, "cidfile"),
        log_config: log_config(parsed)?,
        port_bindings: Some(published),
        restart_policy: restart::parse(parsed.text("restart").unwrap_or("no"))?,
        auto_remove: parsed.on("rm"),
        annotations: pairs::map(&parsed.list("annotation")),
        cap_add: some(capabilities(&parsed.list("cap-add"))).map(StrSlice),
        cap_drop: some(capabilities(&parsed.list("cap-drop"))).map(StrSlice),
        cgroupns_mode: mode(parsed, "cgroupns", &["", "host", "private"])?.as_str().into(),
        dns: Some(each(parsed, "dns", names::address)?),
        dns_options: Some(parsed.list("dns-option")),
        dns_search: Some(each(parsed, "dns-search", names::domain)?),
        extra_hosts: some(each(parsed, "add-host", names::extra_host)?),
        group_add: some(parsed.list("group-add")),
        ipc_mode: text(parsed, "ipc").as_str().into(),
        oom_score_adj: parsed.number("oom-score-adj").unwrap_or(0),
        pid_mode: pid_mode(parsed)?.as_str().into(),
        links: some(parsed.list("link")),
        privileged: parsed.on("privileged"),
        publish_all_ports: parsed.on("publish-all"),
        readonly_rootfs: parsed.on("read-only"),
        security_opt,
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
    let limits = ulimits(&parsed.list("ulimit"));
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
        {
            let kind = name.trim_end_matches("ns").to_uppercase();
            Err(format!("--{name}: invalid {kind} mode"))
        }
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

/// What `-v` asks for: binds as they are sent, and paths in the container alone.
type Volumes = (Vec<String>, BTreeMap<String, Empty>);

/// Reads every `-v`. A relative source that begins with a dot is below the client's folder.
fn volumes(given: &[String]) -> Result<Volumes, String> {
    let mut volumes = Volumes::default();
    for text in given {
        match mount::volume_flag(text)? {
            mount::Volume::Bind(bind) => volumes.0.push(bind),
            mount::Volume::Anonymous(path) => drop(volumes.1.insert(path, Empty)),
        }
    }
    Ok(volumes)
}

/// The values of a list, each read.
fn each<T>(parsed: &Parsed, name: &str, read: fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    parsed.list(name).iter().map(|text| read(text)).collect()
}

fn tmpfs(given: &[String]) -> BTreeMap<String, String> {
    given
        .iter()
        .map(|one| one.split_once(':').unwrap_or((one, "")))
        .map(|(p, o)| (p.into(), o.into()))
        .collect()
}

/// `NET_ADMIN` and `cap_net_admin` are sent as `CAP_NET_ADMIN`, each once, sorted.
fn capabilities(given: &[String]) -> Vec<String> {
    let full = |name: &String| {
        let name = name.trim().to_uppercase();
        if name == "ALL" || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
    };
    given.iter().map(full).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Limits by name: the last one of a name counts.
fn ulimits(given: &[String]) -> Result<Vec<Ulimit>, String> {
    let read = |text: &String| ulimit::parse(text).map(|limit| (limit.name.clone(), limit));
    let limits: BTreeMap<String, Ulimit> = given.iter().map(read).collect::<Result<_, _>>()?;
    Ok(limits.into_values().collect())
}
