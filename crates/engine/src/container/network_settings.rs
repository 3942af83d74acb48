//! What inspect and lists tell of a container's network: as it is while it runs, as asked for otherwise. Pure.

use std::collections::BTreeMap;

use boxship_api::network::{EndpointSettings, NetworkSettings};
use boxship_api::port::{PortBinding, PortMap, PortSummary};

use super::configuration::Configuration;
use super::network::{Connections, asked};
use super::state::State;
use crate::network::Endpoint;
use crate::network::publish::{exposed, is_routed};

/// Tells the identifier of a network by its name, none of one that isn't there.
pub(super) type Identify<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Endpoints by network.
pub(super) fn endpoints(
    configuration: &Configuration,
    state: &State,
    identify: Identify<'_>,
) -> BTreeMap<String, EndpointSettings> {
    let of = |(name, mut settings): (String, EndpointSettings)| {
        match state.network.endpoints.iter().find(|endpoint| endpoint.network == name) {
            Some(endpoint) => fill(&mut settings, endpoint),
            None => settings.network_id = identify(&name).unwrap_or(settings.network_id),
        }
        (name, settings)
    };
    asked(configuration).into_iter().map(of).collect()
}

/// What a running container has, into what it asked for.
fn fill(settings: &mut EndpointSettings, endpoint: &Endpoint) {
    let text = |address: Option<std::net::IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    settings.network_id.clone_from(&endpoint.network_id);
    settings.endpoint_id.clone_from(&endpoint.id);
    settings.gateway = text(endpoint.gateway4);
    settings.ipv6_gateway = text(endpoint.gateway6);
    if let Some(net) = endpoint.ipv4 {
        (settings.ip_address, settings.ip_prefix_len) = (net.addr().to_string(), net.prefix_len().into());
    }
    if let Some(net) = endpoint.ipv6 {
        settings.global_ipv6_address = net.addr().to_string();
        settings.global_ipv6_prefix_len = net.prefix_len().into();
    }
    if let Some(mac) = endpoint.mac {
        settings.mac_address = mac.to_string();
    }
    settings.dns_names = (!endpoint.dns_names.is_empty()).then(|| endpoint.dns_names.clone());
}

/// The whole, as inspect tells it.
pub(super) fn network_settings(
    configuration: &Configuration,
    state: &State,
    identify: Identify<'_>,
) -> NetworkSettings {
    let joins = configuration.host_config.network_mode.container().is_some();
    let sandbox_key = match (state.pid, joins) {
        (0, _) | (_, true) => String::new(),
        (pid, false) => format!("/proc/{pid}/ns/net"),
    };
    let endpoints = endpoints(configuration, state, identify);
    // The old fields tell of the default bridge only.
    let bridge = endpoints.get("bridge").cloned().unwrap_or_default();
    NetworkSettings {
        sandbox_id: if sandbox_key.is_empty() { String::new() } else { configuration.id.clone() },
        sandbox_key,
        ports: Some(ports(configuration, &state.network)),
        endpoint_id: bridge.endpoint_id,
        gateway: bridge.gateway,
        global_ipv6_address: bridge.global_ipv6_address,
        global_ipv6_prefix_len: bridge.global_ipv6_prefix_len,
        ip_address: bridge.ip_address,
        ip_prefix_len: bridge.ip_prefix_len,
        ipv6_gateway: bridge.ipv6_gateway,
        mac_address: bridge.mac_address,
        networks: Some(endpoints),
        ..NetworkSettings::default()
    }
}

/// Published ports with their bindings, offered ones with none; nothing of a container that doesn't run.
fn ports(configuration: &Configuration, connections: &Connections) -> PortMap {
    let mut ports = PortMap::new();
    if connections.exposed {
        let offered = exposed(&configuration.config).into_iter();
        ports.extend(offered.map(|(port, protocol)| (format!("{port}/{}", protocol.name()), None)));
    }
    for port in &connections.ports {
        let key = format!("{}/{}", port.port, port.protocol.name());
        let bindings = ports.entry(key).or_default().get_or_insert_default();
        bindings.push(match is_routed(port) {
            true if port.address.is_ipv4() => binding("0.0.0.0", ""),
            true => binding("::", ""),
            false => binding(&port.host_address.to_string(), &port.host_port.to_string()),
        });
    }
    ports
}

fn binding(host_ip: &str, host_port: &str) -> PortBinding {
    PortBinding { host_ip: host_ip.to_owned(), host_port: host_port.to_owned() }
}

/// Ports as lists tell them, sorted as Docker's client shows them.
pub(super) fn summaries(configuration: &Configuration, connections: &Connections) -> Vec<PortSummary> {
    let mut summaries = Vec::new();
    for (key, bindings) in ports(configuration, connections) {
        let (port, protocol) = key.split_once('/').unwrap_or((&key, "tcp"));
        let plain = PortSummary {
            private_port: port.parse().unwrap_or_default(),
            protocol: protocol.to_owned(),
            ..PortSummary::default()
        };
        match bindings {
            None => summaries.push(plain),
            Some(bindings) => summaries.extend(bindings.into_iter().map(|binding| PortSummary {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or_default(),
                ..plain.clone()
            })),
        }
    }
    summaries.sort_by(|a, b| {
        let key = |port: &PortSummary| (port.private_port, port.protocol.clone(), port.public_port);
        key(a).cmp(&key(b))
    });
    summaries
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_net::ports::{Protocol, Published};

    fn connections() -> Connections {
        let port = |host: &str, host_port, port| Published {
            protocol: Protocol::Tcp,
            host_address: host.parse().unwrap(),
            host_port,
            address: "172.17.0.2".parse().unwrap(),
            port,
            bridge: "b".into(),
        };
        Connections {
            endpoints: Vec::new(),
            ports: vec![port("0.0.0.0", 8080, 80), port("::", 8080, 80), port("172.17.0.2", 90, 90)],
            exposed: true,
        }
    }

    #[test]
    fn ports_as_inspect_and_ps_tell_them() {
        let mut configuration = Configuration::default();
        configuration.config.exposed_ports =
            ["80/tcp", "53/udp"].map(|port| (port.to_owned(), boxship_api::Empty)).into();
        let text = serde_json::to_string(&ports(&configuration, &connections())).unwrap();
        assert_eq!(
            text,
            r#"{"53/udp":null,"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],"90/tcp":[{"HostIp":"0.0.0.0","HostPort":""}]}"#
        );
        let text = serde_json::to_string(&summaries(&configuration, &connections())).unwrap();
        assert_eq!(
            text,
            r#"[{"PrivatePort":53,"Type":"udp"},{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"0.0.0.0","PrivatePort":90,"Type":"tcp"}]"#
        );
        assert!(ports(&configuration, &Connections::default()).is_empty(), "of a stopped container");
    }
}
