//! Interfaces attached to namespaces of their own and used: packets, routes, failures, read back from the kernel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use super::*;
use crate::link::Bridge;
use crate::scratch::{in_namespace, ip};

/// A cable into a bridge `br0`.
pub(super) fn attachment(name: &str, addresses: &[&str]) -> Attachment {
    Attachment {
        name: name.to_owned(),
        alias: format!("test:{name}"),
        mac: Some(MacAddress([2, 0x42, 0, 0, 0, name.len() as u8])),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        mtu: 0,
        kind: Kind::Veth { host_name: format!("h-{name}"), bridge: "br0".into(), isolated: false },
        sysctls: Vec::new(),
    }
}

/// A host with a bridge `br0`.
fn with_bridge<T: Send>(test: impl FnOnce(&Links) -> T + Send) -> T {
    in_namespace(|| {
        let links = Links::open().unwrap();
        links
            .ensure_bridge(&Bridge {
                name: "br0".into(),
                alias: "test:br0".into(),
                addresses: ["10.1.0.1/16", "fd00:1::1/64"].map(|text| text.parse().unwrap()).to_vec(),
                mtu: 1450,
                foreign: false,
            })
            .unwrap();
        test(&links)
    })
}

fn default_route(interface: &str, gateway: Option<&str>) -> DefaultRoute {
    DefaultRoute { interface: interface.into(), gateway: gateway.map(|text| text.parse().unwrap()) }
}

fn parameter(namespace: &Namespace, name: &str) -> String {
    let path = format!("/proc/sys/net/{name}");
    namespace.run(|| std::fs::read_to_string(path).unwrap().trim().to_owned()).unwrap()
}

fn global(interface: &Interface) -> Vec<String> {
    let link_local = |net: &&IpNet| matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local());
    interface.addresses.iter().filter(|net| !link_local(net)).map(ToString::to_string).collect()
}

#[test]
fn a_new_one_has_its_loopback_and_nothing_else() {
    let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let namespace = Namespace::create().unwrap();
    assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), before);
    let interfaces = namespace.interfaces().unwrap();
    assert_eq!(interfaces.len(), 1);
    assert!(interfaces[0].up);
    assert_eq!(global(&interfaces[0]), ["127.0.0.1/8", "::1/128"]);
    assert!(namespace.counters().unwrap().is_empty());
    let echo = namespace.run(|| TcpListener::bind("127.0.0.1:80").map(|_| ())).unwrap();
    echo.unwrap();
}

#[test]
fn one_that_is_there_is_opened() {
    let made = Namespace::create().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&made.as_fd()));
    let opened = Namespace::open(Path::new(&path)).unwrap();
    let inode = |namespace: &Namespace| {
        namespace.run(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap()
    };
    assert_eq!(inode(&made), inode(&opened));
    assert!(Namespace::open(Path::new("/proc/self/ns/nothing")).is_err());
    let error = Namespace::open(Path::new("/proc/self/ns/mnt")).unwrap_err();
    assert!(error.to_string().starts_with("enter network namespace"), "{error}");
}

