//! Networks and ports as elements of the table's sets and maps. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::Network;
use super::pair::NEAR;
use super::table::{
    ASKED, ASKED_AT, BRIDGES, CHECKED, INTERNAL, LOCALHOST, MASQUERADED, MEMBERS, NEIGHBOURS, OPENED, PORTS,
    PORTS_AT, RANGES, RANGES_AT, RELAYED, RELAYED_AT, SUBNETS, UNPROTECTED, of, of_length,
};
use crate::nft::rule::Family;
use crate::nft::set::{Element, Key};
use crate::ports::{Protocol, Published};

/// Ports of one host address that go to one container's address: what may be told as ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Route {
    pub(crate) protocol: Protocol,
    pub(crate) host_address: IpAddr,
    pub(crate) address: IpAddr,
}

impl Route {
    /// Nothing is translated: a port is let in at the container's own address.
    pub(crate) fn is_routed(&self) -> bool {
        self.host_address == self.address
    }

    /// Carried from one family to the other by a program, not by the table.
    pub(crate) fn is_relayed(&self) -> bool {
        self.host_address.is_ipv4() != self.address.is_ipv4()
    }
}

impl From<&Published> for Route {
    fn from(port: &Published) -> Self {
        Self { protocol: port.protocol, host_address: port.host_address, address: port.address }
    }
}

