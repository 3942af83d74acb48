//! The table under real packets, between network namespaces.

mod closed;
mod frames;
mod others;
mod world;

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use boxship_sys::bpf::{self, Side};

use super::last_resort::Way;
use super::*;
use crate::netlink::Protocol as Protocols;
use crate::ports::Protocol::{self, Tcp, Udp};
use crate::rtnetlink::link;
use world::World;

/// Both ways to attach programs, and frames that come by the firewall before them (br_netfilter) or don't.
const WAYS: [(Way, &str); 3] = [(Way::Link, "1"), (Way::Link, "0"), (Way::Classifier, "0")];

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
            [port(protocol, "0.0.0.0", 8080, "172.20.0.2", 80), port(protocol, "::", 8080, "fd20::2", 80)]
        })
        .collect()
}

fn firewall(world: &World, ports: &[Published]) -> Firewall {
    firewall_by(world, Way::Link, ports)
}

fn firewall_by(world: &World, way: Way, ports: &[Published]) -> Firewall {
    world.inside("host", || {
        let mut firewall = Firewall::open("boxship", Mode::Docker).unwrap();
        firewall.last_resort = LastResort::open_by("boxship", way).unwrap();
        firewall.replace(&[network(0), network(1)], ports).unwrap();
        firewall
    })
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
    for (way, bridged) in WAYS {
        println!("{way:?}, bridged frames {bridged}");
        let world = World::new();
        world.set("bridge/bridge-nf-call-iptables", bridged);
        world.set("bridge/bridge-nf-call-ip6tables", bridged);
        reached_from_everywhere(&world, way);
    }
}

fn reached_from_everywhere(world: &World, way: Way) {
    world.serve("one", 80);
    let _firewall = firewall_by(world, way, &everywhere());
    for protocol in [Tcp, Udp] {
        for (member, address, expect) in [
            ("outside", "10.9.0.1:8080", "one 10.9.0.2"),
            ("outside", "[fd09::1]:8080", "one fd09::2"),
            ("host", "127.0.0.1:8080", "one 172.20.0.1"),
            ("host", "10.9.0.1:8080", "one 10.9.0.1"),
            ("host", "172.20.0.1:8080", "one 172.20.0.1"),
            ("host", "[fd09::1]:8080", "one fd09::1"),
            ("host", "[::1]:8080", "one fd20::1"),
            ("one", "10.9.0.1:8080", "one 172.20.0.1"),
            ("two", "10.9.0.1:8080", "one 172.20.0.1"),
            ("two", "172.20.0.1:8080", "one 172.20.0.1"),
            ("two", "[fd09::1]:8080", "one fd20::1"),
            ("three", "10.9.0.1:8080", "one 172.20.0.1"),
            ("three", "[fd09::1]:8080", "one fd20::1"),
        ] {
            let said = world.hear(member, address, protocol);
            assert_eq!(said.as_deref(), Ok(expect), "{member} asks {address} {protocol:?}");
        }
    }
}

/// Nobody answers.
fn silent(world: &World, member: &str, address: &str, why: &str) {
    for protocol in [Tcp, Udp] {
        let said = world.ask(member, address, protocol);
        assert!(said.is_err(), "{why}: {member} asks {address} {protocol:?}: {said:?}");
    }
}

fn answers(world: &World, member: &str, address: &str, expect: &str) {
    for protocol in [Tcp, Udp] {
        let said = world.hear(member, address, protocol);
        assert_eq!(said.as_deref(), Ok(expect), "{member} asks {address} {protocol:?}");
    }
}

