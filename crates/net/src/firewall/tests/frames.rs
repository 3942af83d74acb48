//! Frames as no honest program sends them, while the table is gone: what the programs on the bridges would miss if they
//! trusted them.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use boxship_sys::packet::Sender;

use super::world::World;
use super::*;

const IPV4: [u8; 2] = [8, 0];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TEXT: &[u8] = b"heard?";

/// The sum of 16-bit words, as IP and UDP have it.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

fn udp4(from: [u8; 4], to: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(address) = to.ip() else { panic!("not IPv4") };
    let mut header = vec![0x45, 0, 0, 28 + TEXT.len() as u8, 0, 7, 0, 0, 64, 17, 0, 0];
    header.extend(from.into_iter().chain(address.octets()));
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    header.extend([0x11, 0x5c]);
    header.extend(to.port().to_be_bytes());
    header.extend([0, 8 + TEXT.len() as u8, 0, 0]);
    [&header, TEXT].concat()
}

/// Fragments that the kernel, having put them together, cannot send on as they are: the first bears a header more than
/// the longest.
fn fragments6(from: Ipv6Addr, to: Ipv6Addr, port: u16) -> Vec<Vec<u8>> {
    const LONGEST: usize = 1448;
    let text = vec![b'x'; LONGEST + 104];
    let length = (8 + text.len()) as u16;
    let mut udp = [[0x11, 0x5c], port.to_be_bytes(), length.to_be_bytes(), [0; 2]].concat();
    let pseudo = [&[0, 0][..], &length.to_be_bytes(), &[0, 0, 0, 17]].concat();
    let sum = checksum(&[&from.octets(), &to.octets(), &pseudo, &udp, &text]);
    udp[6..].copy_from_slice(&sum);
    udp.extend(text);
    let options: &[u8] = &[44, 0, 1, 4, 0, 0, 0, 0];
    let cuts = [(0, 8, options), (8, 8 + LONGEST, &[][..]), (8 + LONGEST, udp.len(), &[][..])];
    let fragment = |(begin, end, before): (usize, usize, &[u8])| {
        let more = u16::from(end < udp.len());
        let cut = (begin as u16 | more).to_be_bytes();
        let header = [17, 0, cut[0], cut[1], 0, 0, 0, 7];
        let payload = [before, &header, &udp[begin..end]].concat();
        let next = if before.is_empty() { 44 } else { 0 };
        let length = (payload.len() as u16).to_be_bytes();
        [&[0x60, 0, 0, 0, length[0], length[1], next, 64], &from.octets()[..], &to.octets(), &payload]
            .concat()
    };
    cuts.map(fragment).to_vec()
}

/// A member sends packets by its eth0 to a hardware address of the host's, tagged so.
fn send(world: &World, member: &str, to: &str, tags: &[[u8; 4]], kind: [u8; 2], packets: &[Vec<u8>]) {
    let mac = world.ip("host", &format!("-br link show dev {to}"));
    let mac = mac.split_whitespace().nth(2).unwrap();
    let mac: Vec<u8> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    world.inside(member, || {
        let links = Connection::open(Protocols::Route).unwrap();
        let link = link::by_name(&links, "eth0").unwrap().unwrap().index;
        let socket = Sender::open().unwrap();
        for packet in packets {
            let frame = [&mac, &[2, 0, 0, 0, 0, 9][..], &tags.concat(), &kind, packet].concat();
            socket.send(link, &frame).unwrap();
        }
    });
}

fn ear(world: &World, member: &str, address: SocketAddr) -> UdpSocket {
    let ear = world.inside(member, || UdpSocket::bind(address).unwrap());
    ear.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    ear
}

