//! The networks that are always there: `bridge`, `host` and `none`. Their identifiers are random and kept; what the
//! default bridge is, the daemon's configuration says anew at each start.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_api::network::{Ipam, IpamConfig};
use ipnet::IpNet;

use super::kernel::Owner;
use super::model::{BRIDGE, Bridge, Driver, Network, Subnet};
use super::subnets::{self, overlaps};
use super::{NetworkConfig, Networks};
use crate::{Error, Result};

/// The default bridge's link, beside an existing docker0.
const LINK: &str = "boxship0";

/// The packet size of the default bridge when nobody names one.
const USUAL_MTU: u32 = 1500;

/// A network with nothing but a name and a driver.
fn bare(name: &str, driver: Driver) -> Result<Network> {
    Ok(Network {
        id: super::create::new_id()?,
        name: name.to_owned(),
        created: super::create::now(),
        driver,
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        ipv4: true,
        ipv6: false,
        internal: false,
        attachable: false,
        config_only: false,
        config_from: String::new(),
        subnets: Vec::new(),
        ipam: Ipam::default(),
    })
}

/// `host` or `none`.
pub(super) fn without_link(name: &str) -> Result<Network> {
    bare(name, if name == "host" { Driver::Host } else { Driver::Null })
}

impl Networks {
    /// The default bridge as the configuration wants it; `stored` is what it was.
    pub(super) fn default_bridge(&self, stored: Option<Network>, others: &[IpNet]) -> Result<Network> {
        let config = &self.config;
        let foreign = config.bridge.clone();
        let link = foreign.clone().unwrap_or_else(|| LINK.to_owned());
        let was = stored.as_ref().map(|network| network.subnets.clone()).unwrap_or_default();
        // Its own routes are no hindrance.
        let ours = foreign.is_none() && self.kernel.owner(&link).is_ok_and(|owner| owner == Owner::We);
        let routes = self.kernel.routes();
        let routes: Vec<IpNet> =
            routes.into_iter().filter(|route| !(ours && was.iter().any(|s| s.subnet == *route))).collect();
        let own = match &foreign {
            Some(link) => self.kernel.addresses(link)?,
            None => Vec::new(),
        };
        let mut subnets = Vec::new();
        for v6 in [false, true].into_iter().filter(|v6| !v6 || config.ipv6) {
            let pinned = pinned(config, v6, &own)?;
            let kept = was.iter().find(|subnet| {
                subnet.is_v6() == v6
                    && foreign.is_none()
                    && (may_stay(config, &subnet.subnet) || self.kernel.is_used(&link))
                    && !routes.iter().chain(others).any(|other| overlaps(other, &subnet.subnet))
            });
            let subnet = match (pinned, kept) {
                (Some(pinned), _) => pinned,
                (None, Some(kept)) => Subnet { range: None, auxiliary: BTreeMap::new(), ..kept.clone() },
                (None, None) => {
                    let pools = self.pools();
                    let used = subnets::Used { networks: others, routes: &routes, pools: &pools };
                    let wanted = subnets::Wanted { v6, asked: Vec::new(), without_gateway: false };
                    subnets::resolve(&wanted, &used)?.remove(0)
                }
            };
            if let Some(other) = others.iter().find(|other| overlaps(other, &subnet.subnet)) {
                let subnet = subnet.subnet;
                return Err(Error::invalid(format!(
                    "the default bridge's subnet {subnet} overlaps {other}, which another network has"
                )));
            }
            subnets.push(subnets::with_gateway(with_route(subnet, config)?, false)?);
        }
        let driver = Driver::Bridge(Bridge {
            link,
            foreign: foreign.is_some(),
            icc: config.icc,
            masquerade: config.ip_masq,
            // A size that the configuration no longer names must not stay on our link.
            mtu: if config.mtu == 0 && foreign.is_none() { USUAL_MTU } else { config.mtu },
            host_binding: config.host_binding,
            ..Bridge::default()
        });
        let base = stored.map_or_else(|| bare(BRIDGE, driver.clone()), Ok)?;
        let told = subnets.iter().map(told).collect();
        let ipam = Ipam { driver: "default".to_owned(), options: None, config: Some(told) };
        Ok(Network { options: options(&driver, config), driver, ipv6: config.ipv6, subnets, ipam, ..base })
    }
}