#[test]
fn networks_are_islands() {
    let world = World::new();
    for member in ["one", "two", "three", "outside"] {
        world.serve(member, 80);
    }
    world.serve("host", 81);
    let firewall = firewall(&world, &[]);
    answers(&world, "one", "172.20.0.3:80", "two 172.20.0.2");
    answers(&world, "one", "[fd20::3]:80", "two fd20::2");
    answers(&world, "host", "172.20.0.2:80", "one 172.20.0.1");
    answers(&world, "one", "10.9.0.2:80", "outside 10.9.0.1");
    answers(&world, "one", "[fd09::2]:80", "outside fd09::1");
    assert_eq!(world.hear("one", "10.9.0.1:81", Tcp).as_deref(), Ok("host 172.20.0.2"));
    for address in ["172.21.0.2:80", "[fd21::2]:80"] {
        silent(&world, "one", address, "another network");
        silent(&world, "outside", address, "routed from outside");
    }

    firewall.set_network(&Network { icc: false, ..network(0) }).unwrap();
    silent(&world, "one", "172.20.0.3:80", "no talk among members");
    answers(&world, "one", "10.9.0.2:80", "outside 10.9.0.1");

    firewall.set_network(&Network { internal: true, ..network(0) }).unwrap();
    answers(&world, "one", "172.20.0.3:80", "two 172.20.0.2");
    answers(&world, "one", "172.20.0.1:81", "host 172.20.0.2");
    answers(&world, "host", "172.20.0.2:80", "one 172.20.0.1");
    for address in ["10.9.0.2:80", "[fd09::2]:80", "10.9.0.1:81", "[fd09::1]:81", "172.21.0.2:80"] {
        silent(&world, "one", address, "out of an internal network");
    }
    silent(&world, "outside", "172.20.0.2:80", "into an internal network");

    firewall.set_network(&Network { unprotected: true, ..network(0) }).unwrap();
    answers(&world, "outside", "172.20.0.2:80", "one 10.9.0.2");
    answers(&world, "outside", "[fd20::2]:80", "one fd09::2");

    let open = [Tcp, Udp].map(|protocol| port(protocol, "172.21.0.2", 80, "172.21.0.2", 80));
    firewall.publish(&open).unwrap();
    answers(&world, "outside", "172.21.0.2:80", "three 10.9.0.2");
    firewall.unpublish(&open).unwrap();
    silent(&world, "outside", "172.21.0.2:80", "closed again");

    firewall.set_network(&Network { masquerade4: false, ..network(0) }).unwrap();
    answers(&world, "one", "10.9.0.2:80", "outside 172.20.0.2");
    firewall.remove_network("br0").unwrap();
    firewall.remove_network("br0").unwrap();
}

/// A program of the host listens there for a container that has only IPv4.
#[test]
fn internal_networks_do_not_reach_what_is_relayed() {
    let world = World::new();
    for port in [81, 8080, 8081] {
        world.serve("host", port);
    }
    let everywhere = [Tcp, Udp].map(|protocol| port(protocol, "::", 8080, "172.21.0.2", 80));
    let at = [Tcp, Udp].map(|protocol| port(protocol, "fd20::1", 8081, "172.21.0.2", 80));
    for mode in [Mode::Docker, Mode::Honest] {
        let firewall = world.inside("host", || {
            let firewall = Firewall::open("boxship", mode).unwrap();
            firewall.replace(&[Network { internal: true, ..network(0) }, network(1)], &everywhere).unwrap();
            firewall.publish(&at).unwrap();
            firewall
        });
        let link_local = world.ip("host", "-6 -o addr show dev br0 scope link");
        let link_local = link_local.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
        let ping = format!("ping -q -i 0.02 -w 5 -c 1 {link_local}%eth0");
        world.exec("one", &ping);
        for port in [8080, 8081] {
            silent(&world, "one", &format!("[fd20::1]:{port}"), "relayed");
            answers(&world, "one", &format!("172.20.0.1:{port}"), "host 172.20.0.2");
            answers(&world, "three", &format!("[fd21::1]:{port}"), "host fd21::2");
            answers(&world, "host", &format!("[::1]:{port}"), "host ::1");
        }
        let scope = world.ip("one", "-o link show dev eth0");
        let scope = scope.split(':').next().unwrap();
        silent(&world, "one", &format!("[{link_local}%{scope}]:8080"), "relayed");
        answers(&world, "one", "[fd20::1]:81", "host fd20::2");
        assert_eq!(firewall.repair().unwrap(), None);
        firewall.unpublish(&at).unwrap();
        answers(&world, "one", "[fd20::1]:8081", "host fd20::2");
        silent(&world, "one", "[fd20::1]:8080", "still relayed");
        world.inside("host", || firewall.unpublish(&everywhere).unwrap());
        answers(&world, "one", "[fd20::1]:8080", "host fd20::2");
    }
}

