//! From `--network` and the flags that speak of the first one to the endpoints of a request. Pure.

use std::collections::BTreeMap;

use boxship_api::network::{EndpointIpamConfig, EndpointSettings};

use crate::flags::Parsed;
use crate::values::network::{self, Attachment};

/// Endpoints by network.
pub type Endpoints = BTreeMap<String, Option<EndpointSettings>>;

/// The network mode, and the endpoints that are asked for.
pub fn read(parsed: &Parsed) -> Result<(String, Endpoints), String> {
    let mut given: Vec<Attachment> =
        parsed.list("network").iter().map(|text| network::parse(text)).collect::<Result<_, _>>()?;
    if given.is_empty() {
        given.push(Attachment { target: "default".into(), ..Attachment::default() });
    }
    // A network that was named alone and of which nothing is asked needs no endpoint.
    let lonely = parsed.given("network") && given.len() == 1;
    let mode = given[0].target.clone();
    let user_defined = given.iter().filter(|one| network::is_user_defined(&one.target)).count();
    let mixed = user_defined > 0 && user_defined < given.len();
    let mut endpoints = Endpoints::new();
    for (at, attachment) in given.into_iter().enumerate() {
        // The flags without a network's name mean the first one.
        let (attachment, links) = match at {
            0 => with_flags(attachment, parsed)?,
            _ => (attachment, None),
        };
        let settings = endpoint(&attachment, links)?;
        if endpoints.contains_key(&attachment.target) {
            return Err(format!("network {:?} is specified multiple times", attachment.target));
        }
        if !(lonely && settings == EndpointSettings::default()) {
            endpoints.insert(attachment.target, Some(settings));
        }
    }
    if mixed {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes".into(),
        );
    }
    Ok((mode, endpoints))
}

type Links = Option<Vec<String>>;

/// Adds what `--network-alias`, `--ip`, `--link` and their like ask for.
fn with_flags(mut attachment: Attachment, parsed: &Parsed) -> Result<(Attachment, Links), String> {
    let conflict = |flag: &str, what: &str| {
        format!("conflicting options: cannot specify both --{flag} and per-network {what}")
    };
    let (aliases, link_local) = (parsed.list("network-alias"), parsed.list("link-local-ip"));
    let texts = [
        ("ip", &mut attachment.ip, "IPv4 address"),
        ("ip6", &mut attachment.ip6, "IPv6 address"),
        ("mac-address", &mut attachment.mac_address, "MAC address"),
    ];
    if !attachment.aliases.is_empty() && !aliases.is_empty() {
        return Err(conflict("network-alias", "alias"));
    }
    for (flag, field, what) in texts {
        match parsed.filled(flag) {
            Some(_) if !field.is_empty() => return Err(conflict(flag, what)),
            Some(value) => *field = value,
            None => {}
        }
    }
    if !attachment.link_local_ips.is_empty() && !link_local.is_empty() {
        return Err(conflict("link-local-ip", "link-local IP addresses"));
    }
    attachment.aliases.extend(aliases);
    attachment.link_local_ips.extend(link_local);
    let links = parsed.list("link");
    // On the default bridge a link is the container's and not the endpoint's.
    let own = network::is_user_defined(&attachment.target) && !links.is_empty();
    Ok((attachment, own.then_some(links)))
}

fn endpoint(attachment: &Attachment, links: Links) -> Result<EndpointSettings, String> {
    if attachment.target.trim().is_empty() {
        return Err("no name set for network".into());
    }
    if !network::is_user_defined(&attachment.target) && !attachment.aliases.is_empty() {
        return Err("network-scoped aliases are only supported for user-defined networks".into());
    }
    if !attachment.mac_address.is_empty() && !network::is_mac(&attachment.mac_address) {
        return Err(format!("{} is not a valid mac address", attachment.mac_address));
    }
    let addresses = EndpointIpamConfig {
        ipv4_address: attachment.ip.clone(),
        ipv6_address: attachment.ip6.clone(),
        link_local_ips: attachment.link_local_ips.clone(),
    };
    Ok(EndpointSettings {
        ipam_config: (addresses != EndpointIpamConfig::default()).then_some(addresses),
        links,
        aliases: (!attachment.aliases.is_empty()).then(|| attachment.aliases.clone()),
        mac_address: attachment.mac_address.clone(),
        driver_opts: (!attachment.driver_opts.is_empty()).then(|| attachment.driver_opts.clone()),
        gw_priority: attachment.gw_priority,
        ..EndpointSettings::default()
    })
}
