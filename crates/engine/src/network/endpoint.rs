//! A container's place on a network while it runs: what its run-time file keeps, so that a daemon that starts anew
//! knows it, and what follows from it (the interface, the default route, where ports come in). Pure but for leasing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use boxship_api::network::EndpointSettings;
use boxship_net::MacAddress;
use boxship_net::namespace::{Attachment, DefaultRoute, Kind as LinkKind};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::publish::Door;
use super::{Driver, GatewayMode, Lease, Network, Networks};
use crate::{Error, Result};

/// The driver's option with parameters of the interface.
pub(crate) const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// The driver's option with the interface's name inside.
pub(crate) const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoint {
    /// Its identifier: 64 hexadecimal digits.
    pub id: String,
    /// The network's identifier.
    pub network_id: String,
    /// The network's name, as it was at the time.
    pub network: String,
    /// The interface's name inside; empty on `host` and `none`.
    pub interface: String,
    /// The name of the cable's end on the host; empty when there is none.
    pub host_interface: String,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// Its IPv4 address with the subnet's prefix.
    pub ipv4: Option<Ipv4Net>,
    /// Its IPv6 address with the subnet's prefix.
    pub ipv6: Option<Ipv6Net>,
    /// Further addresses, of the link only, as asked for.
    pub link_local: Vec<IpAddr>,
    /// Where the rest of IPv4 goes.
    pub gateway4: Option<IpAddr>,
    /// Where the rest of IPv6 goes.
    pub gateway6: Option<IpAddr>,
    /// The names it answers to on this network: container, aliases, short identifier.
    pub dns_names: Vec<String>,
    /// Legacy links: alias to container, as asked for.
    pub links: Vec<String>,
    /// Options of the driver, as asked for.
    pub driver_opts: BTreeMap<String, String>,
    /// Which endpoint gives the default route: the highest.
    pub gateway_priority: i64,
}

/// An endpoint with its network.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The network.
    pub network: Arc<Network>,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Whose endpoint it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// The container's identifier.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its host name.
    pub hostname: &'a str,
    /// Whether its parameters turn IPv6 off.
    pub without_ipv6: bool,
}

impl Place {
    /// Joins a network as asked: draws identifier and hardware address, takes addresses. To be given back by
    /// [`Place::release`].
    pub(crate) fn lease(
        networks: &Networks,
        network: Arc<Network>,
        owner: Owner<'_>,
        settings: &EndpointSettings,
        taken: &[Place],
    ) -> Result<Self> {
        let id = crate::container::new_id()?.as_str().to_owned();
        let wishes = settings.ipam_config.clone().unwrap_or_default();
        let mac = match (settings.mac_address.as_str(), &network.driver) {
            (_, Driver::Host | Driver::Null | Driver::Ipvlan(_)) => None,
            ("", _) => Some(drawn_mac(&id)),
            (text, _) => Some(text.parse().map_err(Error::invalid)?),
        };
        let lease = Lease {
            container: owner.id.to_owned(),
            endpoint: id.clone(),
            mac,
            ipv4: parse_address::<Ipv4Addr>(&wishes.ipv4_address, "IPv4")?,
            ipv6: parse_address::<Ipv6Addr>(&wishes.ipv6_address, "IPv6")?,
            without_ipv6: owner.without_ipv6,
        };
        let link_local = wishes.link_local_ips.iter().map(|text| parse_address::<IpAddr>(text, "link-local"));
        let link_local = link_local.filter_map(Result::transpose).collect::<Result<_>>()?;
        let driver_opts = settings.driver_opts.clone().unwrap_or_default();
        let interface = interface_name(&network, &driver_opts, taken)?;
        let leased = networks.lease(&network, &lease)?;
        let gateway = |address: Option<IpAddr>| address.and_then(|address| network.gateway_for(address));
        let endpoint = Endpoint {
            network_id: network.id.clone(),
            network: network.name.clone(),
            host_interface: match network.driver {
                Driver::Bridge(_) => format!("veth{}", &id[..7]),
                _ => String::new(),
            },
            interface,
            mac,
            ipv4: leased.ipv4,
            ipv6: leased.ipv6,
            link_local,
            gateway4: gateway(leased.ipv4.map(|net| net.addr().into())),
            gateway6: gateway(leased.ipv6.map(|net| net.addr().into())),
            dns_names: if network.has_names() { dns_names(owner, settings) } else { Vec::new() },
            links: settings.links.clone().unwrap_or_default(),
            driver_opts,
            gateway_priority: settings.gw_priority,
            id,
        };
        Ok(Self { network, endpoint })
    }