#[test]
fn addresses_that_cannot_be_there_are_dropped() {
    let world = World::new();
    world.serve("one", 80);
    world.serve("three", 80);
    world.serve("host", 81);
    let mut ports = vec![port(Tcp, "127.0.0.1", 8080, "172.20.0.2", 80)];
    ports.push(port(Udp, "127.0.0.1", 8080, "172.20.0.2", 80));
    ports.extend([Tcp, Udp].map(|protocol| port(protocol, "10.9.0.1", 8081, "172.20.0.2", 80)));
    let _firewall = firewall(&world, &ports);
    answers(&world, "host", "127.0.0.1:8080", "one 172.20.0.1");
    answers(&world, "outside", "10.9.0.1:8081", "one 10.9.0.2");
    silent(&world, "outside", "10.9.0.1:8080", "published at localhost only");
    silent(&world, "host", "127.0.0.1:8081", "published at another address only");

    // A neighbour sends packets for the host's loopback, and the host would take them from its bridge.
    for (member, gateway, interface) in [("outside", "10.9.0.1", "eth0"), ("one", "172.20.0.1", "eth0")] {
        world.set(&format!("ipv4/conf/{interface}/route_localnet"), "1");
        world.inside(member, || {
            std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap();
        });
        world.ip(member, "route flush table local 127.0.0.0/8");
        world.ip(
            member,
            &format!(
                "route add 127.0.0.0/8 via {gateway} src {}",
                if member == "one" { "172.20.0.2" } else { "10.9.0.2" }
            ),
        );
        silent(&world, member, "127.0.0.1:8080", "loopback from outside");
        silent(&world, member, "127.0.0.1:81", "loopback from outside");
    }

    // A container with another's source, and one of outside with a container's.
    world.ip("one", "addr add 172.20.9.9/32 dev eth0");
    world.ip("host", "route add 172.20.9.9/32 dev br0");
    let said = world.ask_from("one", Some("172.20.9.9"), "10.9.0.1:81", Udp);
    assert!(said.is_err(), "a source of nobody: {said:?}");
    world.ip("outside", "addr add 172.21.0.9/32 dev eth0");
    world.ip("host", "route add 172.21.0.9/32 dev eth0");
    let said = world.ask_from("outside", Some("172.21.0.9"), "10.9.0.1:81", Udp);
    assert!(said.is_err(), "a container's source from outside: {said:?}");
    assert!(world.hear_from("outside", Some("10.9.0.3"), "10.9.0.1:81", Udp).is_ok());
}

#[test]
fn forwarding_is_for_containers_only_when_it_is_ours() {
    let world = World::new();
    world.serve("three", 80);
    let firewall = world.inside("host", || Firewall::open("boxship", Mode::Docker).unwrap());
    world.inside("host", || firewall.replace(&[network(0)], &[]).unwrap());
    answers(&world, "outside", "172.21.0.2:80", "three 10.9.0.2");
    firewall.guard_others(false).unwrap();
    silent(&world, "outside", "172.21.0.2:80", "not ours");
    answers(&world, "outside", "[fd21::2]:80", "three fd09::2");
    firewall.guard_others(true).unwrap();
    silent(&world, "outside", "[fd21::2]:80", "not ours");
    // The next daemon finds forwarding on, and knows from the table that it was not always.
    let listing = world.listing();
    drop(firewall);
    let next = world.inside("host", || Firewall::open("boxship", Mode::Docker).unwrap());
    world.inside("host", || next.replace(&[network(0)], &[]).unwrap());
    assert_eq!(world.listing(), listing, "the same links are guarded");
    silent(&world, "outside", "172.21.0.2:80", "still not ours");
    world.exec("host", "nft delete element inet boxship guarded4 { br1 }");
    world.inside("host", || assert!(next.repair().unwrap().is_some()));
    silent(&world, "outside", "172.21.0.2:80", "repaired");
}

