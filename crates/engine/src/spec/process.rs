//! The process of a container and of an exec. Users and groups stay names: the runtime resolves them inside the
//! container. Pure.

use std::path::PathBuf;

use boxship_api as api;
use boxship_oci::runtime::{Capabilities, ConsoleSize, Process, Rlimit, Spec, User};

use super::host::Host;
use super::security::SecurityOptions;
use super::{Inputs, capabilities, env, merge, mounts};
use crate::{Error, Result};

/// Whether init runs first: asked for, and the container has a PID namespace of its own.
pub fn wants_init(inputs: &Inputs<'_>) -> bool {
    let mode = &inputs.host_config.pid_mode;
    let own = !mode.is_host() && mode.container().is_none();
    own && inputs.host_config.init.unwrap_or(inputs.engine.init)
}

/// The process of a container.
pub fn of_container(inputs: &Inputs<'_>, security: &SecurityOptions, caps: &[String]) -> Result<Process> {
    let (config, host_config) = (inputs.config, inputs.host_config);
    let command = merge::command_line(config);
    if command.is_empty() {
        return Err(Error::invalid("no command specified"));
    }
    let prefix: &[&str] = if wants_init(inputs) { &[mounts::INIT_PATH, "--"] } else { &[] };
    Ok(Process {
        terminal: config.tty,
        console_size: console_size(config.tty, Some(host_config.console_size)),
        user: user(&config.user, host_config),
        args: prefix.iter().map(|&word| word.to_owned()).chain(command).collect(),
        env: environment(inputs),
        cwd: folder(&config.working_dir),
        capabilities: Some(capability_sets(caps)),
        rlimits: rlimits(inputs)?,
        no_new_privileges: security.no_new_privileges.unwrap_or(inputs.engine.no_new_privileges),
        apparmor_profile: security.apparmor_profile(inputs.host),
        oom_score_adj: i32::try_from(host_config.oom_score_adj).ok(),
        ..Process::default()
    })
}

/// Defaults, what links tell, what was asked for.
fn environment(inputs: &Inputs<'_>) -> Vec<String> {
    let config = inputs.config;
    let asked = config.env.as_deref().unwrap_or_default();
    let own = [inputs.link_variables.as_slice(), asked].concat();
    env::environment(&config.hostname, config.tty, &own)
}

/// The process of an exec in a container whose specification was `spec`.
pub fn exec_process(
    spec: &Spec,
    config: &api::container::Config,
    host_config: &api::container::HostConfig,
    exec: &api::exec::ExecCreateRequest,
    host: &Host,
) -> Result<Process> {
    let container = spec.process.clone().unwrap_or_default();
    let command = exec.cmd.clone().unwrap_or_default();
    if command.is_empty() {
        return Err(Error::invalid("No exec command specified"));
    }
    let base = env::environment(&config.hostname, exec.tty, config.env.as_deref().unwrap_or_default());
    let directory = if exec.working_dir.is_empty() { &config.working_dir } else { &exec.working_dir };
    let capabilities = if exec.privileged {
        Some(capability_sets(&capabilities::resolve(&[], &[], true, host)?))
    } else {
        container.capabilities.clone()
    };
    Ok(Process {
        terminal: exec.tty,
        console_size: console_size(exec.tty, exec.console_size),
        user: if exec.user.is_empty() { container.user.clone() } else { user(&exec.user, host_config) },
        args: command,
        env: env::overlay(base, exec.env.as_deref().unwrap_or_default()),
        cwd: folder(directory),
        capabilities,
        ..container
    })
}

/// `user[:group]` as it was given. Nothing given is user 0, looked up like any other for its groups and home.
fn user(asked: &str, host_config: &api::container::HostConfig) -> User {
    let asked = if asked.is_empty() { "0" } else { asked };
    User {
        username: Some(asked.to_owned()),
        additional_groups: host_config.group_add.clone().unwrap_or_default(),
        ..User::default()
    }
}

fn folder(directory: &str) -> PathBuf {
    if directory.is_empty() { "/".into() } else { directory.into() }
}

fn console_size(tty: bool, size: Option<[u32; 2]>) -> Option<ConsoleSize> {
    let [height, width] = size.filter(|size| tty && *size != [0, 0])?;
    Some(ConsoleSize { height, width })
}

fn capability_sets(caps: &[String]) -> Capabilities {
    Capabilities {
        bounding: caps.to_vec(),
        effective: caps.to_vec(),
        permitted: caps.to_vec(),
        ..Capabilities::default()
    }
}

/// The names of `setrlimit` that Docker takes.
const RLIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Judges a limit of `setrlimit` in Docker's words.
pub fn check_ulimit(limit: &api::container::Ulimit) -> Result<()> {
    if !RLIMITS.contains(&&*limit.name.to_lowercase()) {
        return Err(Error::invalid(format!("invalid ulimit type: {}", limit.name)));
    }
    if limit.hard != -1 && (limit.soft == -1 || limit.soft > limit.hard) {
        return Err(Error::invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {} > {}",
            limit.soft, limit.hard
        )));
    }
    Ok(())
}

/// The container's limits, and the daemon's for those it does not name.
fn rlimits(inputs: &Inputs<'_>) -> Result<Vec<Rlimit>> {
    let own = inputs.host_config.resources.ulimits.as_deref().unwrap_or_default();
    let named = |name: &str| own.iter().any(|limit| limit.name == name);
    let defaults = inputs.engine.default_ulimits.values().filter(|limit| !named(&limit.name));
    own.iter().chain(defaults).map(rlimit).collect()
}

fn rlimit(limit: &api::container::Ulimit) -> Result<Rlimit> {
    check_ulimit(limit)?;
    // -1 is RLIM_INFINITY.
    Ok(Rlimit {
        kind: format!("RLIMIT_{}", limit.name.to_uppercase()),
        hard: limit.hard as u64,
        soft: limit.soft as u64,
    })
}
