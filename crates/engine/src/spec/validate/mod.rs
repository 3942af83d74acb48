//! Judges what was asked for, in Docker's words, and fills in the defaults that `inspect` shows. One file per part of
//! the request; [`offered`] refuses what this version does not offer. Nothing is passed over in silence: what cannot
//! be honoured is an error, or a warning where Docker warns.

mod config;
mod host_config;
mod limits;
mod networking;
mod offered;

use boxship_api as api;

pub use offered::DEFAULT_RUNTIME;

use super::host::Host;
use crate::{EngineConfig, Result};

/// Judges a create request and fills in defaults (shm size, log driver, masked paths, OOM settings, cgroup
/// namespace …) the way Docker shows them in inspect. The host name is left to who makes the identifier.
/// Returns warnings. Kinds: `Invalid` mostly, with Docker's sentences.
pub fn validate(
    config: &mut api::container::Config,
    host_config: &mut api::container::HostConfig,
    engine: &EngineConfig,
    host: &Host,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    config::validate(config)?;
    host_config::normalize(host_config);
    networking::validate(config, host_config, &mut warnings)?;
    offered::storage(config, host_config, &mut warnings)?;
    offered::devices_and_runtime(host_config, engine)?;
    host_config::validate(config, host_config, host, &mut warnings)?;
    limits::validate(&mut host_config.resources, false, host, &mut warnings)?;
    host_config::fill(host_config, engine, host)?;
    Ok(warnings)
}

/// Judges the limits of an update (the same rules as create's). Returns warnings.
pub fn validate_update(update: &mut api::container::UpdateConfig, host: &Host) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    limits::validate(&mut update.resources, true, host, &mut warnings)?;
    host_config::restart_policy(&update.restart_policy)?;
    Ok(warnings)
}

#[cfg(test)]
mod tests;
