//! What this version does not offer, said clearly at create: volumes, GPUs, other runtimes.

use boxship_api::container::{Config, HostConfig};

use crate::spec::bind;
use crate::{EngineConfig, Error, Result};

/// The name under which `inspect` shows the built-in runtime: clients (docker-py among them) look for it.
pub const DEFAULT_RUNTIME: &str = "runc";
/// Names that all mean the built-in runtime.
const RUNTIMES: [&str; 4] = [DEFAULT_RUNTIME, "boxship", "boxship-runtime", "io.containerd.runc.v2"];

pub fn storage(config: &Config, host_config: &HostConfig, warnings: &mut Vec<String>) -> Result<()> {
    if !host_config.volume_driver.is_empty() {
        return Err(bind::no_volumes("a volume of the driver", &host_config.volume_driver));
    }
    if let Some(from) = host_config.volumes_from.iter().flatten().next() {
        return Err(bind::no_volumes("volumes of the container", from));
    }
    if !host_config.storage_opt.is_empty() {
        return Err(Error::invalid(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ));
    }
    for path in config.volumes.iter().flatten().map(|(path, _)| path) {
        let destination = bind::target_path(path).map_err(Error::invalid)?;
        warnings.push(format!(
            "Volumes are not supported by this version: what is written to {destination} stays in the container."
        ));
    }
    Ok(())
}

pub fn devices_and_runtime(host_config: &HostConfig, engine: &EngineConfig) -> Result<()> {
    if let Some(request) = host_config.resources.device_requests.iter().flatten().next() {
        let lists = request.capabilities.iter().flatten().map(|list| format!("[{}]", list.join(" ")));
        return Err(Error::invalid(format!(
            "could not select device driver {:?} with capabilities: [{}]",
            request.driver,
            lists.collect::<Vec<_>>().join(" ")
        )));
    }
    if !host_config.cgroup.is_empty() {
        return Err(Error::invalid(format!("invalid cgroup mode: {}", host_config.cgroup)));
    }
    let runtime = host_config.runtime.as_str();
    if engine.runtimes.iter().any(|known| known == runtime) {
        return Err(Error::invalid(format!(
            "runtime {runtime:?} cannot be used: only the built-in runtime is supported by this version"
        )));
    }
    if !runtime.is_empty() && !RUNTIMES.contains(&runtime) {
        return Err(Error::invalid(format!("unknown or invalid runtime name: {runtime}")));
    }
    Ok(())
}