    /// Gives the addresses back.
    pub(crate) fn release(&self, networks: &Networks) {
        networks.release(&self.network.id, &self.endpoint.id);
    }

    /// Its addresses, IPv4 first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (v4, v6) = (self.endpoint.ipv4, self.endpoint.ipv6);
        v4.map(|net| net.addr().into()).into_iter().chain(v6.map(|net| net.addr().into()))
    }

    /// The interface to be made; `None` on networks without.
    pub(crate) fn attachment(&self, mark: String) -> Option<Attachment> {
        let Endpoint { interface, host_interface, mac, ipv4, ipv6, link_local, driver_opts, .. } =
            &self.endpoint;
        let (kind, mtu) = match &self.network.driver {
            Driver::Bridge(bridge) => {
                let kind = LinkKind::Veth {
                    host_name: host_interface.clone(),
                    bridge: bridge.link.clone(),
                    isolated: !bridge.icc,
                };
                (kind, bridge.mtu)
            }
            Driver::Macvlan(link) => {
                (LinkKind::Macvlan { parent: link.parent.clone(), mode: link.mode.clone() }, 0)
            }
            Driver::Ipvlan(link) => {
                let (parent, mode, flag) = (link.parent.clone(), link.mode.clone(), link.flag.clone());
                (LinkKind::Ipvlan { parent, mode, flag }, 0)
            }
            Driver::Host | Driver::Null => return None,
        };
        let own = ipv4.map(IpNet::V4).into_iter().chain(ipv6.map(IpNet::V6));
        let local = link_local.iter().map(|address| match address {
            IpAddr::V4(address) => IpNet::V4(Ipv4Net::new_assert(*address, 16)),
            IpAddr::V6(address) => IpNet::V6(Ipv6Net::new_assert(*address, 64)),
        });
        Some(Attachment {
            name: interface.clone(),
            alias: mark,
            mac: *mac,
            addresses: own.chain(local).collect(),
            mtu,
            kind,
            sysctls: sysctls(driver_opts.get(SYSCTLS).map_or("", String::as_str), interface),
        })
    }

    /// The default route it could give.
    fn route(&self, v6: bool) -> Option<DefaultRoute> {
        let Endpoint { interface, ipv4, ipv6, gateway4, gateway6, .. } = &self.endpoint;
        let (has, gateway) = if v6 { (ipv6.is_some(), gateway6) } else { (ipv4.is_some(), gateway4) };
        let straight = matches!(&self.network.driver, Driver::Ipvlan(link) if link.mode.starts_with("l3"));
        match (has, gateway) {
            (true, Some(gateway)) if !straight => {
                Some(DefaultRoute { interface: interface.clone(), gateway: Some(*gateway) })
            }
            (true, _) if straight && !self.network.internal => {
                Some(DefaultRoute { interface: interface.clone(), gateway: None })
            }
            _ => None,
        }
    }

    /// Where packets from outside come in through it; only bridges that aren't cut off publish ports.
    fn door(&self, v6: bool) -> Option<Door> {
        let bridge = self.network.bridge().filter(|_| !self.network.internal)?;
        let address = match v6 {
            false => self.endpoint.ipv4?.addr().into(),
            true => self.endpoint.ipv6?.addr().into(),
        };
        let mode = if v6 { bridge.gateway_mode6 } else { bridge.gateway_mode4 };
        Some(Door {
            address,
            bridge: bridge.link.clone(),
            host_binding: bridge.host_binding,
            routed: mode == GatewayMode::Routed,
        })
    }
}

