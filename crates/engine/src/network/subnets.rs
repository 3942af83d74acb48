//! Which subnets a network gets: what was asked for is judged, what wasn't is chosen. Pure; the used ranges are told.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_api::network::IpamConfig;
use boxship_net::firewall::RESERVED;
use boxship_net::ipam::{Addresses, Pool, choose_subnet};
use ipnet::IpNet;

pub(super) use super::model::Subnet;
use crate::{Error, Kind, Result};

/// What a network wants of a family.
pub(super) struct Wanted<'a> {
    /// IPv6.
    pub v6: bool,
    /// The subnets asked for; none: one is chosen.
    pub asked: Vec<&'a IpamConfig>,
    /// Whether the network needs no gateway.
    pub without_gateway: bool,
}

/// What is taken already.
pub(super) struct Used<'a> {
    /// The subnets of other networks: nothing may overlap them.
    pub networks: &'a [IpNet],
    /// What the host has routes to: only what is chosen keeps clear of it.
    pub routes: &'a [IpNet],
    /// Ranges to choose from.
    pub pools: &'a [Pool],
}

/// The subnets of one family.
pub(super) fn resolve(wanted: &Wanted<'_>, used: &Used<'_>) -> Result<Vec<Subnet>> {
    if wanted.asked.is_empty() {
        let taken: Vec<IpNet> = used.networks.iter().chain(used.routes).copied().collect();
        let subnet = choose_subnet(used.pools, wanted.v6, &taken)?;
        return Ok(vec![with_gateway(blank(subnet), wanted.without_gateway)?]);
    }
    let mut subnets: Vec<Subnet> = Vec::new();
    for config in &wanted.asked {
        let subnet = parse(config)?;
        let others = used.networks.iter().copied().chain(subnets.iter().map(|other| other.subnet));
        if others.into_iter().any(|other| overlaps(&other, &subnet.subnet)) {
            return Err(Error::forbidden(
                "invalid pool request: Pool overlaps with other one on this address space",
            ));
        }
        subnets.push(with_gateway(subnet, wanted.without_gateway)?);
    }
    Ok(subnets)
}

/// A subnet about which nothing else is known.
pub(super) fn blank(subnet: IpNet) -> Subnet {
    Subnet { subnet, range: None, gateway: None, auxiliary: BTreeMap::new() }
}

/// Gives a subnet a gateway, if it has none and needs one: the first of its range that is free.
pub(super) fn with_gateway(mut subnet: Subnet, without: bool) -> Result<Subnet> {
    if subnet.gateway.is_none() && !without {
        let mut addresses = addresses(&subnet)?;
        let gateway = addresses
            .next()
            .map_err(|error| Error::caused(Kind::Invalid, "failed to allocate gateway ()", error))?;
        subnet.gateway = Some(gateway);
    }
    // All that is spoken for has to have room beside each other.
    addresses(&subnet)?;
    Ok(subnet)
}

/// A subnet's addresses with all that are spoken for taken.
pub(super) fn addresses(subnet: &Subnet) -> Result<Addresses> {
    let mut addresses = Addresses::new(subnet.subnet, subnet.range);
    if let Some(gateway) = subnet.gateway {
        addresses.claim(gateway).map_err(|error| {
            Error::caused(Kind::Invalid, format!("failed to allocate gateway ({gateway})"), error)
        })?;
    }
    for (name, address) in &subnet.auxiliary {
        addresses.claim(*address).map_err(|error| {
            let what = format!("failed to allocate secondary ip address ({name}:{address})");
            Error::caused(Kind::Invalid, what, error)
        })?;
    }
    Ok(addresses)
}

