//! The portable part of a request: working directory, stop signal, environment, health check, names.

use boxship_api::container::{Config, HealthConfig};

use crate::spec::bind;
use crate::{Error, Result};

/// The longest name that sethostname(2) and setdomainname(2) take.
const MAX_HOST_NAME: usize = 64;

pub fn validate(config: &mut Config) -> Result<()> {
    if !config.working_dir.is_empty() {
        if !config.working_dir.starts_with('/') {
            return Err(Error::invalid(format!(
                "the working directory '{}' is invalid, it needs to be an absolute path",
                config.working_dir
            )));
        }
        config.working_dir = bind::clean(&config.working_dir);
    }
    if !config.stop_signal.is_empty() && boxship_sys::signal::Signal::parse(&config.stop_signal).is_none() {
        return Err(Error::invalid(format!("invalid signal: {}", config.stop_signal)));
    }
    names(config)?;
    environment(config)?;
    ports(config)?;
    health(config.healthcheck.as_ref())
}

fn names(config: &Config) -> Result<()> {
    for (what, name) in [("hostname", &config.hostname), ("domainname", &config.domainname)] {
        let fits = name.len() <= MAX_HOST_NAME;
        if !fits || name.bytes().any(|b| b.is_ascii_control() || b == b' ' || b == b'/') {
            return Err(Error::invalid(format!("invalid {what}: {name:?}")));
        }
    }
    Ok(())
}

fn environment(config: &Config) -> Result<()> {
    for entry in config.env.iter().flatten() {
        if entry.is_empty() || entry.starts_with('=') || entry.contains('\0') {
            return Err(Error::invalid(format!("invalid environment variable: {entry}")));
        }
    }
    let words = [&config.cmd, &config.entrypoint].into_iter().flatten().flat_map(|list| list.iter());
    if words.into_iter().any(|word| word.contains('\0')) {
        return Err(Error::invalid("invalid command: a zero byte cannot be part of an argument"));
    }
    Ok(())
}

/// Exposed ports are told in inspect only, but they must be ports: `80`, `80/tcp`, `80-90/udp`.
fn ports(config: &Config) -> Result<()> {
    for port in config.exposed_ports.keys() {
        if !is_port(port) {
            return Err(Error::invalid(format!("invalid port specification: {port:?}")));
        }
    }
    Ok(())
}

/// Whether a text is a port or range with an optional protocol.
pub fn is_port(text: &str) -> bool {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok();
    let ordered = number(first).zip(number(last)).is_some_and(|(first, last)| first <= last);
    ordered && matches!(protocol.to_lowercase().as_str(), "tcp" | "udp" | "sctp")
}

fn health(check: Option<&HealthConfig>) -> Result<()> {
    const MILLISECOND: i64 = 1_000_000;
    let Some(check) = check else { return Ok(()) };
    for (name, duration) in
        [("Interval", check.interval), ("Timeout", check.timeout), ("StartPeriod", check.start_period)]
    {
        if duration != 0 && duration < MILLISECOND {
            return Err(Error::invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if check.start_interval != 0 && check.start_interval < MILLISECOND {
        return Err(Error::invalid("StartInterval in Healthcheck cannot be less than 1ms"));
    }
    if check.retries < 0 {
        return Err(Error::invalid("Retries in Healthcheck cannot be negative"));
    }
    match check.test.first().map(String::as_str) {
        None | Some("NONE" | "CMD" | "CMD-SHELL") => Ok(()),
        Some(kind) => Err(Error::invalid(format!("Unknown healthcheck type {kind:?} (expected 'CMD')"))),
    }
}