#[test]
fn a_cable_carries_packets() {
    with_bridge(|links| {
        let namespace = Namespace::create().unwrap();
        let mut wanted = attachment("eth0", &["10.1.0.2/16", "fd00:1::2/64"]);
        wanted.sysctls = vec![("net.ipv4.conf.IFNAME.rp_filter".into(), "2".into())];
        namespace.attach(links, &wanted).unwrap();
        let (v4, v6) = (default_route("eth0", Some("10.1.0.1")), default_route("eth0", Some("fd00:1::1")));
        namespace.set_default(Some(&v4), Some(&v6)).unwrap();

        let interfaces = namespace.interfaces().unwrap();
        let inside = interfaces.iter().find(|interface| interface.name == "eth0").unwrap();
        assert_eq!((inside.up, inside.mtu, inside.mac), (true, 1450, wanted.mac));
        assert_eq!(global(inside), ["10.1.0.2/16", "fd00:1::2/64"]);
        assert_eq!(parameter(&namespace, "ipv4/conf/eth0/rp_filter"), "2");
        assert_eq!(parameter(&namespace, "ipv6/conf/eth0/disable_ipv6"), "0");

        let outside = links.interfaces().unwrap();
        let port = outside.iter().find(|interface| interface.name == "h-eth0").unwrap();
        let bridge = outside.iter().find(|interface| interface.name == "br0").unwrap();
        assert_eq!((port.up, port.mtu, port.master), (true, 1450, Some(bridge.index)));
        assert_eq!((port.alias.as_str(), port.addresses.len()), ("test:eth0", 0), "{port:?}");
        assert_eq!(links.marked("test:eth").unwrap().len(), 1);

        // As the peer sees it.
        let told = ip("-j -d link show h-eth0");
        for part in
            ["\"hairpin\":true", "\"isolated\":false", "\"ifalias\":\"test:eth0\"", "\"master\":\"br0\""]
        {
            assert!(told.contains(part), "{part} in {told}");
        }
        let routes = namespace.run(|| (ip("route show default"), ip("-6 route show default"))).unwrap();
        assert!(routes.0.starts_with("default via 10.1.0.1 dev eth0"), "{routes:?}");
        assert!(routes.1.starts_with("default via fd00:1::1 dev eth0"), "{routes:?}");

        for address in ["10.1.0.2:80", "[fd00:1::2]:80"] {
            let listener = namespace.run(|| TcpListener::bind(address)).unwrap().unwrap();
            let mut near = TcpStream::connect(address).unwrap();
            let mut far = listener.accept().unwrap().0;
            near.write_all(b"hello").unwrap();
            drop(near);
            let mut heard = String::new();
            far.read_to_string(&mut heard).unwrap();
            assert_eq!(heard, "hello");
        }
        let counters = namespace.counters().unwrap();
        assert_eq!(counters[0].0, "eth0");
        assert!(counters[0].1.rx_bytes > 100 && counters[0].1.tx_packets > 4, "{counters:?}");

        namespace.detach("eth0").unwrap();
        namespace.detach("eth0").unwrap();
        assert!(!links.exists("h-eth0").unwrap());
        assert_eq!(namespace.interfaces().unwrap().len(), 1);
    });
}

#[test]
fn without_addresses_of_ipv6_there_is_no_ipv6() {
    with_bridge(|links| {
        let namespace = Namespace::create().unwrap();
        namespace.attach(links, &attachment("eth0", &["10.1.0.2/16"])).unwrap();
        assert_eq!(parameter(&namespace, "ipv6/conf/eth0/disable_ipv6"), "1");
        assert_eq!(parameter(&namespace, "ipv6/conf/lo/disable_ipv6"), "0");
        // Turned off by the user: the address that was leased is left out.
        let mut off = attachment("eth1", &["10.1.0.3/16", "fd00:1::3/64"]);
        off.sysctls = vec![("net.ipv6.conf.eth1.disable_ipv6".into(), "1".into())];
        namespace.attach(links, &off).unwrap();
        let interfaces = namespace.interfaces().unwrap();
        for (name, address) in [("eth0", "10.1.0.2/16"), ("eth1", "10.1.0.3/16")] {
            let found = interfaces.iter().find(|interface| interface.name == name).unwrap();
            let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
            assert_eq!(addresses, [address]);
        }
    });
}

#[test]
fn what_fails_leaves_nothing() {
    with_bridge(|links| {
        let namespace = Namespace::create().unwrap();
        let good = attachment("eth0", &["10.1.0.2/16"]);
        namespace.attach(links, &good).unwrap();
        let other = |change: &dyn Fn(&mut Attachment)| {
            let mut other = attachment("eth1", &["10.1.0.3/16"]);
            change(&mut other);
            other
        };
        let veth = |host_name: &str, bridge: &str| Kind::Veth {
            host_name: host_name.into(),
            bridge: bridge.into(),
            isolated: false,
        };
        let cases: [(Attachment, &str); 9] = [
            (
                other(&|it| it.name = "eth0".into()),
                "make interface eth0: file exists (the container has an interface of that name)",
            ),
            (other(&|it| it.kind = veth("h-eth0", "br0")), "make interface h-eth0: file exists"),
            (other(&|it| it.kind = veth("h-eth1", "br9")), "no interface br9 on the host"),
            (other(&|it| it.kind = veth("h-eth1", "h-eth0")), "interface h-eth0 is no bridge"),
            (other(&|it| it.kind = veth("h/eth1", "br0")), "invalid interface name: \"h/eth1\""),
            (other(&|it| it.name = "a name".into()), "invalid interface name: \"a name\""),
            (
                other(&|it| it.sysctls = vec![("net.ipv4.conf.IFNAME.no_such".into(), "1".into())]),
                "the kernel has no parameter net.ipv4.conf.eth1.no_such",
            ),
            (
                other(&|it| it.sysctls = vec![("net.ipv4.conf.IFNAME.rp_filter".into(), "x".into())]),
                "set parameter net.ipv4.conf.eth1.rp_filter: invalid argument",
            ),
            (
                other(&|it| it.addresses = vec!["ff02::5/64".parse().unwrap()]),
                "add address ff02::5/64 of eth1: ",
            ),
        ];
        for (attachment, expect) in cases {
            let error = namespace.attach(links, &attachment).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{error} is not {expect}");
            let names: Vec<_> = namespace.interfaces().unwrap().into_iter().map(|found| found.name).collect();
            assert_eq!(names, ["lo", "eth0"], "{expect}");
            let mut outside: Vec<_> =
                links.interfaces().unwrap().into_iter().map(|found| found.name).collect();
            outside.sort();
            assert_eq!(outside, ["br0", "h-eth0", "lo"], "{expect}");
        }
        // What was there is as it was.
        let port = links.interfaces().unwrap().into_iter().find(|found| found.name == "h-eth0").unwrap();
        assert_eq!(port.alias, good.alias);
    });
}

