//! The table under real packets, between network namespaces.

mod world;

use std::net::IpAddr;

use super::*;
use crate::ports::Protocol::{self, Tcp, Udp};
use world::World;

fn network(number: u8) -> Network {
    Network {
        bridge: format!("br{number}"),
        subnets: vec![
            format!("172.2{number}.0.0/24").parse().unwrap(),
            format!("fd2{number}::/64").parse().unwrap(),
        ],
        icc: true,
        masquerade4: true,
        masquerade6: true,
        ..Network::default()
    }
}

fn port(protocol: Protocol, host: &str, host_port: u16, address: &str, port: u16) -> Published {
    let address: IpAddr = address.parse().unwrap();
    Published {
        protocol,
        host_address: host.parse().unwrap(),
        host_port,
        address,
        port,
        bridge: "br0".into(),
    }
}

/// Port 8080 of everywhere to port 80 of container "one".
fn everywhere() -> Vec<Published> {
    [Tcp, Udp]
        .into_iter()
        .flat_map(|protocol| {
            [
                port(protocol, "0.0.0.0", 8080, "172.20.0.2", 80),
                port(protocol, "::", 8080, "fd20::2", 80),
            ]
        })
        .collect()
}

fn firewall(world: &World, ports: &[Published]) -> Firewall {
    let firewall = world.inside("host", || Firewall::open("boxship", Mode::Docker).unwrap());
    firewall.replace(&[network(0), network(1)], ports).unwrap();
    firewall
}

#[test]
fn the_listing_is_what_nft_reads() {
    let world = World::new();
    let mut ports = everywhere();
    ports.push(port(Tcp, "10.9.0.1", 443, "172.20.0.3", 8443));
    ports.extend((9000..9010).map(|number| port(Tcp, "0.0.0.0", number, "172.20.0.2", number)));
    ports.extend((9000..9010).map(|number| port(Tcp, "fd09::1", number, "fd20::2", number)));
    let _firewall = firewall(&world, &ports);
    let listing = world.listing();
    println!("{listing}");
    world.nft(&format!("flush ruleset\n{listing}"));
    assert_eq!(world.listing(), listing);
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    let world = World::new();
    world.serve("one", 80);
    let _firewall = firewall(&world, &everywhere());
    for protocol in [Tcp, Udp] {
        for (member, address, expect) in [
            ("outside", "10.9.0.1:8080", "one 10.9.0.2"),
            ("outside", "[fd09::1]:8080", "one fd09::3"),
            ("host", "127.0.0.1:8080", "one 172.20.0.1"),
            ("host", "10.9.0.1:8080", "one 10.9.0.1"),
            ("host", "172.20.0.1:8080", "one 172.20.0.1"),
            ("host", "[fd09::1]:8080", "one fd09::1"),
            ("one", "10.9.0.1:8080", "one 172.20.0.1"),
            ("two", "10.9.0.1:8080", "one 172.20.0.1"),
            ("two", "172.20.0.1:8080", "one 172.20.0.1"),
            ("two", "[fd09::1]:8080", "one fd20::1"),
            ("three", "10.9.0.1:8080", "one 172.20.0.1"),
            ("three", "[fd09::1]:8080", "one fd20::1"),
        ] {
            let said = world.ask(member, address, protocol);
            assert_eq!(said.as_deref(), Ok(expect), "{member} asks {address} {protocol:?}");
        }
    }
}