/// The kernel takes a frame whose tag names no VLAN as one without a tag, after the programs have judged it.
#[test]
fn a_tag_that_names_no_vlan_opens_nothing() {
    const PLAIN: [u8; 4] = [0x81, 0, 0, 0];
    const URGENT: [u8; 4] = [0x81, 0, 0xe0, 0];
    const PROVIDER: [u8; 4] = [0x88, 0xa8, 0, 0];
    let tags: [&[[u8; 4]]; 6] =
        [&[], &[PLAIN], &[URGENT], &[PROVIDER], &[PLAIN, PLAIN], &[PROVIDER, PLAIN, PROVIDER]];
    for (way, bridged) in WAYS {
        let world = World::new();
        world.set("bridge/bridge-nf-call-iptables", bridged);
        let firewall = firewall_by(&world, way, &[]);
        firewall.set_network(&Network { internal: true, ..network(1) }).unwrap();
        world.exec("host", "nft flush ruleset");
        let [one, three] = [[172, 20, 0, 2], [172, 21, 0, 2]];
        for (member, from, bridge, at, to) in [
            ("one", one, "br0", "host", "127.0.0.1:99"),
            ("one", one, "br0", "outside", "10.9.0.2:99"),
            ("three", three, "br1", "host", "127.0.0.1:99"),
            ("three", three, "br1", "host", "10.9.0.1:99"),
            ("three", three, "br1", "outside", "10.9.0.2:99"),
        ] {
            let to: SocketAddr = to.parse().unwrap();
            let ear = ear(&world, at, to);
            for tags in tags {
                send(&world, member, bridge, tags, IPV4, &vec![udp4(from, to); 3]);
            }
            let heard = ear.recv(&mut [0; 10]);
            assert!(heard.is_err(), "{way:?}, bridged frames {bridged}: {member} to {to}");
        }
        // What may pass does so with such a tag, too.
        let to = "172.20.0.1:99".parse().unwrap();
        let ear = ear(&world, "host", to);
        ear.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        send(&world, "one", "br0", &[URGENT], IPV4, &[udp4(one, to)]);
        ear.recv(&mut [0; 10]).unwrap();
    }
}

/// Another's rules have the kernel put fragments together and cut them anew, and the pieces don't tell where they came
/// from. The host's own fragments pass.
#[test]
fn fragments_of_others_are_known_by_having_no_socket() {
    for (way, bridged) in WAYS {
        let world = World::new();
        world.set("bridge/bridge-nf-call-ip6tables", bridged);
        world.nft("table inet other {\n chain f {\n type filter hook forward priority 0\n ct state new accept\n }\n}\n");
        let firewall = firewall_by(&world, way, &[]);
        let to: Ipv6Addr = "fd20::2".parse().unwrap();
        let ear = ear(&world, "one", SocketAddr::new(to.into(), 99));
        let send =
            || send(&world, "outside", "eth0", &[], IPV6, &fragments6("fd09::2".parse().unwrap(), to, 99));
        let mut text = [0; 2000];
        firewall.set_network(&Network { unprotected: true, ..network(0) }).unwrap();
        let heard = (0..100).any(|_| {
            send();
            ear.recv(&mut text).is_ok()
        });
        assert!(heard, "{way:?}, bridged frames {bridged}: the table lets them pass");
        world.exec("host", "nft delete table inet boxship");
        while ear.recv(&mut text).is_ok() {}
        (0..3).for_each(|_| send());
        assert!(ear.recv(&mut text).is_err(), "{way:?}, bridged frames {bridged}");

        let own = world.inside("host", || UdpSocket::bind("[fd20::1]:0").unwrap());
        let heard = (0..100).any(|_| {
            own.send_to(&[b'y'; 2000], (to, 99)).unwrap();
            ear.recv(&mut text).is_ok()
        });
        assert!(heard, "{way:?}, bridged frames {bridged}: the host's own");
    }
}

/// It may be the administrator's only way to the host, whatever addresses the host has there.
#[test]
fn by_an_administrators_bridge_the_host_is_reached_without_the_table() {
    for (way, bridged) in WAYS {
        let world = World::new();
        world.set("bridge/bridge-nf-call-iptables", bridged);
        world.set("bridge/bridge-nf-call-ip6tables", bridged);
        world.serve("host", 81);
        world.serve("three", 80);
        let firewall = firewall_by(&world, way, &[]);
        let only4 = vec!["172.20.0.0/24".parse().unwrap()];
        firewall.set_network(&Network { foreign: true, subnets: only4, ..network(0) }).unwrap();
        let reached = || {
            for (address, expect) in [
                ("172.20.0.1:81", "host 172.20.0.2"),
                ("10.9.0.1:81", "host 172.20.0.2"),
                ("[fd20::1]:81", "host fd20::2"),
            ] {
                assert_eq!(world.hear("one", address, Tcp).as_deref(), Ok(expect), "{way:?} {address}");
            }
        };
        reached();
        world.exec("host", "nft flush ruleset");
        reached();
        for address in ["172.21.0.2:80", "[fd21::2]:80"] {
            silent(&world, "one", address, "another network");
        }
    }
}