/// Whether two subnets have an address in common.
pub(super) fn overlaps(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

fn parse(config: &IpamConfig) -> Result<Subnet> {
    let broken = |what: &str| Error::invalid(format!("invalid {what}"));
    let address = |text: &String| match text.is_empty() {
        true => Ok(None),
        false => text.parse::<IpAddr>().map(Some).map_err(|_| broken(text)),
    };
    let range = match config.ip_range.is_empty() {
        true => None,
        false => Some(config.ip_range.parse().map_err(|_| broken(&config.ip_range))?),
    };
    let auxiliary = config
        .auxiliary_addresses
        .iter()
        .filter_map(|(name, text)| address(text).map(|address| Some((name.clone(), address?))).transpose());
    Ok(Subnet {
        subnet: config.subnet.parse().map_err(|_| broken(&config.subnet))?,
        range,
        gateway: address(&config.gateway)?,
        auxiliary: auxiliary.collect::<Result<_>>()?,
    })
}

/// Judges what was asked for, as Docker does: every fault is told. IPv6 subnets don't matter on a network without IPv6.
pub(super) fn validate(configs: &[IpamConfig], ipv6: bool) -> Result<()> {
    let mut faults = Vec::new();
    for config in configs {
        let Ok(subnet) = config.subnet.parse::<IpNet>() else {
            faults.push(format!("invalid subnet {}: invalid CIDR block notation", config.subnet));
            continue;
        };
        if ipv6 || matches!(subnet, IpNet::V4(_)) {
            faults.extend(faults_of(config, subnet));
        }
    }
    match faults.as_slice() {
        [] => Ok(()),
        [one] => Err(Error::invalid(format!("invalid network config:\n{one}"))),
        many => Err(Error::invalid(format!("invalid network config:\n* {}", many.join("\n* ")))),
    }
}

/// Addresses that no container can have: the host would take its own packets for theirs.
const NOBODYS: [(&str, &str); 6] = [
    ("0.0.0.0/8", "unspecified"),
    ("127.0.0.0/8", "loopback"),
    ("224.0.0.0/4", "multicast"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("ff00::/8", "multicast"),
];

fn faults_of(config: &IpamConfig, subnet: IpNet) -> Vec<String> {
    let mut faults = Vec::new();
    if subnet != subnet.trunc() {
        faults.push(format!("invalid subnet {subnet}: it should be {}", subnet.trunc()));
    }
    if let Some((_, kind)) =
        NOBODYS.iter().find(|(net, _)| overlaps(&net.parse().expect("a constant"), &subnet.trunc()))
    {
        faults.push(format!("{kind} subnet '{subnet}' is not allowed"));
    } else if subnet.addr().is_ipv6() {
        let link_local = "fe80::/64".parse().expect("a constant");
        if subnet.trunc() != link_local && overlaps(&link_local, &subnet) {
            faults.push(format!("'{subnet}' clashes with the Link-Local prefix 'fe80::/64'"));
        }
        if overlaps(&RESERVED.into(), &subnet.trunc()) {
            faults.push(format!("'{subnet}' clashes with '{RESERVED}', which this host uses for [::1]"));
        }
    }
    if !config.ip_range.is_empty() {
        faults.extend(faults_of_range(&config.ip_range, subnet));
    }
    if let Err(why) = judge(&config.gateway, subnet) {
        faults.push(format!("invalid gateway {}: {why}", config.gateway));
    }
    for (name, address) in &config.auxiliary_addresses {
        if let Err(why) = judge(address, subnet) {
            faults.push(format!("invalid auxiliary address {name}: {why}"));
        }
    }
    faults
}

fn faults_of_range(text: &str, subnet: IpNet) -> Vec<String> {
    let Ok(range) = text.parse::<IpNet>() else {
        return vec![format!("invalid ip-range {text}: invalid CIDR block notation")];
    };
    if is_v6(range.addr()) != is_v6(subnet.addr()) {
        return vec![format!("invalid ip-range {text}: parent subnet is an {} block", family(subnet))];
    }
    let mut faults = Vec::new();
    if range.prefix_len() < subnet.prefix_len() {
        faults.push(format!("invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"));
    }
    if range != range.trunc() {
        faults.push(format!("invalid ip-range {range}: it should be {}", range.trunc()));
    }
    if !overlaps(&range, &subnet) {
        faults.push(format!("invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"));
    }
    faults
}

/// Judges an address that may be missing.
fn judge(text: &str, subnet: IpNet) -> std::result::Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let address: IpAddr = text.parse().map_err(|_| "invalid address".to_owned())?;
    if is_v6(address) != is_v6(subnet.addr()) {
        return Err(format!("parent subnet is an {} block", family(subnet)));
    }
    match subnet.contains(&address) {
        true => Ok(()),
        false => Err(format!("parent subnet {subnet} doesn't contain this address")),
    }
}

fn is_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(_))
}

fn family(subnet: IpNet) -> &'static str {
    if is_v6(subnet.addr()) { "IPv6" } else { "IPv4" }
}

