//! What the table should hold: networks, ports, and whom it guards; and the shape that it has for them. Pure; a change of
//! it is one that the table follows, see [`super::Firewall`].

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::Network;
use super::elements::{self, Route, family_of};
use super::others::Others;
use super::pair::Pair;
use crate::nft::rule::Family;
use crate::nft::set::Element;
use crate::ports::Published;
use crate::{Error, Result};

/// What the table should hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) networks: BTreeMap<String, Network>,
    /// For each route pairs of the host's port and the container's.
    pub(super) routes: BTreeMap<Route, BTreeSet<(u16, u16)>>,
    /// What isn't forwarded between interfaces that are none of ours.
    pub(super) others: Others,
    /// What rules of others make necessary.
    pub(super) regard: Regard,
}

/// How a table is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Families that forward for containers only: others' packets are dropped.
    pub(crate) guarded: BTreeSet<Family>,
    /// The private pair of links, if it is needed.
    pub(crate) pair: Option<Pair>,
    /// What comes by the pair was let in by the host's own rules, and nothing else is translated (honest mode).
    pub(crate) honest: bool,
    /// `[::1]` leads to published ports too.
    pub(crate) localhost6: bool,
    /// The lengths that subnets have.
    pub(crate) lengths: BTreeSet<(Family, u8)>,
    /// What others' rules make necessary.
    pub(crate) regard: Regard,
}

/// What rules of others make necessary, each at a price for all packets: once seen, it stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regard {
    /// They ask for our mark.
    pub(crate) marked: bool,
    /// They set priorities, by which the programs on bridges know what the table let through.
    pub(crate) prioritized: bool,
}

impl Regard {
    /// What either of them makes necessary.
    pub(super) fn and(self, other: Self) -> Self {
        Self { marked: self.marked || other.marked, prioritized: self.prioritized || other.prioritized }
    }
}

impl Shape {
    /// The link by which packets come back, for a chain that is about it.
    pub(super) fn back(&self) -> Option<&str> {
        self.pair.as_ref().map(|pair| pair.back.as_str())
    }

    pub(super) fn admitted_from(&self) -> Option<&str> {
        self.back().filter(|_| self.honest)
    }
}

impl Wanted {
    /// Adds ports; a host's port leads to one place only.
    pub(super) fn add(&mut self, ports: &[Published]) -> Result<()> {
        for port in ports {
            // A relay from IPv6 to IPv4 is known, so that internal networks are kept from it.
            if port.host_address.is_ipv4() && port.address.is_ipv6() {
                let (from, to) = (port.host_address, port.address);
                return Err(Error::Invalid(format!(
                    "cannot publish {from} to {to}: not the same IP version"
                )));
            }
            if self.others(port) {
                return Err(Error::PortInUse {
                    address: std::net::SocketAddr::new(port.host_address, port.host_port).to_string(),
                    protocol: port.protocol.name(),
                });
            }
            self.routes.entry(Route::from(port)).or_default().insert((port.host_port, port.port));
        }
        Ok(())
    }

    /// Whether the host's port of the same address leads elsewhere.
    fn others(&self, port: &Published) -> bool {
        let lowest = std::net::Ipv4Addr::UNSPECIFIED.into();
        let from = Route { address: lowest, ..Route::from(port) };
        self.routes
            .range(from..)
            .take_while(|(route, _)| {
                (route.protocol, route.host_address) == (port.protocol, port.host_address)
            })
            .filter_map(|(route, ports)| {
                let (_, inside) = ports.range((port.host_port, 0)..=(port.host_port, u16::MAX)).next()?;
                Some((route.address, *inside))
            })
            .any(|to| to != (port.address, port.port))
    }

    pub(super) fn published(&self) -> Vec<Published> {
        let bridge_of = |address| {
            let networks = self.networks.values();
            let mut at =
                networks.filter(|network| network.subnets.iter().any(|subnet| subnet.contains(&address)));
            at.next().map(|network| network.bridge.clone()).unwrap_or_default()
        };
        let of_route = |(route, ports): (&Route, &BTreeSet<(u16, u16)>)| -> Vec<Published> {
            let one = |(host_port, port): &(u16, u16)| Published {
                protocol: route.protocol,
                host_address: route.host_address,
                host_port: *host_port,
                address: route.address,
                port: *port,
                bridge: bridge_of(route.address),
            };
            ports.iter().map(one).collect()
        };
        self.routes.iter().filter(|(route, _)| !route.is_relayed()).flat_map(of_route).collect()
    }

    pub(super) fn subnets(&self) -> Vec<IpNet> {
        self.networks.values().flat_map(|network| network.subnets.iter().copied()).collect()
    }

    /// How a table for that is made; the pair is had if it is needed.
    pub(super) fn shape(&self, honest: bool, pair: Pair) -> Shape {
        let subnets = self.subnets();
        let localhost6 = subnets.iter().any(|subnet| subnet.addr().is_ipv6());
        Shape {
            guarded: self.others.families(),
            pair: (honest || localhost6).then_some(pair),
            honest,
            localhost6,
            lengths: subnets.iter().map(|net| (family_of(net.addr()), net.prefix_len())).collect(),
            regard: self.regard,
        }
    }

    /// These routes alone.
    pub(super) fn only(&self, routes: &BTreeSet<Route>) -> Wanted {
        let known = routes.iter().filter_map(|route| Some((*route, self.routes.get(route)?.clone())));
        Wanted { routes: known.collect(), ..Wanted::default() }
    }

    pub(super) fn remove(&mut self, ports: &[Published]) {
        for port in ports {
            let route = Route::from(port);
            let Some(known) = self.routes.get_mut(&route) else { continue };
            known.remove(&(port.host_port, port.port));
            if known.is_empty() {
                self.routes.remove(&route);
            }
        }
    }
}

/// The elements of routes in a table of that shape.
pub(super) fn elements_of(shape: &Shape, wanted: &Wanted, routes: &BTreeSet<Route>) -> Vec<Element> {
    let mut found = Vec::new();
    for (route, ports) in routes.iter().filter_map(|route| Some((route, wanted.routes.get(route)?))) {
        let elements = elements::of_route(route, ports);
        if shape.honest {
            found.extend(elements::asked(&elements));
        }
        if shape.localhost6 {
            found.extend(elements::at_localhost(route, &elements));
        }
        found.extend(elements);
    }
    found
}