/// The endpoints in the order in which they are preferred for the default route: priority, not cut off, with more
/// gateways, name.
pub(crate) fn by_preference(places: &[Place]) -> Vec<&Place> {
    let mut sorted: Vec<_> = places.iter().collect();
    sorted.sort_by_key(|place| {
        let gateways = [false, true].into_iter().filter(|v6| place.route(*v6).is_some()).count();
        let endpoint = &place.endpoint;
        (
            Reverse(endpoint.gateway_priority),
            place.network.internal,
            Reverse(gateways),
            endpoint.network.clone(),
        )
    });
    sorted
}

/// The endpoints that a container starts with, in the order of preference, and their interfaces numbered in it: eth0
/// is where the default route goes. Names that were asked for are nobody else's.
pub(crate) fn numbered(places: &[Place]) -> Result<Vec<Place>> {
    let (asked, others): (Vec<_>, Vec<_>) = by_preference(places)
        .into_iter()
        .cloned()
        .partition(|place| asked_name(&place.endpoint.driver_opts).is_some());
    let mut named = Vec::new();
    for mut place in asked.into_iter().chain(others) {
        place.endpoint.interface = interface_name(&place.network, &place.endpoint.driver_opts, &named)?;
        named.push(place);
    }
    Ok(by_preference(&named).into_iter().cloned().collect())
}

/// The default routes of both families.
pub(crate) fn default_routes(places: &[Place]) -> (Option<DefaultRoute>, Option<DefaultRoute>) {
    let order = by_preference(places);
    let first = |v6| order.iter().find_map(|place| place.route(v6));
    (first(false), first(true))
}

/// Where ports come in: through the endpoints that give the default routes.
pub(crate) fn doors(places: &[Place]) -> (Option<Door>, Option<Door>) {
    let order = by_preference(places);
    let first = |v6| order.iter().find(|place| place.route(v6).is_some()).and_then(|place| place.door(v6));
    (first(false), first(true))
}

/// Whether any of them leads outside.
pub(crate) fn leads_outside(places: &[Place]) -> bool {
    places.iter().any(|place| place.route(false).is_some() || place.route(true).is_some())
}

/// The names it answers to: container, aliases, short identifier, host name. The first is told for its address.
pub(crate) fn dns_names(owner: Owner<'_>, settings: &EndpointSettings) -> Vec<String> {
    let aliases = settings.aliases.iter().flatten().cloned();
    let own = [owner.id.chars().take(12).collect(), owner.hostname.to_owned()];
    let mut names = vec![owner.name.to_owned()];
    names.extend(aliases.chain(own));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// A locally administered hardware address, from the random digits of the endpoint's identifier.
fn drawn_mac(id: &str) -> MacAddress {
    let digit = |at: usize| id.get(at * 2 + 16..at * 2 + 18).and_then(|two| u8::from_str_radix(two, 16).ok());
    let byte = |at| digit(at).unwrap_or_default();
    MacAddress([0x02, 0x42, byte(0), byte(1), byte(2), byte(3)])
}

fn parse_address<T: std::str::FromStr>(text: &str, what: &str) -> Result<Option<T>> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Error::invalid(format!("invalid {what} address: {text}"))),
    }
}

/// The interface's name: as asked for, else the next free one (`eth0`, `eth1` …).
fn interface_name(network: &Network, options: &BTreeMap<String, String>, taken: &[Place]) -> Result<String> {
    let free = |name: &str| taken.iter().all(|place| place.endpoint.interface != name);
    let prefix = match &network.driver {
        Driver::Host | Driver::Null => return Ok(String::new()),
        Driver::Bridge(bridge) if !bridge.interface_prefix.is_empty() => &bridge.interface_prefix,
        _ => "eth",
    };
    match asked_name(options) {
        Some(name) if !free(name) => {
            Err(Error::invalid(format!("error renaming interface to {name}: file exists")))
        }
        Some(name) => Ok(name.to_owned()),
        None => {
            let mut names = (0..=taken.len()).map(|number| format!("{prefix}{number}"));
            names.find(|name| free(name)).ok_or_else(|| Error::internal("no interface name is free"))
        }
    }
}

