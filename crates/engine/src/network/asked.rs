//! The endpoints a container asks for: which networks, with which settings, judged in Docker's words. Pure but for
//! looking networks up.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use boxship_api::container::{HostConfig, NetworkMode};
use boxship_api::network::{EndpointSettings, NetworkingConfig};
use boxship_net::MacAddress;
use ipnet::IpNet;

use super::Network;
use super::endpoint::{INTERFACE, SYSCTLS, is_interface_name};
use super::names::parse_link;
use crate::{Error, Result};

/// Endpoints by network.
pub(crate) type Endpoints = BTreeMap<String, EndpointSettings>;

/// Judges the endpoints of a create request and brings them into one form: by name, none for a container that shares
/// another's network, the one of its mode when nothing is said. Networks that are not there (yet) are let through:
/// the start is refused.
pub(crate) fn normalize(
    host_config: &HostConfig,
    networking: Option<NetworkingConfig>,
    find: &dyn Fn(&str) -> Option<Arc<Network>>,
) -> Result<NetworkingConfig> {
    let mode = &host_config.network_mode;
    let asked = networking.and_then(|networking| networking.endpoints_config).unwrap_or_default();
    let mut endpoints = Endpoints::new();
    let mut wrong = Vec::new();
    for (key, settings) in asked {
        let name = if NetworkMode::from(key.as_str()).is_default() { "bridge".to_owned() } else { key };
        let Some(mut settings) = settings else {
            wrong.push(format!("invalid config for network {name}: EndpointsConfig is nil"));
            continue;
        };
        let network = find(&name);
        if let Err(reason) = check(network.as_deref(), &name, &settings) {
            wrong.push(format!("invalid config for network {name}: {reason}"));
        }
        forget_results(&mut settings);
        let name = network.map_or(name, |network| network.name.clone());
        endpoints.insert(name, settings);
    }
    if !wrong.is_empty() {
        return Err(Error::invalid(listed(&wrong)));
    }
    // These have no interface of their own that could have the address.
    let shared = mode.is_host() || mode.is_none() || mode.container().is_some();
    if shared && endpoints.values().any(|settings| !settings.mac_address.is_empty()) {
        return Err(Error::invalid("conflicting options: mac-address and the network mode"));
    }
    if mode.container().is_some() {
        endpoints.clear();
    } else if endpoints.is_empty() {
        endpoints.insert(main_network(mode, find), EndpointSettings::default());
    }
    // Links of a network of users are its endpoint's.
    if mode.is_user_defined() {
        let links = host_config.links.clone().unwrap_or_default();
        if let Some(settings) = endpoints.get_mut(&main_network(mode, find)).filter(|_| !links.is_empty()) {
            let kept = settings.links.get_or_insert_default();
            // The command line sends them twice.
            kept.extend(links.into_iter().filter(|link| !kept.contains(link)).collect::<Vec<_>>());
        }
    }
    let endpoints = endpoints.into_iter().map(|(name, settings)| (name, Some(settings)));
    Ok(NetworkingConfig { endpoints_config: Some(endpoints.collect()) })
}

/// The name of the network that a mode names.
fn main_network(mode: &NetworkMode, find: &dyn Fn(&str) -> Option<Arc<Network>>) -> String {
    let name = if mode.is_default() { "bridge" } else { mode.as_str() };
    find(name).map_or_else(|| name.to_owned(), |network| network.name.clone())
}

/// The endpoints of a container as kept, its main network first, the others by name.
pub(crate) fn endpoints(
    host_config: &HostConfig,
    networking: Option<&NetworkingConfig>,
) -> Vec<(String, EndpointSettings)> {
    let mode = &host_config.network_mode;
    if mode.container().is_some() {
        return Vec::new();
    }
    let main = if mode.is_default() { "bridge" } else { mode.as_str() };
    let Some(kept) = networking.and_then(|networking| networking.endpoints_config.as_ref()) else {
        return vec![(main.to_owned(), EndpointSettings::default())];
    };
    let mut endpoints: Vec<_> =
        kept.iter().map(|(name, settings)| (name.clone(), settings.clone().unwrap_or_default())).collect();
    endpoints.sort_by_key(|(name, settings)| name != main && settings.network_id != main);
    endpoints
}