impl Protocol {
    /// Its number in the IP header.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

pub(crate) fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

pub(crate) fn bytes_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The elements of a network.
pub(crate) fn of_network(network: &Network) -> Vec<Element> {
    let bridge = || Key::new().interface(&network.bridge);
    let flag = |set: &str, on: bool| on.then(|| Element::new(set, bridge().done()));
    let mut elements: Vec<Element> = [
        flag(BRIDGES, true),
        flag(CHECKED, !network.foreign),
        flag(INTERNAL, network.internal),
        flag(UNPROTECTED, network.unprotected),
    ]
    .into_iter()
    .flatten()
    .collect();
    if network.icc {
        elements.push(Element::new(NEIGHBOURS, bridge().interface(&network.bridge).done()));
    }
    for subnet in &network.subnets {
        let family = family_of(subnet.addr());
        let masqueraded = match family {
            Family::V4 => network.masquerade4,
            Family::V6 => network.masquerade6,
        };
        elements.push(member(&network.bridge, family, subnet));
        let length = (family, subnet.prefix_len());
        let first = bytes_of(subnet.network());
        let member = bridge().part(&first).done();
        elements.push(Element::new(of_length(MEMBERS, length), member));
        elements.push(Element::new(of_length(SUBNETS, length), first));
        if masqueraded && !network.internal {
            elements.push(range(of(MASQUERADED, family), subnet));
        }
    }
    elements
}

fn member(bridge: &str, family: Family, subnet: &IpNet) -> Element {
    let key = |address: IpAddr| Key::new().interface(bridge).part(&bytes_of(address)).done();
    Element {
        set: of(MEMBERS, family),
        key: key(subnet.network()),
        end: Some(key(last_of(subnet))),
        value: Vec::new(),
    }
}

fn last_of(subnet: &IpNet) -> IpAddr {
    match subnet {
        IpNet::V4(subnet) => subnet.broadcast().into(),
        IpNet::V6(subnet) => subnet.broadcast().into(),
    }
}

/// A range of bare addresses, whose end is the first address behind it.
fn range(set: String, subnet: &IpNet) -> Element {
    let end = match last_of(subnet) {
        IpAddr::V4(last) => u32::from(last).checked_add(1).map(|next| next.to_be_bytes().to_vec()),
        IpAddr::V6(last) => u128::from(last).checked_add(1).map(|next| next.to_be_bytes().to_vec()),
    };
    Element { set, key: bytes_of(subnet.network()), end, value: Vec::new() }
}

/// The elements of the ports of one route (pairs of the host's port and the container's): a run of ports that keep
/// their number is one element; a map cannot add to a port, so each of the others is one of its own.
pub(crate) fn of_route(route: &Route, ports: &BTreeSet<(u16, u16)>) -> Vec<Element> {
    if route.is_routed() {
        return ports.iter().map(|(_, inside)| opened(route, *inside)).collect();
    }
    if route.is_relayed() {
        return ports.iter().map(|(outside, _)| relayed(route, *outside)).collect();
    }
    let mut elements = Vec::new();
    let mut left = ports.iter().copied().peekable();
    while let Some((first, inside)) = left.next() {
        let mut last = first;
        while first == inside && left.next_if_eq(&(last.saturating_add(1), last.saturating_add(1))).is_some()
        {
            last += 1;
        }
        elements.push(if first == last { single(route, first, inside) } else { run(route, first, last) });
    }
    elements
}

/// A port of a routed network.
fn opened(route: &Route, port: u16) -> Element {
    Element::new(of(OPENED, family_of(route.address)), key_of(route, port))
}

/// A port of the host that containers of internal networks must not ask.
fn relayed(route: &Route, port: u16) -> Element {
    let set = if route.host_address.is_unspecified() { RELAYED } else { RELAYED_AT };
    let key = Key::new();
    let key = match route.host_address {
        at if at.is_unspecified() => key,
        at => key.part(&bytes_of(at)),
    };
    let key = key.part(&[route.protocol.number()]).port(port).done();
    Element::new(of(set, Family::V6), key)
}

/// What honest mode has to know besides: which ports are asked for at all.
pub(crate) fn asked(elements: &[Element]) -> Vec<Element> {
    let known = elements.iter().filter_map(|element| {
        let (name, version) = element.set.split_at_checked(element.set.len().checked_sub(1)?)?;
        let set = match name {
            PORTS | RANGES => ASKED,
            PORTS_AT | RANGES_AT => ASKED_AT,
            _ => return None,
        };
        let end = element.end.clone().or(Some(element.key.clone()));
        Some(Element { set: format!("{set}{version}"), key: element.key.clone(), end, value: Vec::new() })
    });
    known.collect()
}

/// The ports that `[::1]` leads to: those of all addresses, and its own.
pub(crate) fn at_localhost(route: &Route, elements: &[Element]) -> Vec<Element> {
    let leads = [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST].map(IpAddr::V6).contains(&route.host_address);
    let is_meant = leads && !route.is_relayed();
    let set = of(LOCALHOST, Family::V6);
    let port_of = |key: &[u8]| key[key.len().saturating_sub(8)..].to_vec();
    let known = elements.iter().filter(|_| is_meant).map(|element| Element {
        set: set.clone(),
        key: port_of(&element.key),
        end: Some(port_of(element.end.as_ref().unwrap_or(&element.key))),
        value: Vec::new(),
    });
    known.collect()
}

fn single(route: &Route, host_port: u16, port: u16) -> Element {
    let value = Key::new().part(&bytes_of(route.address)).port(port).done();
    Element { set: set_of(route, PORTS, PORTS_AT), key: key_of(route, host_port), end: None, value }
}

fn run(route: &Route, first: u16, last: u16) -> Element {
    Element {
        set: set_of(route, RANGES, RANGES_AT),
        key: key_of(route, first),
        end: Some(key_of(route, last)),
        value: bytes_of(route.address),
    }
}

fn set_of(route: &Route, everywhere: &str, at: &str) -> String {
    of(if route.host_address.is_unspecified() { everywhere } else { at }, family_of(route.address))
}

fn key_of(route: &Route, port: u16) -> Vec<u8> {
    let key = Key::new();
    let at = if route.host_address == Ipv6Addr::LOCALHOST { NEAR.into() } else { route.host_address };
    let key = if at.is_unspecified() { key } else { key.part(&bytes_of(at)) };
    key.part(&[route.protocol.number()]).port(port).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_keep_their_number_are_one_element() {
        let route = Route {
            protocol: Protocol::Tcp,
            host_address: [0, 0, 0, 0].into(),
            address: [172, 20, 0, 2].into(),
        };
        for (ports, expect) in [
            (vec![(80, 80)], vec!["ports4"]),
            (vec![(80, 80), (81, 81), (82, 82)], vec!["ranges4"]),
            (vec![(80, 81), (81, 82)], vec!["ports4", "ports4"]),
            (
                vec![(80, 80), (81, 81), (83, 83), (84, 90), (85, 85)],
                vec!["ranges4", "ports4", "ports4", "ports4"],
            ),
            (vec![(65534, 65534), (65535, 65535)], vec!["ranges4"]),
        ] {
            let elements = of_route(&route, &ports.iter().copied().collect());
            let sets: Vec<&str> = elements.iter().map(|element| element.set.as_str()).collect();
            assert_eq!(sets, expect, "{ports:?}");
        }
    }

    #[test]
    fn a_subnet_at_the_end_of_the_address_space_has_no_end() {
        let network = Network {
            subnets: vec!["255.255.255.0/24".parse().unwrap()],
            masquerade4: true,
            ..Network::default()
        };
        let elements = of_network(&network);
        let subnet = elements.iter().find(|element| element.set == "masqueraded4").unwrap();
        assert_eq!(subnet.end, None);
    }
}