#[test]
fn a_table_of_another_version_keeps_no_daemon_from_its_work() {
    let world = World::new();
    let firewall = firewall(&world, &[]);
    firewall.guard_others(false).unwrap();
    drop(firewall);
    let listing = world.listing();
    world.nft(&format!("flush ruleset\n{}", listing.replace("guarded4", "sheltered4")));
    let next = world.inside("host", || Firewall::open("boxship", Mode::Docker).unwrap());
    world.inside("host", || next.replace(&[network(0)], &[]).unwrap());
}

#[test]
fn links_that_others_make_later_are_their_business() {
    let world = World::new();
    world.serve("two", 80);
    world.serve("three", 80);
    let firewall = world.inside("host", || Firewall::open("boxship", Mode::Docker).unwrap());
    world.inside("host", || firewall.replace(&[network(0)], &[]).unwrap());
    firewall.guard_others(false).unwrap();
    firewall.guard_others(true).unwrap();
    // Two containers on a bridge that was there before: their frames pass, also where they come by the forward hook.
    world.set("bridge/bridge-nf-call-iptables", "1");
    world.set("bridge/bridge-nf-call-ip6tables", "1");
    world.move_to("two", "br1", &["172.21.0.3/24", "fd21::3/64"]);
    answers(&world, "two", "172.21.0.2:80", "three 172.21.0.3");
    answers(&world, "two", "[fd21::2]:80", "three fd21::3");
    silent(&world, "outside", "172.21.0.3:80", "forwarded between links that were there before");
    silent(&world, "outside", "[fd21::3]:80", "forwarded between links that were there before");
    // As another container engine would, once forwarding is on.
    world.ip("host", "link add later type bridge");
    world.ip("host", "addr add 172.22.0.1/24 dev later");
    world.ip("host", "addr add fd22::1/64 dev later nodad");
    world.ip("host", "link set later up");
    world.move_to("two", "later", &["172.22.0.3/24", "fd22::3/64"]);
    world.ip("two", "route replace default via 172.22.0.1");
    world.ip("two", "route replace default via fd22::1");
    for address in ["172.22.0.3", "fd22::3"] {
        world.exec("host", &format!("ping -q -i 0.02 -w 5 -c 1 {address}"));
    }
    // A second order to guard is no reason to guard more.
    firewall.guard_others(false).unwrap();
    answers(&world, "outside", "172.22.0.3:80", "two 10.9.0.2");
    answers(&world, "outside", "[fd22::3]:80", "two fd09::2");
}

#[test]
fn many_ports_go_in_one_transaction_and_all_or_none() {
    let world = World::new();
    let firewall = firewall(&world, &[]);
    let of = |first: u16, count: u16, shift: u16| -> Vec<Published> {
        (first..first + count)
            .map(|number| port(Tcp, "0.0.0.0", number, "172.20.0.2", number + shift))
            .collect()
    };
    for (what, ports) in [
        ("200 ports", of(1000, 200, 1)),
        ("200 ports of a range", of(2000, 200, 0)),
        ("20,000 ports", of(20000, 20000, 1)),
        ("200 ports more", of(3000, 200, 1)),
    ] {
        let began = std::time::Instant::now();
        firewall.publish(&ports).unwrap();
        println!("{what}: {:?}", began.elapsed());
    }
    let count = |listing: &str| listing.matches("172.20.0.2 . ").count();
    let listing = world.exec("host", "nft list map inet boxship ports4");
    assert_eq!(count(&listing), 20400);
    assert!(world.exec("host", "nft list map inet boxship ranges4").contains("tcp . 2000-2199 : 172.20.0.2"));

    // Another place for a port that is taken: none of the transaction is left.
    let mut clash = of(5000, 10, 1);
    clash.push(port(Tcp, "0.0.0.0", 1000, "172.20.0.3", 80));
    let error = firewall.publish(&clash).unwrap_err();
    assert_eq!(error.to_string(), "failed to bind host port 0.0.0.0:1000/tcp: address already in use");
    assert_eq!(world.exec("host", "nft list map inet boxship ports4"), listing);

    // The kernel refuses (a network whose subnet is another's): the same.
    let before = world.listing();
    let error = firewall.set_network(&Network { bridge: "br7".into(), ..network(0) });
    assert!(error.is_err());
    assert_eq!(world.listing(), before);

    let began = std::time::Instant::now();
    firewall.unpublish(&of(20000, 20000, 1)).unwrap();
    println!("20,000 ports gone: {:?}", began.elapsed());
    firewall.unpublish(&of(2050, 1, 0)).unwrap();
    let ranges = world.exec("host", "nft list map inet boxship ranges4");
    assert!(ranges.contains("2000-2049") && ranges.contains("2051-2199"), "{ranges}");
    firewall.clear().unwrap();
    assert_eq!(world.listing(), "");
    firewall.clear().unwrap();
}