/// The interface's name, if one was asked for.
fn asked_name(options: &BTreeMap<String, String>) -> Option<&str> {
    options.get(INTERFACE).map(String::as_str).filter(|name| !name.is_empty())
}

/// Whether the kernel takes it as an interface's name, and the loopback keeps its own.
pub(crate) fn is_interface_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':' && b != b'%';
    !matches!(name, "" | "." | ".." | "lo" | "all" | "default") && name.len() <= 15 && name.bytes().all(plain)
}

/// `net.ipv4.conf.IFNAME.x=1,…` for an interface.
fn sysctls(text: &str, interface: &str) -> Vec<(String, String)> {
    let entries = text.split(',').filter_map(|entry| entry.split_once('='));
    entries
        .map(|(name, value)| {
            let mut parts: Vec<_> = name.trim().splitn(5, '.').collect();
            if let Some(part) = parts.get_mut(3).filter(|part| part.eq_ignore_ascii_case("ifname")) {
                *part = interface;
            }
            (parts.join("."), value.trim().to_owned())
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::model::{Bridge, Subnet};
    use super::*;

    /// A bridge network of users.
    pub(crate) fn network(name: &str, internal: bool) -> Arc<Network> {
        let subnet = |subnet: &str, gateway: &str| Subnet {
            subnet: subnet.parse().unwrap(),
            range: None,
            gateway: Some(gateway.parse().unwrap()),
            auxiliary: BTreeMap::new(),
        };
        let asked = |subnet: &str| boxship_api::network::IpamConfig {
            subnet: subnet.to_owned(),
            ..Default::default()
        };
        Arc::new(Network {
            id: format!("{name}-id"),
            name: name.to_owned(),
            created: 0,
            driver: Driver::Bridge(Bridge { link: format!("br-{name}"), ..Bridge::default() }),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
            ipv4: true,
            ipv6: true,
            internal,
            attachable: false,
            config_only: false,
            config_from: String::new(),
            subnets: vec![subnet("10.0.0.0/24", "10.0.0.1"), subnet("fd00::/64", "fd00::1")],
            ipam: boxship_api::network::Ipam {
                config: Some(["10.0.0.0/24", "fd00::/64"].map(asked).into()),
                ..Default::default()
            },
        })
    }

    /// A place on it.
    pub(crate) fn place(name: &str, internal: bool, priority: i64, v6: bool) -> Place {
        let network = network(name, internal);
        let gateway = |text: &str| Some(text.parse().unwrap()).filter(|_| !internal);
        let endpoint = Endpoint {
            id: format!("{name}-endpoint"),
            network_id: network.id.clone(),
            network: name.to_owned(),
            interface: format!("eth-{name}"),
            ipv4: Some("10.0.0.2/24".parse().unwrap()),
            ipv6: Some("fd00::2/64".parse().unwrap()).filter(|_| v6),
            gateway4: gateway("10.0.0.1"),
            gateway6: gateway("fd00::1").filter(|_| v6),
            gateway_priority: priority,
            ..Endpoint::default()
        };
        Place { network, endpoint }
    }

    #[test]
    fn who_gives_the_default_route() {
        for (places, v4, v6) in [
            (vec![], None, None),
            (vec![place("b", false, 0, false), place("a", false, 0, false)], Some("a"), None),
            (vec![place("b", false, 1, false), place("a", false, 0, false)], Some("b"), None),
            (vec![place("b", false, 0, true), place("a", false, 0, false)], Some("b"), Some("b")),
            (vec![place("a", true, 9, true), place("b", false, 0, false)], Some("b"), None),
            (vec![place("b", false, 9, false), place("a", false, 0, true)], Some("b"), Some("a")),
            (vec![place("a", true, 0, true)], None, None),
        ] {
            let (route4, route6) = default_routes(&places);
            let name = |route: Option<DefaultRoute>| route.map(|route| route.interface);
            let expect = |name: Option<&str>| name.map(|name| format!("eth-{name}"));
            assert_eq!((name(route4), name(route6)), (expect(v4), expect(v6)));
            let (door4, door6) = doors(&places);
            let bridge = |door: Option<Door>| door.map(|door| door.bridge);
            let expect = |name: Option<&str>| name.map(|name| format!("br-{name}"));
            assert_eq!((bridge(door4), bridge(door6)), (expect(v4), expect(v6)));
            assert_eq!(leads_outside(&places), v4.is_some());
        }
    }

    #[test]
    fn interfaces_are_numbered() {
        let (network, mut options) = (network("x", false), BTreeMap::new());
        let mut taken = Vec::new();
        for expect in ["eth0", "eth1", "eth2"] {
            let name = interface_name(&network, &options, &taken).unwrap();
            assert_eq!(name, expect);
            let mut place = place("x", false, 0, false);
            place.endpoint.interface = name;
            taken.push(place);
        }
        taken.remove(1);
        assert_eq!(interface_name(&network, &options, &taken).unwrap(), "eth1");
        options.insert(INTERFACE.to_owned(), "wan".to_owned());
        assert_eq!(interface_name(&network, &options, &taken).unwrap(), "wan");
        for (name, good) in
            [("eth0", true), ("", false), ("lo", false), ("a/b", false), ("sixteen-letters-", false)]
        {
            assert_eq!(is_interface_name(name), good, "{name}");
        }
    }

    #[test]
    fn the_preferred_endpoint_is_the_first_interface() {
        let named = |places: &[Place]| {
            let told = |place: Place| format!("{} {}", place.network.name, place.endpoint.interface);
            numbered(places).map(|places| places.into_iter().map(told).collect::<Vec<_>>().join(", "))
        };
        let plain = |name: &str, internal: bool, priority: i64| place(name, internal, priority, false);
        let asks = |mut place: Place, name: &str| {
            place.endpoint.driver_opts.insert(INTERFACE.to_owned(), name.to_owned());
            place
        };
        for (places, expect) in [
            (vec![plain("b", false, 0), plain("a", false, 0)], "a eth0, b eth1"),
            (vec![plain("a", true, 0), plain("b", false, 0), plain("c", false, 9)], "c eth0, b eth1, a eth2"),
            (vec![plain("a", false, 0), asks(plain("b", false, 0), "eth0")], "a eth1, b eth0"),
            (vec![asks(plain("a", false, 0), "lan"), plain("b", false, 0)], "a lan, b eth0"),
        ] {
            assert_eq!(named(&places).unwrap(), expect);
        }
        let same = [asks(plain("a", false, 0), "lan"), asks(plain("b", false, 0), "lan")];
        assert_eq!(named(&same).unwrap_err().to_string(), "error renaming interface to lan: file exists");
    }

    #[test]
    fn parameters_of_the_interface() {
        assert_eq!(sysctls("", "eth0"), []);
        assert_eq!(
            sysctls("net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.a.b=0", "eth1"),
            [
                ("net.ipv4.conf.eth1.log_martians".to_owned(), "1".to_owned()),
                ("net.ipv6.conf.eth1.a.b".to_owned(), "0".to_owned())
            ]
        );
    }

    #[test]
    fn names_are_told_once() {
        let id = "0123456789abcdef";
        let owner = Owner { id, name: "web", hostname: "0123456789ab", without_ipv6: false };
        let settings = EndpointSettings {
            aliases: Some(vec!["www".into(), "web".into()]),
            ..EndpointSettings::default()
        };
        assert_eq!(dns_names(owner, &settings), ["web", "www", "0123456789ab"]);
        let named = Owner { hostname: "host", ..owner };
        assert_eq!(dns_names(named, &settings), ["web", "www", "0123456789ab", "host"]);
    }
}
