//! Bridges made, repaired and refused in namespaces of their own, read back from the kernel; once with `ip`.

use std::net::IpAddr;

use super::*;
use crate::Error;
use crate::scratch::{in_namespace, ip};

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn bridge(name: &str, addresses: &[&str]) -> Bridge {
    Bridge {
        name: name.into(),
        alias: format!("boxship:test:{name}"),
        addresses: nets(addresses),
        mtu: 0,
        foreign: false,
    }
}

fn parameter(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap().trim().to_owned()
}

/// The interface of a name with its addresses, those of the link only left out.
fn interface(links: &Links, name: &str) -> Interface {
    let mut found = links.interfaces().unwrap().into_iter().find(|found| found.name == name).unwrap();
    found.addresses.retain(|net| !is_of_link(net));
    found
}

#[test]
fn a_bridge_is_made_once_and_repaired() {
    in_namespace(|| {
        let links = Links::open().unwrap();
        let mut wanted = bridge("br0", &["172.30.0.1/16", "fd00:1::1/64"]);
        wanted.mtu = 1400;
        links.ensure_bridge(&wanted).unwrap();
        let made = interface(&links, "br0");
        assert_eq!((made.kind.as_str(), made.up, made.mtu), ("bridge", true, 1400));
        assert_eq!((&made.alias, &made.addresses), (&wanted.alias, &wanted.addresses));
        assert_eq!(links.addresses("br0").unwrap(), wanted.addresses);
        for (name, value) in [
            ("ipv4/conf/br0/route_localnet", "1"),
            ("ipv6/conf/br0/accept_ra", "0"),
            ("ipv6/conf/br0/disable_ipv6", "0"),
        ] {
            assert_eq!(parameter(name), value, "{name}");
        }
        // As the peer sees it; no address waits for others to contradict.
        let told = ip("-j -d address show br0");
        for part in ["\"172.30.0.1\"", "\"172.30.255.255\"", "\"fd00:1::1\"", "\"bridge\"", "\"nodad\":true"]
        {
            assert!(told.contains(part), "{part} in {told}");
        }

        links.ensure_bridge(&wanted).unwrap();
        assert_eq!(interface(&links, "br0"), made);

        // Whatever was changed behind our back is put right; its hardware address stays.
        ip("link set br0 down");
        ip("address del 172.30.0.1/16 dev br0");
        ip("address add 10.9.9.9/24 dev br0");
        ip("link set br0 mtu 1300");
        links.ensure_bridge(&wanted).unwrap();
        assert_eq!(interface(&links, "br0"), made);

        // The last address of a family goes, and the family with it; within a subnet one follows another.
        wanted.addresses = nets(&["172.30.0.254/16"]);
        links.ensure_bridge(&wanted).unwrap();
        assert_eq!(interface(&links, "br0").addresses, wanted.addresses);
        assert_eq!(parameter("ipv6/conf/br0/disable_ipv6"), "1");
        wanted.addresses = nets(&["172.30.0.254/16", "172.30.0.253/16", "fd00:2::1/64"]);
        links.ensure_bridge(&wanted).unwrap();
        wanted.addresses.remove(0);
        links.ensure_bridge(&wanted).unwrap();
        assert_eq!(interface(&links, "br0").addresses, wanted.addresses);

        links.remove("br0").unwrap();
        links.remove("br0").unwrap();
        assert!(!links.exists("br0").unwrap());
        links.ensure_bridge(&wanted).unwrap();
        assert_eq!(
            interface(&links, "br0").mac,
            made.mac,
            "a bridge made anew is the same to its neighbours"
        );
    });
}

