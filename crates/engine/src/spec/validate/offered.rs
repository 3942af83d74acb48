//! What this version does not offer, said clearly at create: endpoints with addresses, published ports, volumes, GPUs,
//! other runtimes. And Docker's own rules about combining networks.

use boxship_api::container::{Config, HostConfig, NetworkMode};
use boxship_api::network::{EndpointSettings, NetworkingConfig};

use crate::spec::bind;
use crate::{EngineConfig, Error, Result};

/// The name under which `inspect` shows the built-in runtime: clients (docker-py among them) look for it.
pub const DEFAULT_RUNTIME: &str = "runc";
/// Names that all mean the built-in runtime.
const RUNTIMES: [&str; 4] = [DEFAULT_RUNTIME, "boxship", "boxship-runtime", "io.containerd.runc.v2"];

pub fn networking(
    config: &Config,
    host_config: &HostConfig,
    networking: Option<&NetworkingConfig>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let mode = &host_config.network_mode;
    if mode.as_str() == "container" || mode.container().is_some() {
        shared_network(config, host_config)?;
    }
    if mode.is_host() && host_config.links.as_ref().is_some_and(|links| !links.is_empty()) {
        return Err(Error::invalid(
            "conflicting options: host type networking can't be used with links. This would result in undefined \
             behavior",
        ));
    }
    ports(host_config, warnings)?;
    endpoints(networking)?;
    if host_config.links.as_ref().is_some_and(|links| !links.is_empty()) {
        return Err(unsupported("legacy links (--link)"));
    }
    if !config.mac_address.is_empty() {
        return Err(unsupported("a hardware address (--mac-address)"));
    }
    // Said where it matters: a container that offers ports. Everybody else reads it in `info`.
    if mode.is_bridge() && !config.network_disabled && !config.exposed_ports.is_empty() {
        warnings.push(NO_BRIDGE.to_owned());
    }
    Ok(())
}

/// What a container without a network of its own choice gets; `info` says it too.
pub const NO_BRIDGE: &str = "The bridge network is not offered by this version: the container has a loopback \
    interface only. Use --network host for connections.";

fn unsupported(what: &str) -> Error {
    Error::invalid(format!("{what} cannot be used: container networks are not supported by this version"))
}

/// Docker's rules for `--network container:x`.
fn shared_network(config: &Config, host_config: &HostConfig) -> Result<()> {
    let filled = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let published = host_config.publish_all_ports
        || host_config.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty());
    let name = host_config.network_mode.container().unwrap_or_default();
    for (wrong, message) in [
        (name.is_empty(), "invalid network mode: invalid container format container:<name|id>"),
        (!config.hostname.is_empty(), "conflicting options: hostname and the network mode"),
        (
            filled(&host_config.links),
            "conflicting options: container type network can't be used with links. This would result in undefined \
             behavior",
        ),
        (filled(&host_config.dns), "conflicting options: dns and the network mode"),
        (
            filled(&host_config.extra_hosts),
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (published, "conflicting options: port publishing and the container type network mode"),
        (
            !config.exposed_ports.is_empty(),
            "conflicting options: port exposing and the container type network mode",
        ),
    ] {
        if wrong {
            return Err(Error::invalid(message));
        }
    }
    Ok(())
}

fn ports(host_config: &HostConfig, warnings: &mut Vec<String>) -> Result<()> {
    let bindings = host_config.port_bindings.iter().flatten();
    for (port, bindings) in bindings.clone() {
        if !super::config::is_port(port) {
            return Err(Error::invalid(format!("invalid port specification: {port:?}")));
        }
        for binding in bindings.iter().flatten().filter(|binding| !binding.host_port.is_empty()) {
            if !super::config::is_port(&binding.host_port) {
                return Err(Error::invalid(format!("invalid port specification: {:?}", binding.host_port)));
            }
        }
    }
    let published = bindings.count() > 0;
    if host_config.network_mode.is_host() {
        if published {
            warnings.push("Published ports are discarded when using host network mode".to_owned());
        }
        return Ok(());
    }
    if published || host_config.publish_all_ports {
        return Err(Error::invalid(
            "ports cannot be published: container networks are not supported by this version; use --network host",
        ));
    }
    Ok(())
}

/// The command line always names its network here; wishes for the endpoint cannot be met. Those for networks that are
/// not there are let through: the start is refused, see [`networks_exist`].
fn endpoints(networking: Option<&NetworkingConfig>) -> Result<()> {
    let endpoints = networking.and_then(|networking| networking.endpoints_config.as_ref());
    for (name, endpoint) in endpoints.into_iter().flatten() {
        let Some(endpoint) = endpoint else {
            return Err(Error::invalid(format!("invalid config for network {name}: EndpointsConfig is nil")));
        };
        if NetworkMode::from(name.as_str()).is_user_defined() {
            continue;
        }
        let wishes = EndpointSettings { network_id: endpoint.network_id.clone(), ..Default::default() };
        let mut plain = endpoint.clone();
        forget_empty(&mut plain);
        if plain != wishes {
            return Err(unsupported("an address, alias or driver option of an endpoint"));
        }
    }
    Ok(())
}

/// Whether the networks it names are there, asked at its start: Docker creates a container whose network is missing,
/// and a client that is told of something missing at create takes it for the image.
pub fn networks_exist(host_config: &HostConfig, networking: Option<&NetworkingConfig>) -> Result<()> {
    let mode = std::iter::once(&host_config.network_mode).cloned();
    let endpoints = networking.and_then(|networking| networking.endpoints_config.as_ref());
    let endpoints = endpoints.into_iter().flatten().map(|(name, _)| NetworkMode::from(name.as_str()));
    match mode.chain(endpoints).find(NetworkMode::is_user_defined) {
        Some(missing) => Err(Error::not_found(format!("network {missing} not found"))),
        None => Ok(()),
    }
}

/// Empty lists and the settings that a running container reports wish for nothing.
fn forget_empty(endpoint: &mut EndpointSettings) {
    for list in [&mut endpoint.links, &mut endpoint.aliases, &mut endpoint.dns_names] {
        list.take_if(|list| list.is_empty());
    }
    endpoint.driver_opts.take_if(|options| options.is_empty());
    endpoint.ipam_config.take_if(|wishes| *wishes == Default::default());
}

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
