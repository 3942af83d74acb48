//! The host's part of a request: modes, restart policy, capabilities, security options, devices, kernel parameters,
//! log driver; and the defaults that Docker fills in.

use std::collections::BTreeMap;

use boxship_api::container::{Config, HostConfig, RestartPolicy};

use crate::spec::host::Host;
use crate::spec::{bind, capabilities, devices, process, seccomp, security, sysctl, tmpfs};
use crate::{EngineConfig, Error, Result};

/// Spellings that mean the same become one, before anything is judged.
pub fn normalize(host_config: &mut HostConfig) {
    if host_config.network_mode.is_default() {
        host_config.network_mode = "bridge".into();
    }
    if host_config.restart_policy.name.is_empty() {
        "no".clone_into(&mut host_config.restart_policy.name);
    }
    if host_config.resources.pids_limit.is_some_and(|limit| limit <= 0) {
        host_config.resources.pids_limit = None;
    }
    unconfine_system_paths(host_config);
}

/// `systempaths=unconfined` is another spelling of empty lists of masked and read-only paths.
fn unconfine_system_paths(host_config: &mut HostConfig) {
    let Some(options) = &mut host_config.security_opt else { return };
    let before = options.len();
    options.retain(|option| option != "systempaths=unconfined");
    if options.len() < before {
        host_config.masked_paths = Some(Vec::new());
        host_config.readonly_paths = Some(Vec::new());
    }
}

