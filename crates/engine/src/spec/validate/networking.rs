//! Docker's rules about combining networks, names and ports. Endpoints are judged where networks are known
//! (`network/asked.rs`).

use boxship_api::container::{Config, HostConfig};

use crate::network::publish;
use crate::{Error, Result};

pub fn validate(config: &Config, host_config: &HostConfig, warnings: &mut Vec<String>) -> Result<()> {
    let mode = &host_config.network_mode;
    if mode.as_str() == "container" || mode.container().is_some() {
        shared(config, host_config)?;
    }
    if mode.is_host() && host_config.links.as_ref().is_some_and(|links| !links.is_empty()) {
        return Err(Error::invalid(
            "conflicting options: host type networking can't be used with links. This would result in undefined \
             behavior",
        ));
    }
    publish::wishes(config, host_config)?;
    let published = host_config.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty());
    if mode.is_host() && published {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    Ok(())
}

/// Docker's rules for `--network container:x`.
fn shared(config: &Config, host_config: &HostConfig) -> Result<()> {
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