/// The range that IPv6 subnets are cut from when no pool has one: unique local addresses (RFC 4193) that belong to this
/// engine, by the first 40 bits of its random identifier.
pub(super) fn unique_local(engine_id: &str) -> Option<Pool> {
    let digits: String = engine_id.chars().filter(char::is_ascii_hexdigit).take(10).collect();
    let global = u64::from_str_radix(&digits, 16).ok()?;
    let bits = 0xfd << 120 | u128::from(global & 0xff_ffff_ffff) << 80;
    let base = IpNet::new(IpAddr::V6(bits.into()), 48).ok()?;
    Some(Pool { base, size: 64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(subnet: &str, range: &str, gateway: &str, auxiliary: &str) -> IpamConfig {
        IpamConfig {
            subnet: subnet.into(),
            ip_range: range.into(),
            gateway: gateway.into(),
            auxiliary_addresses: match auxiliary {
                "" => BTreeMap::new(),
                address => [("host".to_owned(), address.to_owned())].into(),
            },
        }
    }

    #[test]
    fn every_fault_is_told() {
        for (asked, expect) in [
            (config("10.1.0.0/16", "10.1.2.0/24", "10.1.0.9", "10.1.0.8"), ""),
            (config("", "", "", ""), "invalid subnet : invalid CIDR block notation"),
            (config("10.1.0.1/16", "", "", ""), "invalid subnet 10.1.0.1/16: it should be 10.1.0.0/16"),
            (
                config("10.1.0.0/16", "10.2.0.0/24", "10.3.0.1", "x"),
                "* invalid ip-range 10.2.0.0/24: parent subnet 10.1.0.0/16 doesn't contain ip-range\n\
                 * invalid gateway 10.3.0.1: parent subnet 10.1.0.0/16 doesn't contain this address\n\
                 * invalid auxiliary address host: invalid address",
            ),
            (
                config("10.1.0.0/16", "fd00::/64", "fd00::1", ""),
                "* invalid ip-range fd00::/64: parent subnet is an IPv4 block\n\
                 * invalid gateway fd00::1: parent subnet is an IPv4 block",
            ),
            (
                config("10.1.0.0/16", "10.0.0.0/8", "", ""),
                "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.1.0.0/16",
            ),
            (config("127.0.0.0/8", "", "", ""), "loopback subnet '127.0.0.0/8' is not allowed"),
            (config("126.0.0.0/7", "", "", ""), "loopback subnet '126.0.0.0/7' is not allowed"),
            (config("0.0.0.0/0", "", "", ""), "unspecified subnet '0.0.0.0/0' is not allowed"),
            (config("239.1.0.0/16", "", "", ""), "multicast subnet '239.1.0.0/16' is not allowed"),
            (
                config("::ffff:a00:0/104", "", "", ""),
                "IPv4-mapped subnet '::ffff:10.0.0.0/104' is not allowed",
            ),
            (config("ff00::/64", "", "", ""), "multicast subnet 'ff00::/64' is not allowed"),
            (
                config("fdb0:c500::/64", "", "", ""),
                "'fdb0:c500::/64' clashes with 'fdb0:c500::/64', which this host uses for [::1]",
            ),
            (
                config("fdb0:c500::/32", "", "", ""),
                "'fdb0:c500::/32' clashes with 'fdb0:c500::/64', which this host uses for [::1]",
            ),
            (config("fdb0:c500:0:1::/64", "", "", ""), ""),
            (config("fe80::/80", "", "", ""), "'fe80::/80' clashes with the Link-Local prefix 'fe80::/64'"),
        ] {
            let outcome = validate(std::slice::from_ref(&asked), true).map_err(|error| error.to_string());
            match expect {
                "" => assert_eq!(outcome, Ok(())),
                faults => assert_eq!(outcome.unwrap_err(), format!("invalid network config:\n{faults}")),
            }
        }
        assert!(validate(&[config("fd00::1/64", "", "", "")], false).is_ok(), "IPv6 is off");
    }

    #[test]
    fn the_engines_own_ipv6_range() {
        let pool = unique_local("a1b2c3d4-e5f6-4a1b-8c2d-000000000000").unwrap();
        assert_eq!(pool.base.to_string(), "fda1:b2c3:d4e5::/48");
        assert!(unique_local("").is_none());
    }
}