/// What a neighbour could advertise is not taken.
#[test]
fn routers_on_a_bridge_are_not_believed() {
    with_bridge(|links| {
        let namespace = Namespace::create().unwrap();
        namespace.attach(links, &attachment("eth0", &["10.1.0.2/16", "fd00:1::2/64"])).unwrap();
        assert_eq!(parameter(&namespace, "ipv6/conf/eth0/accept_ra"), "0");
    });
}

#[test]
fn isolated_ports_do_not_reach_each_other() {
    with_bridge(|links| {
        let [first, second] = [2, 3].map(|number| {
            let namespace = Namespace::create().unwrap();
            let mut wanted = attachment("eth0", &[&format!("10.1.0.{number}/16")]);
            wanted.mac = Some(MacAddress([2, 0, 0, 0, 0, number]));
            let host_name = format!("h{number}");
            wanted.kind = Kind::Veth { host_name, bridge: "br0".into(), isolated: true };
            namespace.attach(links, &wanted).unwrap();
            namespace
        });
        assert!(ip("-j -d link show h2").contains("\"isolated\":true"));
        let listener = second.run(|| UdpSocket::bind("10.1.0.3:7")).unwrap().unwrap();
        let sender = first.run(|| UdpSocket::bind("10.1.0.2:7")).unwrap().unwrap();
        sender.send_to(b"from a neighbour", "10.1.0.3:7").unwrap();
        UdpSocket::bind("10.1.0.1:7").unwrap().send_to(b"from the host", "10.1.0.3:7").unwrap();
        let mut heard = [0; 32];
        let (length, from) = listener.recv_from(&mut heard).unwrap();
        assert_eq!((&heard[..length], from.to_string().as_str()), (&b"from the host"[..], "10.1.0.1:7"));
    });
}

#[test]
fn default_routes_are_replaced() {
    with_bridge(|links| {
        let namespace = Namespace::create().unwrap();
        namespace.attach(links, &attachment("eth0", &["10.1.0.2/16", "fd00:1::2/64"])).unwrap();
        namespace.attach(links, &attachment("neth1", &["10.1.7.2/16", "fd00:1::7/64"])).unwrap();
        let routes = || namespace.run(|| (ip("route show default"), ip("-6 route show default"))).unwrap();
        let steps: [(Option<DefaultRoute>, Option<DefaultRoute>, &str, &str); 6] = [
            (Some(default_route("eth0", Some("10.1.0.1"))), None, "default via 10.1.0.1 dev eth0", ""),
            (
                Some(default_route("neth1", Some("10.1.0.9"))),
                Some(default_route("neth1", Some("fd00:1::9"))),
                "default via 10.1.0.9 dev neth1",
                "default via fd00:1::9 dev neth1 metric 1024 pref medium",
            ),
            (
                Some(default_route("eth0", Some("192.0.2.1"))),
                Some(default_route("eth0", Some("fd00:2::1"))),
                "default via 192.0.2.1 dev eth0 onlink",
                "default via fd00:2::1 dev eth0 metric 1024 onlink pref medium",
            ),
            (
                Some(default_route("eth0", None)),
                Some(default_route("eth0", None)),
                "default dev eth0 scope link",
                "default dev eth0 metric 1024 pref medium",
            ),
            (
                None,
                Some(default_route("eth0", Some("fe80::1"))),
                "",
                "default via fe80::1 dev eth0 metric 1024 pref medium",
            ),
            (None, None, "", ""),
        ];
        for (v4, v6, expect4, expect6) in steps {
            for _ in 0..2 {
                namespace.set_default(v4.as_ref(), v6.as_ref()).unwrap();
                let (told4, told6) = routes();
                assert_eq!((told4.trim(), told6.trim()), (expect4, expect6));
            }
        }
        let error = namespace.set_default(Some(&default_route("eth9", None)), None).unwrap_err();
        assert_eq!(error.to_string(), "no interface eth9 for the default route");
        let wrong = default_route("eth0", Some("fd00:1::1"));
        assert!(matches!(namespace.set_default(Some(&wrong), None), Err(Error::Invalid(_))));
    });
}