/// What a running container reports is no wish.
pub(crate) fn forget_results(settings: &mut EndpointSettings) {
    *settings = EndpointSettings {
        ipam_config: settings.ipam_config.take(),
        links: settings.links.take().filter(|list| !list.is_empty()),
        aliases: settings.aliases.take().filter(|list| !list.is_empty()),
        mac_address: std::mem::take(&mut settings.mac_address),
        driver_opts: settings.driver_opts.take(),
        gw_priority: settings.gw_priority,
        network_id: std::mem::take(&mut settings.network_id),
        ..EndpointSettings::default()
    };
}

/// Judges the settings of one endpoint; the network may not be there yet.
pub(crate) fn check(
    network: Option<&Network>,
    name: &str,
    settings: &EndpointSettings,
) -> std::result::Result<(), String> {
    let mut wrong = Vec::new();
    let wishes = settings.ipam_config.clone().unwrap_or_default();
    let predefined = match network {
        Some(network) => !network.has_names(),
        None => !NetworkMode::from(name).is_user_defined(),
    };
    let fixed = !wishes.ipv4_address.is_empty() || !wishes.ipv6_address.is_empty();
    if predefined && fixed {
        wrong.push("user specified IP address is supported on user defined networks only".to_owned());
    }
    if predefined && settings.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty()) {
        let only = "network-scoped alias is supported only for containers in user defined networks";
        wrong.push(only.to_owned());
    }
    addresses(network.filter(|_| !predefined), &wishes, &mut wrong);
    if let Err(why) = judge_mac(&settings.mac_address) {
        return Err(format!("invalid MAC address {}{why}", settings.mac_address));
    }
    for link in settings.links.iter().flatten().filter(|link| parse_link(link).is_none()) {
        wrong.push(format!("bad format for links: {link}"));
    }
    options(settings.driver_opts.as_ref(), &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(format!("invalid endpoint settings:\n{}", listed(&wrong))) }
}

/// A hardware address that may be missing: Docker leaves it to the kernel at the start what an interface can't have.
fn judge_mac(text: &str) -> std::result::Result<(), &'static str> {
    if text.is_empty() {
        return Ok(());
    }
    match text.parse::<MacAddress>() {
        Ok(address) if address.is_of_one_interface() => Ok(()),
        Ok(_) => Err(": zero, multicast and broadcast addresses are of no single interface"),
        Err(_) => Err(""),
    }
}

/// Addresses must be some, and of a subnet that was asked for when the network was made.
fn addresses(
    network: Option<&Network>,
    wishes: &boxship_api::network::EndpointIpamConfig,
    wrong: &mut Vec<String>,
) {
    let v4 = match wishes.ipv4_address.parse::<Ipv4Addr>() {
        Ok(address) if !address.is_unspecified() => Some(IpAddr::V4(address)),
        _ if wishes.ipv4_address.is_empty() => None,
        _ => {
            wrong.push(format!("invalid IPv4 address: {}", wishes.ipv4_address));
            None
        }
    };
    let v6 = match wishes.ipv6_address.parse::<Ipv6Addr>() {
        Ok(address) if !address.is_unspecified() && address.to_ipv4_mapped().is_none() => {
            Some(IpAddr::V6(address))
        }
        _ if wishes.ipv6_address.is_empty() => None,
        _ => {
            wrong.push(format!("invalid IPv6 address: {}", wishes.ipv6_address));
            None
        }
    };
    for text in wishes.link_local_ips.iter() {
        if !text.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified()) {
            wrong.push(format!("invalid link-local IP address: {text}"));
        }
    }
    let Some(network) = network else { return };
    for address in v4.into_iter().chain(v6) {
        let mut asked = subnets(network).filter(|net| net.addr().is_ipv4() == address.is_ipv4()).peekable();
        if asked.peek().is_none() {
            let only = "user specified IP address is supported only when connecting to networks with user configured subnets";
            wrong.push(only.to_owned());
        } else if !asked.any(|net| net.contains(&address)) {
            wrong.push(format!("no configured subnet or ip-range contain the IP address {address}"));
        }
    }
}

/// The subnets that were asked for when the network was made, not cut from a pool.
fn subnets(network: &Network) -> impl Iterator<Item = IpNet> {
    let configs = network.ipam.config.iter().flatten();
    configs.filter_map(|config| config.subnet.parse::<IpNet>().ok())
}

