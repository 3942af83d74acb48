//! Closed without the table: what the programs on bridges keep out and in, and that they are there.

use super::*;

#[test]
fn without_the_table_nothing_is_forwarded() {
    for (way, bridged) in WAYS {
        println!("{way:?}, bridged frames {bridged}");
        let world = World::new();
        world.set("bridge/bridge-nf-call-iptables", bridged);
        world.set("bridge/bridge-nf-call-ip6tables", bridged);
        closed(&world, way);
    }
}

fn closed(world: &World, way: Way) {
    world.set("ipv4/conf/all/rp_filter", "1");
    world.set("ipv6/conf/br0/drop_unicast_in_l2_multicast", "1");
    for member in ["one", "two", "three", "outside"] {
        world.serve(member, 80);
    }
    world.serve("host", 81);
    let firewall = firewall_by(world, way, &everywhere());
    let open = || {
        answers(world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
        answers(world, "outside", "[fd09::1]:8080", "one fd09::2");
        answers(world, "three", "10.9.0.1:8080", "one 172.20.0.1");
        answers(world, "host", "127.0.0.1:8080", "one 172.20.0.1");
        answers(world, "one", "10.9.0.2:80", "outside 10.9.0.1");
        answers(world, "one", "[fd09::2]:80", "outside fd09::1");
        assert_eq!(world.hear("one", "10.9.0.1:81", Tcp).as_deref(), Ok("host 172.20.0.2"));
        assert_eq!(world.hear("one", "[fd09::1]:81", Tcp).as_deref(), Ok("host fd20::2"));
    };
    open();
    world.exec("host", "nft flush ruleset");
    for (member, address) in [
        ("outside", "172.20.0.2:80"),
        ("outside", "[fd20::2]:80"),
        ("outside", "10.9.0.1:8080"),
        ("three", "172.20.0.2:80"),
        ("three", "[fd20::2]:80"),
        ("one", "10.9.0.2:80"),
        ("one", "[fd09::2]:80"),
    ] {
        silent(world, member, address, "the table is gone");
    }
    one_way(world);
    answers(world, "one", "172.20.0.3:80", "two 172.20.0.2");
    answers(world, "host", "172.20.0.2:80", "one 172.20.0.1");
    answers(world, "host", "[fd20::2]:80", "one fd20::1");
    answers(world, "one", "172.20.0.1:81", "host 172.20.0.2");
    answers(world, "one", "[fd20::1]:81", "host fd20::2");
    answers(world, "host", "127.0.0.1:81", "host 127.0.0.1");
    world.exec("one", "ping -q -i 0.02 -w 60 -c 1 172.20.0.1");

    // The bridge leads to the host's loopback, for the sake of ports published there.
    world.inside("one", || std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap());
    world.ip("one", "route flush table local 127.0.0.0/8");
    world.ip("one", "route add 127.0.0.0/8 via 172.20.0.1 src 172.20.0.2");
    silent(world, "one", "127.0.0.1:81", "loopback of the host");

    // The next change finds it missing and makes it anew.
    firewall.publish(&[port(Tcp, "0.0.0.0", 9, "172.20.0.2", 9)]).unwrap();
    firewall.unpublish(&[port(Tcp, "0.0.0.0", 9, "172.20.0.2", 9)]).unwrap();
    open();
    firewall.set_network(&Network { internal: true, ..network(1) }).unwrap();
    world.exec("host", "nft flush ruleset");
    for address in ["10.9.0.1:81", "172.20.0.1:81", "[fd09::1]:81", "172.20.0.2:80"] {
        silent(world, "three", address, "from an internal network");
    }
    answers(world, "three", "172.21.0.1:81", "host 172.21.0.2");
    // A daemon that comes later finds the programs and takes them over, or off where it has no network.
    drop(firewall);
    silent(world, "three", "10.9.0.1:81", "the daemon is gone too");
    world.inside("host", || {
        let mut next = Firewall::open("boxship", Mode::Docker).unwrap();
        next.last_resort = LastResort::open_by("boxship", way).unwrap();
        next.replace(&[network(0)], &everywhere()).unwrap();
    });
    answers(world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
    answers(world, "one", "10.9.0.2:80", "outside 10.9.0.1");
    world.exec("host", "nft flush ruleset");
    assert_eq!(world.hear("three", "10.9.0.1:81", Tcp).as_deref(), Ok("host 172.21.0.2"));
    silent(world, "outside", "172.20.0.2:80", "its network's programs are there");
}

/// Packets in one direction alone, which nothing answers: none comes out on the other side.
fn one_way(world: &World) {
    for (from, address, at) in [
        ("outside", "172.20.0.2:99", "one"),
        ("outside", "[fd20::2]:99", "one"),
        ("one", "10.9.0.2:99", "outside"),
        ("one", "[fd09::2]:99", "outside"),
        ("three", "172.20.0.2:99", "one"),
        ("three", "[fd20::2]:99", "one"),
    ] {
        let address: std::net::SocketAddr = address.parse().unwrap();
        let ear = world.inside(at, || std::net::UdpSocket::bind(address).unwrap());
        ear.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
        world.inside(from, || {
            let any: IpAddr = if address.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
            let mouth = std::net::UdpSocket::bind((any, 0)).unwrap();
            for _ in 0..3 {
                let _ = mouth.send_to(b"heard?", address);
            }
        });
        assert!(ear.recv(&mut [0; 10]).is_err(), "{from} to {address}");
    }
}

#[test]
fn removed_programs_come_back() {
    for way in [Way::Link, Way::Classifier] {
        let world = World::new();
        let firewall = firewall_by(&world, way, &[]);
        assert_eq!(firewall.repair().unwrap(), None);
        let links = world.inside("host", || Connection::open(Protocols::Route).unwrap());
        let br0 = link::by_name(&links, "br0").unwrap().unwrap().index;
        match way {
            Way::Classifier => drop(world.exec("host", "tc qdisc del dev br0 clsact")),
            Way::Link => world.inside("host", || {
                for there in bpf::attached_to_link(br0, Side::Egress).unwrap() {
                    bpf::detach_from_link(br0, Side::Egress, there.program.as_fd()).unwrap();
                }
            }),
        }
        let said = firewall.repair().unwrap();
        assert_eq!(said.as_deref(), Some("programs of br0 were removed"), "{way:?}");
        assert_eq!(firewall.repair().unwrap(), None);
        // A bridge made anew has another number.
        world.ip("host", "link del br0");
        world.ip("host", "link add br0 type bridge");
        firewall.secure();
        world.exec("host", "nft flush ruleset");
        world.ip("host", "link set v-one master br0");
        world.ip("host", "addr add 172.20.0.1/24 dev br0");
        world.ip("host", "link set br0 up");
        world.exec("host", "ping -q -i 0.02 -w 60 -c 1 172.20.0.2");
        world.serve("one", 80);
        silent(&world, "outside", "172.20.0.2:80", "a new bridge");
    }
}

#[test]
fn policies_of_former_versions_are_removed() {
    let world = World::new();
    let priority = former::priority_of("boxship");
    for direction in ["fwd", "in"] {
        world.ip(
            "host",
            &format!(
                "xfrm policy add src 172.20.0.0/24 dst 0.0.0.0/0 dir {direction} action block priority {priority} \
                 mark 0 mask 0x2000"
            ),
        );
    }
    world.ip("host", "xfrm policy add src 10.1.0.0/24 dst 0.0.0.0/0 dir fwd action block priority 5");
    let _firewall = firewall(&world, &[]);
    let left = world.ip("host", "xfrm policy");
    assert!(left.contains("src 10.1.0.0/24") && !left.contains("172.20.0.0"), "{left}");
}