pub fn validate(
    config: &Config,
    host_config: &HostConfig,
    host: &Host,
    warnings: &mut Vec<String>,
) -> Result<()> {
    if host_config.auto_remove && host_config.restart_policy.name != "no" {
        return Err(Error::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    restart_policy(&host_config.restart_policy)?;
    modes(host_config, host)?;
    if host_config.uts_mode.is_host() && !config.hostname.is_empty() {
        return Err(Error::invalid("conflicting options: hostname and the UTS mode"));
    }
    rights(host_config, host, warnings)?;
    sysctl::validate(host_config)?;
    extra_hosts(host_config)?;
    for path in host_config.tmpfs.keys() {
        bind::target_path(path).map_err(Error::invalid)?;
    }
    for options in host_config.tmpfs.values() {
        tmpfs::merge(options)?;
    }
    paths(host_config)?;
    if host_config.annotations.contains_key("") {
        return Err(Error::invalid(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    Ok(())
}

pub fn restart_policy(policy: &RestartPolicy) -> Result<()> {
    let retries = policy.maximum_retry_count;
    match policy.name.as_str() {
        "" => Ok(()),
        "always" | "unless-stopped" | "no" if retries != 0 => {
            let negative = if retries < 0 { " and cannot be negative" } else { "" };
            Err(Error::invalid(format!(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}"
            )))
        }
        "on-failure" if retries < 0 => {
            Err(Error::invalid("invalid restart policy: maximum retry count cannot be negative"))
        }
        "always" | "unless-stopped" | "no" | "on-failure" => Ok(()),
        other => Err(Error::invalid(format!(
            "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        ))),
    }
}

fn modes(host_config: &HostConfig, host: &Host) -> Result<()> {
    let isolation = &host_config.isolation;
    for (valid, message) in [
        (isolation.is_default(), format!("invalid isolation ({isolation}): linux only supports 'default'")),
        (host_config.ipc_mode.is_valid(), format!("invalid IPC mode: {}", host_config.ipc_mode)),
        (host_config.pid_mode.is_valid(), format!("invalid PID mode: {}", host_config.pid_mode)),
        (host_config.uts_mode.is_valid(), format!("invalid UTS mode: {}", host_config.uts_mode)),
        (
            host_config.userns_mode.is_valid(),
            format!("invalid user namespace mode: {}", host_config.userns_mode),
        ),
        (
            host_config.cgroupns_mode.is_valid(),
            format!("invalid cgroup namespace mode: {}", host_config.cgroupns_mode),
        ),
        (host_config.shm_size >= 0, "SHM size can not be less than 0".to_owned()),
        (
            (-1000..=1000).contains(&host_config.oom_score_adj),
            format!("Invalid value {}, range for oom score adj is [-1000, 1000]", host_config.oom_score_adj),
        ),
        (
            !host_config.cgroupns_mode.is_private() || host.cgroup_namespaces,
            "cgroup namespaces are not supported by this kernel".to_owned(),
        ),
    ] {
        if !valid {
            return Err(Error::invalid(message));
        }
    }
    Ok(())
}

/// Capabilities, security options, devices, ulimits.
fn rights(host_config: &HostConfig, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    for (what, names) in [("CapAdd", &host_config.cap_add), ("CapDrop", &host_config.cap_drop)] {
        let names = names.as_ref().map(|names| names.0.as_slice()).unwrap_or_default();
        capabilities::normalize(names, host)
            .map_err(|error| Error::invalid(format!("invalid {what}: {error}")))?;
    }
    let options = security::parse(host_config.security_opt.as_deref().unwrap_or_default())?;
    warnings.extend(options.warnings(host));
    // A profile that cannot be read must be told at create, not at start.
    let target = seccomp::Target { host, capabilities: &[] };
    seccomp::filter(&options.seccomp, host_config.privileged, None, &target)?;
    for device in host_config.resources.devices.iter().flatten() {
        if device.path_on_host.is_empty() {
            return Err(Error::invalid("invalid device: the path on the host is empty"));
        }
        let inside = &device.path_in_container;
        if !inside.is_empty() {
            bind::target_path(inside)
                .map_err(|reason| Error::invalid(format!("invalid device: {reason}")))?;
        }
        let access = &device.cgroup_permissions;
        if !access.is_empty() && !devices::is_access(access) {
            return Err(Error::invalid(format!("invalid device mode: {access}")));
        }
    }
    for rule in host_config.resources.device_cgroup_rules.iter().flatten() {
        devices::parse_rule(rule)?;
    }
    host_config.resources.ulimits.iter().flatten().try_for_each(process::check_ulimit)
}

fn extra_hosts(host_config: &HostConfig) -> Result<()> {
    for line in host_config.extra_hosts.iter().flatten() {
        let (name, address) = line.split_once(':').unwrap_or_default();
        if name.is_empty() || name.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return Err(Error::invalid(format!("bad format for add-host: {line:?}")));
        }
        let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        if address != "host-gateway" && plain.parse::<std::net::IpAddr>().is_err() {
            return Err(Error::invalid(format!("invalid IP address in add-host: {address:?}")));
        }
    }
    Ok(())
}

fn paths(host_config: &HostConfig) -> Result<()> {
    let both = [&host_config.masked_paths, &host_config.readonly_paths];
    for path in both.into_iter().flatten().flatten() {
        bind::absolute(path).map_err(Error::invalid)?;
    }
    Ok(())
}

/// The defaults that Docker shows in inspect.
pub fn fill(host_config: &mut HostConfig, engine: &EngineConfig, host: &Host) -> Result<()> {
    if host_config.shm_size == 0 {
        host_config.shm_size = engine.default_shm_size;
    }
    if host_config.ipc_mode.is_empty() {
        host_config.ipc_mode = engine.default_ipc_mode.as_str().into();
    }
    if host_config.cgroupns_mode.is_empty() {
        host_config.cgroupns_mode = default_cgroupns(host_config.privileged, engine, host).into();
    }
    let limits = &mut host_config.resources;
    if limits.memory > 0 && limits.memory_swap == 0 {
        limits.memory_swap = limits.memory.saturating_mul(2);
    }
    if limits.oom_kill_disable.is_none() && host.limits.oom_kill_disable {
        limits.oom_kill_disable = Some(false);
    }
    if !host_config.privileged {
        host_config.masked_paths.get_or_insert_with(|| host.default_masked_paths());
        host_config.readonly_paths.get_or_insert_with(Host::default_readonly_paths);
    }
    unlabel(host_config);
    if host_config.runtime.is_empty() {
        super::offered::DEFAULT_RUNTIME.clone_into(&mut host_config.runtime);
    }
    log_config(host_config, engine)
}

fn default_cgroupns(privileged: bool, engine: &EngineConfig, host: &Host) -> &'static str {
    match engine.default_cgroupns_mode.as_str() {
        "private" if host.cgroup_v2 || !privileged => "private",
        "" if host.cgroup_v2 => "private",
        _ => "host",
    }
}

/// What shares the host's view is not labelled; Docker says so in inspect.
fn unlabel(host_config: &mut HostConfig) {
    let shares = host_config.privileged || host_config.ipc_mode.is_host() || host_config.pid_mode.is_host();
    let labelled = host_config.security_opt.iter().flatten().any(|option| option.starts_with("label"));
    if shares && !labelled {
        host_config.security_opt.get_or_insert_with(Vec::new).push("label=disable".to_owned());
    }
}

fn log_config(host_config: &mut HostConfig, engine: &EngineConfig) -> Result<()> {
    let log = &mut host_config.log_config;
    if log.driver.is_empty() {
        log.driver.clone_from(&engine.log_driver);
    }
    let options = log.config.get_or_insert_with(BTreeMap::new);
    if log.driver == engine.log_driver {
        for (name, value) in &engine.log_opts {
            options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    boxship_shim::log::validate_options(&log.driver, options.iter())
        .map_err(|error| Error::invalid(error.to_string()))
}