#[test]
fn a_further_address_on_a_link_of_the_host() {
    with_bridge(|links| {
        ip("link add up0 type veth peer name up1");
        ip("link set up0 up");
        ip("link set up1 up");
        ip("address add 10.2.0.1/24 dev up1");
        let namespace = Namespace::create().unwrap();
        let mut wanted = attachment("eth0", &["10.2.0.2/24"]);
        wanted.kind = Kind::Macvlan { parent: "up0".into(), mode: "bridge".into() };
        namespace.attach(links, &wanted).unwrap();
        let told = namespace.run(|| ip("-j -d address show eth0")).unwrap();
        for part in ["\"macvlan\"", "\"mode\":\"bridge\"", "10.2.0.2", "02:42:00:00:00:04", "LOWER_UP"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(parameter(&namespace, "ipv4/conf/eth0/arp_notify"), "1");
        let listener = namespace.run(|| TcpListener::bind("10.2.0.2:80")).unwrap().unwrap();
        TcpStream::connect("10.2.0.2:80").unwrap();
        drop(listener);

        let mut wrong = wanted.clone();
        wrong.name = "eth1".into();
        wrong.kind = Kind::Ipvlan { parent: "up0".into(), mode: "l2".into(), flag: "bridge".into() };
        // A kernel that has it refuses a parent with another kind of such links on it.
        let error = namespace.attach(links, &wrong).unwrap_err();
        let expect =
            ["kernel does not support ipvlan interfaces", "make interface eth1: device or resource busy"];
        assert!(expect.contains(&error.to_string().as_str()), "{error}");
        wrong.kind = Kind::Macvlan { parent: "up9".into(), mode: "bridge".into() };
        let error = namespace.attach(links, &wrong).unwrap_err().to_string();
        assert_eq!(error, "no interface up9 on the host");
        // A name that the host has is free inside; one that is taken inside is told.
        wanted.name = "up0".into();
        namespace.attach(links, &wanted).unwrap_err();
        wanted.mac = None;
        namespace.attach(links, &wanted).unwrap();
        let error = namespace.attach(links, &wanted).unwrap_err().to_string();
        assert!(error.ends_with("(the container has an interface of that name)"), "{error}");
    });
}

#[test]
fn what_is_announced_reaches_neighbours() {
    with_bridge(|links| {
        let neighbour = Namespace::create().unwrap();
        neighbour.attach(links, &attachment("eth0", &["10.1.0.2/16", "fd00:1::2/64"])).unwrap();
        neighbour
            .run(|| {
                for address in ["10.1.0.3", "fd00:1::3"] {
                    ip(&format!("neighbour add {address} lladdr 02:00:00:00:00:01 dev eth0 nud stale"));
                }
            })
            .unwrap();
        let namespace = Namespace::create().unwrap();
        let mut wanted = attachment("eth1", &["10.1.0.3/16", "fd00:1::3/64"]);
        wanted.mac = Some(MacAddress([2, 0, 0, 0, 0, 3]));
        // The first port may not forward yet: that is up to a worker of the kernel.
        for _ in 0..100 {
            namespace.attach(links, &wanted).unwrap();
            let told = neighbour.run(|| ip("neighbour show dev eth0")).unwrap();
            if told.matches("02:00:00:00:00:03").count() == 2 {
                return;
            }
            namespace.detach("eth1").unwrap();
        }
        panic!("no announcement arrived");
    });
}