/// Options we know must make sense; others are kept and told, as Docker does.
fn options(options: Option<&BTreeMap<String, String>>, wrong: &mut Vec<String>) {
    let get = |key: &str| options.and_then(|options| options.get(key));
    for entry in get(SYSCTLS).into_iter().flat_map(|text| text.split(',')) {
        let parts: Vec<_> = entry.trim().splitn(5, '.').collect();
        let good = match parts[..] {
            ["net", "ipv4" | "ipv6" | "mpls", _, "IFNAME" | "ifname", rest] => rest.contains('='),
            _ => false,
        };
        if !good || entry.contains('/') {
            wrong.push(format!(
                "unrecognised network interface sysctl '{entry}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            ));
        }
    }
    if let Some(name) = get(INTERFACE).filter(|name| !name.is_empty() && !is_interface_name(name)) {
        wrong.push(format!("invalid interface name: {name:?}"));
    }
}

/// One reason as it is, several as a list.
fn listed(reasons: &[String]) -> String {
    match reasons {
        [only] => only.clone(),
        all => all
            .iter()
            .map(|reason| format!("* {}", reason.replace('\n', "\n\t")))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::tests::network;
    use super::*;

    fn checked(name: &str, json: &str) -> String {
        let network = match name {
            "mine" => Some(network("mine", false)),
            _ => None,
        };
        check(network.as_deref(), name, &serde_json::from_str(json).unwrap()).err().unwrap_or_default()
    }

    #[test]
    fn settings_are_judged_in_dockers_words() {
        for (name, json, expect) in [
            ("mine", "{}", ""),
            (
                "mine",
                r#"{"IPAMConfig":{"IPv4Address":"10.0.0.9","IPv6Address":"fd00::9"},"Aliases":["a"]}"#,
                "",
            ),
            (
                "mine",
                r#"{"IPAMConfig":{"IPv4Address":"10.9.0.9"}}"#,
                "no configured subnet or ip-range contain the IP address 10.9.0.9",
            ),
            (
                "bridge",
                r#"{"IPAMConfig":{"IPv4Address":"10.9.0.9"}}"#,
                "user specified IP address is supported on user defined networks only",
            ),
            (
                "bridge",
                r#"{"Aliases":["a"]}"#,
                "network-scoped alias is supported only for containers in user defined networks",
            ),
            ("later", r#"{"IPAMConfig":{"IPv4Address":"10.9.0.9"},"Aliases":["a"]}"#, ""),
            ("later", r#"{"IPAMConfig":{"IPv4Address":"fd00::1"}}"#, "invalid IPv4 address: fd00::1"),
            ("later", r#"{"IPAMConfig":{"IPv6Address":"1.2.3.4"}}"#, "invalid IPv6 address: 1.2.3.4"),
            ("bridge", r#"{"IPAMConfig":{"LinkLocalIPs":["169.254.8.8"]}}"#, ""),
            ("bridge", r#"{"IPAMConfig":{"LinkLocalIPs":["x"]}}"#, "invalid link-local IP address: x"),
            ("bridge", r#"{"DriverOpts":{"com.docker-py.setting":"on"}}"#, ""),
            (
                "bridge",
                r#"{"DriverOpts":{"com.docker.network.endpoint.ifname":"a/b"}}"#,
                "invalid interface name: \"a/b\"",
            ),
            (
                "bridge",
                r#"{"DriverOpts":{"com.docker.network.endpoint.sysctls":"net.ipv4.conf.IFNAME.log_martians=1"}}"#,
                "",
            ),
            (
                "bridge",
                r#"{"DriverOpts":{"com.docker.network.endpoint.sysctls":"net.ipv4.conf.eth0.log_martians=1"}}"#,
                "unrecognised network interface sysctl 'net.ipv4.conf.eth0.log_martians=1'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'",
            ),
        ] {
            let expect = if expect.is_empty() {
                String::new()
            } else {
                format!("invalid endpoint settings:\n{expect}")
            };
            assert_eq!(checked(name, json), expect, "{name} {json}");
        }
        assert_eq!(checked("mine", r#"{"MacAddress":"xx"}"#), "invalid MAC address xx");
        assert_eq!(checked("mine", r#"{"MacAddress":"02:42:ac:11:00:02"}"#), "");
        for group in ["01:00:00:00:00:01", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"] {
            let said = checked("mine", &format!(r#"{{"MacAddress":"{group}"}}"#));
            assert!(said.starts_with(&format!("invalid MAC address {group}: zero, multicast")), "{said}");
        }
        let both = checked("bridge", r#"{"Aliases":["a"],"IPAMConfig":{"IPv4Address":"1.2.3.4"}}"#);
        assert!(both.contains("\n* user specified") && both.contains("\n* network-scoped"), "{both}");
    }

    fn normalized(json: &str) -> Result<Vec<(String, EndpointSettings)>> {
        let request: boxship_api::container::CreateRequest = serde_json::from_str(json).unwrap();
        let host_config = request.host_config.unwrap_or_default();
        let find = |name: &str| ["mine", "mine-id"].contains(&name).then(|| network("mine", false));
        let networking = normalize(&host_config, request.networking_config, &find)?;
        Ok(endpoints(&host_config, Some(&networking)))
    }

    #[test]
    fn endpoints_have_one_form() {
        for (json, expect) in [
            ("{}", "bridge"),
            (r#"{"HostConfig":{"NetworkMode":"default"}}"#, "bridge"),
            (r#"{"HostConfig":{"NetworkMode":"none"}}"#, "none"),
            (r#"{"HostConfig":{"NetworkMode":"mine"}}"#, "mine"),
            (r#"{"HostConfig":{"NetworkMode":"mine-id"}}"#, "mine"),
            (
                r#"{"HostConfig":{"NetworkMode":"container:x"},"NetworkingConfig":{"EndpointsConfig":{"a":{}}}}"#,
                "",
            ),
            (r#"{"NetworkingConfig":{"EndpointsConfig":{"default":{}}}}"#, "bridge"),
            (r#"{"NetworkingConfig":{"EndpointsConfig":{"mine-id":{}}}}"#, "mine"),
            (
                r#"{"HostConfig":{"NetworkMode":"mine"},"NetworkingConfig":{"EndpointsConfig":{"a":{},"mine":{},"z":{}}}}"#,
                "mine a z",
            ),
        ] {
            let names: Vec<_> = normalized(json).unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names.join(" "), expect, "{json}");
        }
        let nil = normalized(r#"{"NetworkingConfig":{"EndpointsConfig":{"a":null}}}"#).unwrap_err();
        assert_eq!(nil.to_string(), "invalid config for network a: EndpointsConfig is nil");
        let linked = normalized(r#"{"HostConfig":{"NetworkMode":"mine","Links":["db:data"]}}"#).unwrap();
        assert_eq!(linked[0].1.links, Some(vec!["db:data".to_owned()]));
        let twice = r#"{"HostConfig":{"NetworkMode":"mine","Links":["db:data","b"]},
            "NetworkingConfig":{"EndpointsConfig":{"mine":{"Links":["db:data"]}}}}"#;
        let linked = normalized(twice).unwrap();
        assert_eq!(linked[0].1.links, Some(vec!["db:data".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn only_interfaces_have_hardware_addresses() {
        let mac = r#"{"MacAddress":"02:42:ac:11:00:09"}"#;
        for (mode, refused) in
            [("container:x", true), ("host", true), ("none", true), ("bridge", false), ("mine", false)]
        {
            let json = format!(
                r#"{{"HostConfig":{{"NetworkMode":"{mode}"}},"NetworkingConfig":{{"EndpointsConfig":{{"{mode}":{mac}}}}}}}"#
            );
            let said = normalized(&json).err().map(|error| error.to_string());
            let expect = "conflicting options: mac-address and the network mode";
            assert_eq!(said.as_deref(), refused.then_some(expect), "{mode}");
        }
    }

    #[test]
    fn a_container_may_have_left_all_its_networks() {
        let none = NetworkingConfig { endpoints_config: Some(BTreeMap::new()) };
        assert!(endpoints(&HostConfig::default(), Some(&none)).is_empty());
        assert_eq!(
            endpoints(&HostConfig::default(), None)[0].0,
            "bridge",
            "a row from before there were networks"
        );
    }
}