#[test]
fn flows_end_with_their_port() {
    let world = World::new();
    world.serve("one", 80);
    world.serve("two", 80);
    let to = |address| [port(Udp, "0.0.0.0", 8080, address, 80)];
    let firewall = firewall(&world, &to("172.20.0.2"));
    let socket = world.inside("outside", || std::net::UdpSocket::bind("10.9.0.2:5555").unwrap());
    socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    socket.connect("10.9.0.1:8080").unwrap();
    let ask = || {
        let mut buffer = [0; 100];
        // Without what came late.
        socket.set_nonblocking(true).unwrap();
        while socket.recv(&mut buffer).is_ok() {}
        socket.set_nonblocking(false).unwrap();
        let _ = socket.send(b"who?");
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    let hear = || (0..100).find_map(|_| ask());
    assert_eq!(hear().as_deref(), Some("one 10.9.0.2"));
    firewall.unpublish(&to("172.20.0.2")).unwrap();
    firewall.endings.wait();
    assert_eq!(ask(), None);
    // What went to the host itself meanwhile gives way.
    firewall.publish(&to("172.20.0.3")).unwrap();
    assert_eq!(hear().as_deref(), Some("two 10.9.0.2"));
}

const HOST_RULES: &str = "table inet host {
    set friends { type ipv4_addr; elements = { 10.9.0.3 }; }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname lo accept
        ip protocol icmp accept
        meta l4proto ipv6-icmp accept
        ip saddr @friends meta l4proto { tcp, udp } th dport 8080-8082 accept
        ip6 saddr fd09::77 meta l4proto { tcp, udp } th dport 8080 accept
    }
}
";