#[test]
fn what_is_somebody_elses_stays_as_it_is() {
    in_namespace(|| {
        let links = Links::open().unwrap();
        ip("link add br0 type bridge");
        ip("link add v0 type veth peer name v1");
        for (name, part) in [("br0", "belongs to somebody else"), ("v0", "is no bridge")] {
            let error = links.ensure_bridge(&bridge(name, &["10.0.0.1/24"])).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        let untouched = interface(&links, "br0");
        assert_eq!((untouched.up, untouched.alias.as_str(), untouched.addresses.len()), (false, "", 0));

        // The administrator's own is used as it is.
        ip("address add 10.5.0.1/24 dev br0");
        let before = interface(&links, "br0");
        let foreign = Bridge { foreign: true, ..bridge("br0", &["10.0.0.1/24"]) };
        links.ensure_bridge(&foreign).unwrap();
        assert_eq!(interface(&links, "br0"), before);
        let error = links.ensure_bridge(&Bridge { name: "br7".into(), ..foreign }).unwrap_err();
        assert_eq!(error.to_string(), "bridge br7 does not exist");

        // One that we made but did not get to mark is ours.
        let ours = bridge("br1", &["10.0.0.1/24"]);
        links.ensure_bridge(&ours).unwrap();
        ip("link set br1 alias ");
        links.ensure_bridge(&ours).unwrap();
        assert_eq!(interface(&links, "br1").alias, ours.alias);
    });
}

#[test]
fn marks_are_found_by_their_beginning() {
    in_namespace(|| {
        let links = Links::open().unwrap();
        for name in ["br0", "br1"] {
            links.ensure_bridge(&bridge(name, &[])).unwrap();
        }
        let names = |prefix: &str| -> Vec<_> {
            links.marked(prefix).unwrap().into_iter().map(|marked| marked.name).collect()
        };
        assert_eq!(names("boxship:test:"), ["br0", "br1"]);
        assert_eq!(names("boxship:test:br1"), ["br1"]);
        assert_eq!(links.mark("br1").unwrap().as_deref(), Some("boxship:test:br1"));
        assert_eq!(links.mark("lo").unwrap().as_deref(), Some(""));
        assert_eq!(links.mark("br7").unwrap(), None);
        assert!(names("other:").is_empty());
        assert_eq!(names("").len(), 2, "a link without a mark is nobody's");
    });
}

#[test]
fn networks_that_are_routed_are_known() {
    in_namespace(|| {
        let links = Links::open().unwrap();
        links.ensure_bridge(&bridge("br0", &["172.30.1.1/24", "fd00:1::1/64"])).unwrap();
        ip("link add v0 type veth peer name v1");
        ip("link set v0 up");
        ip("link set v1 up");
        for route in ["default", "0.0.0.0/1", "10.8.0.0/16", "192.0.2.7/32", "fd00:9::/48", "default -6"].map(
            |route| match route.strip_suffix(" -6") {
                Some(route) => format!("-6 route add {route} dev v0"),
                None => format!("route add {route} dev v0"),
            },
        ) {
            ip(&route);
        }
        ip("route add blackhole 10.77.0.0/24");
        ip("route add 10.78.0.0/24 dev v0 table 99");
        assert_eq!(
            links.routed().unwrap(),
            nets(&[
                "10.8.0.0/16",
                "10.77.0.0/24",
                "10.78.0.0/24",
                "127.0.0.0/8",
                "172.30.1.0/24",
                "192.0.2.7/32",
                "::1/128",
                "fd00:1::/64",
                "fd00:9::/48"
            ])
        );
    });
}

#[test]
fn forwarding_is_turned_on_once() {
    in_namespace(|| {
        let links = Links::open().unwrap();
        ip("link add v0 type veth peer name v1");
        ip("link add v2 type veth peer name v3");
        std::fs::write("/proc/sys/net/ipv6/conf/v2/accept_ra", "0").unwrap();
        // A new namespace may inherit forwarding from the host.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "0").unwrap();
        for v6 in [false, true] {
            assert!(links.forwarding(v6).unwrap());
            assert!(!links.forwarding(v6).unwrap());
        }
        assert_eq!(parameter("ipv4/ip_forward"), "1");
        assert_eq!(parameter("ipv6/conf/all/forwarding"), "1");
        // Who took advice from routers goes on; who did not, does not begin.
        assert_eq!(parameter("ipv6/conf/v0/accept_ra"), "2");
        assert_eq!(parameter("ipv6/conf/v2/accept_ra"), "0");
        std::fs::write("/proc/sys/net/ipv4/conf/default/forwarding", "0").unwrap();
        links.ensure_bridge(&bridge("br0", &["10.0.0.1/24"])).unwrap();
        assert_eq!(parameter("ipv4/conf/br0/forwarding"), "1");
    });
}

#[test]
fn neighbours_are_told_and_corrected() {
    in_namespace(|| {
        let links = Links::open().unwrap();
        links.ensure_bridge(&bridge("br0", &["10.0.0.1/24", "fd00::1/64"])).unwrap();
        ip("neighbour add 10.0.0.2 lladdr 02:00:00:00:00:01 dev br0");
        ip("neighbour add fd00::2 lladdr 02:00:00:00:00:01 dev br0");
        let index = interface(&links, "br0").index;
        let addresses = ["10.0.0.2", "10.0.0.3", "fd00::2"].map(|text| text.parse::<IpAddr>().unwrap());
        links.announce(index, MacAddress([2, 0, 0, 0, 0, 2]), addresses.into_iter());
        for family in ["-4", "-6"] {
            let told = ip(&format!("{family} neighbour show dev br0"));
            assert!(told.contains("02:00:00:00:00:02") && !told.contains("02:00:00:00:00:01"), "{told}");
            assert!(!told.contains("10.0.0.3"), "what was not known is not made up: {told}");
        }
    });
}

#[test]
fn names_the_kernel_would_refuse_are_refused() {
    in_namespace(|| {
        let links = Links::open().unwrap();
        for name in ["", ".", "..", "a/b", "a:b", "a b", "sixteen-letters-", "a\0b", "br%d"] {
            assert!(matches!(links.ensure_bridge(&bridge(name, &[])), Err(Error::Invalid(_))), "{name:?}");
            assert!(links.exists(name).is_err(), "{name:?}");
        }
    });
}