/// Who names ranges wants the default bridge in one of them, too.
fn may_stay(config: &NetworkConfig, subnet: &IpNet) -> bool {
    let mut of_family = config.pools.iter().filter(|pool| is_v6(&pool.base) == is_v6(subnet)).peekable();
    of_family.peek().is_none() || of_family.any(|pool| pool.base.contains(subnet))
}

fn is_v6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}

/// The subnet that the configuration (or the administrator's bridge) leaves no choice about.
fn pinned(config: &NetworkConfig, v6: bool, own: &[IpNet]) -> Result<Option<Subnet>> {
    let (bip, range) = match v6 {
        false => (config.bip.map(IpNet::V4), config.fixed_cidr.map(IpNet::V4)),
        true => (config.bip6.map(IpNet::V6), config.fixed_cidr_v6.map(IpNet::V6)),
    };
    let (bip_key, range_key) = if v6 { ("bip6", "fixed-cidr-v6") } else { ("bip", "fixed-cidr") };
    let of_family = |net: &&IpNet| is_v6(net) == v6;
    let global = |net: &&IpNet| !matches!(net, IpNet::V6(v6) if v6.addr().is_unicast_link_local());
    let own = own.iter().filter(of_family).filter(global).copied();
    let address = bip.or_else(|| own.into_iter().next());
    let Some(address) = address else {
        return match (range, &config.bridge) {
            (Some(range), _) => {
                Ok(Some(Subnet { range: Some(range.trunc()), ..subnets::blank(range.trunc()) }))
            }
            (None, Some(link)) => Err(Error::invalid(format!(
                "the bridge {link} has no address of this family: give it one, or this daemon --{bip_key}"
            ))),
            (None, None) => Ok(None),
        };
    };
    let subnet = address.trunc();
    if let Some(range) = range
        && !(subnet.contains(&range.network()) && range.prefix_len() >= subnet.prefix_len())
    {
        return Err(Error::invalid(format!("{range_key} {range} is no part of {subnet} ({bip_key})")));
    }
    let range = range.map(|range| range.trunc());
    Ok(Some(Subnet { range, gateway: Some(address.addr()), ..subnets::blank(subnet) }))
}

/// `default-gateway`: where members send what is for elsewhere.
fn with_route(mut subnet: Subnet, config: &NetworkConfig) -> Result<Subnet> {
    let (key, gateway) = match subnet.is_v6() {
        false => ("DefaultGatewayIPv4", config.default_gateway.map(IpAddr::V4)),
        true => ("DefaultGatewayIPv6", config.default_gateway_v6.map(IpAddr::V6)),
    };
    let Some(gateway) = gateway else { return Ok(subnet) };
    if !subnet.subnet.contains(&gateway) {
        let subnet = subnet.subnet;
        return Err(Error::invalid(format!("default-gateway {gateway} is not in {subnet}")));
    }
    if subnet.gateway != Some(gateway) {
        subnet.auxiliary.insert(key.to_owned(), gateway);
    }
    Ok(subnet)
}

fn told(subnet: &Subnet) -> IpamConfig {
    let text = |address: &IpAddr| address.to_string();
    IpamConfig {
        subnet: subnet.subnet.to_string(),
        ip_range: subnet.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: subnet.gateway.as_ref().map(text).unwrap_or_default(),
        auxiliary_addresses: subnet.auxiliary.iter().map(|(name, a)| (name.clone(), text(a))).collect(),
    }
}

/// The options that Docker tells of its default bridge.
fn options(driver: &Driver, config: &NetworkConfig) -> BTreeMap<String, String> {
    let Driver::Bridge(bridge) = driver else { return BTreeMap::new() };
    let binding = config.host_binding.map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string());
    let mtu = if bridge.mtu == 0 { USUAL_MTU } else { bridge.mtu };
    [
        ("com.docker.network.bridge.default_bridge", "true".to_owned()),
        ("com.docker.network.bridge.enable_icc", bridge.icc.to_string()),
        ("com.docker.network.bridge.enable_ip_masquerade", bridge.masquerade.to_string()),
        ("com.docker.network.bridge.host_binding_ipv4", binding),
        ("com.docker.network.bridge.name", bridge.link.clone()),
        ("com.docker.network.driver.mtu", mtu.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