#[test]
fn honest_mode_asks_the_hosts_own_rules() {
    let world = World::new();
    world.set("ipv4/conf/all/rp_filter", "1");
    world.serve("one", 80);
    world.ip("outside", "addr add fd09::77/64 dev eth0 nodad preferred_lft 0");
    world.nft(HOST_RULES);
    let mut ports = everywhere();
    for protocol in [Tcp, Udp] {
        ports.push(port(protocol, "0.0.0.0", 8090, "172.20.0.2", 80));
        ports.push(port(protocol, "10.9.0.1", 8081, "172.20.0.2", 80));
    }
    let honest = world.inside("host", || {
        let honest = Firewall::open("boxship", Mode::Honest).unwrap();
        honest.replace(&[network(0), network(1)], &ports).unwrap();
        honest
    });
    let listing = world.listing();
    world.nft(&format!("flush ruleset\n{listing}"));
    assert_eq!(world.listing(), listing, "nft reads what it lists");

    for protocol in [Tcp, Udp] {
        for (source, address, expect) in [
            ("10.9.0.2", "10.9.0.1:8080", None),
            ("10.9.0.3", "10.9.0.1:8080", Some("one 10.9.0.3")),
            ("10.9.0.3", "10.9.0.1:8081", Some("one 10.9.0.3")),
            ("10.9.0.3", "10.9.0.1:8090", None),
            ("fd09::2", "[fd09::1]:8080", None),
            ("fd09::77", "[fd09::1]:8080", Some("one fd09::77")),
        ] {
            let said = match expect {
                Some(_) => world.hear_from("outside", Some(source), address, protocol),
                None => world.ask_from("outside", Some(source), address, protocol),
            };
            let said = said.ok();
            assert_eq!(said.as_deref(), expect, "{source} asks {address} {protocol:?}");
        }
        // The host itself is not asked; a container is.
        for (member, address, expect) in [
            ("host", "127.0.0.1:8080", Some("one 172.20.0.1")),
            ("host", "10.9.0.1:8090", Some("one 10.9.0.1")),
            ("three", "10.9.0.1:8080", None),
        ] {
            let said = match expect {
                Some(_) => world.hear(member, address, protocol),
                None => world.ask(member, address, protocol),
            };
            let said = said.ok();
            assert_eq!(said.as_deref(), expect, "{member} asks {address} {protocol:?}");
        }
    }
    world.exec("host", "nft add element inet host friends { 172.21.0.2, 172.20.0.3, 172.20.0.2 }");
    answers(&world, "three", "10.9.0.1:8080", "one 172.20.0.1");
    answers(&world, "two", "10.9.0.1:8080", "one 172.20.0.1");
    answers(&world, "one", "10.9.0.1:8080", "one 172.20.0.1");

    // From honest to Docker's way: nothing of it is left.
    world.inside("host", || {
        honest.unpublish(&ports).unwrap();
        let docker = Firewall::open("boxship", Mode::Docker).unwrap();
        docker.replace(&[network(0)], &ports).unwrap();
    });
    assert!(!world.listing().contains("table ip boxship"));
    assert_eq!(
        world.hear_from("outside", Some("10.9.0.2"), "10.9.0.1:8080", Tcp).as_deref(),
        Ok("one 10.9.0.2"),
        "past the host's rules"
    );
}

#[test]
fn localhost_of_ipv6_leads_to_its_own_ports() {
    let world = World::new();
    world.serve("one", 80);
    world.serve("host", 81);
    let at_localhost = [Tcp, Udp].map(|protocol| port(protocol, "::1", 8088, "fd20::2", 80));
    let mut ports = everywhere();
    ports.extend(at_localhost.clone());
    ports.extend([port(Tcp, "::", 80, "fd20::2", 80), port(Tcp, "::", 81, "fd20::2", 81)]);
    for mode in [Mode::Docker, Mode::Honest] {
        let firewall = world.inside("host", || {
            let firewall = Firewall::open("boxship", mode).unwrap();
            firewall.replace(&[network(0)], &ports).unwrap();
            firewall
        });
        answers(&world, "host", "[::1]:8080", "one fd20::1");
        answers(&world, "host", "[::1]:8088", "one fd20::1");
        assert_eq!(world.hear("host", "[::1]:80", Tcp).as_deref(), Ok("one fd20::1"), "a range");
        silent(&world, "outside", "[fd09::1]:8088", "published at ::1 only");
        firewall.unpublish(&at_localhost).unwrap();
        silent(&world, "host", "[::1]:8088", "no longer published");
        world.inside("host", || firewall.unpublish(&[port(Tcp, "::", 81, "fd20::2", 81)]).unwrap());
        assert_eq!(world.hear("host", "[::1]:81", Tcp).as_deref(), Ok("host ::1"), "the host's own");
        assert_eq!(firewall.repair().unwrap(), None);
        world.exec("host", "nft delete table inet boxship");
        silent(&world, "host", "[::1]:8080", "the table is gone");
        world.inside("host", || assert!(firewall.repair().unwrap().is_some()));
        answers(&world, "host", "[::1]:8080", "one fd20::1");
        world.inside("host", || firewall.clear().unwrap());
        assert!(!world.ip("host", "link").contains("boxship-a"));
    }
}
