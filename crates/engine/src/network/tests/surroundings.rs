//! Networks and what else the host has: links that they sit on, and addresses inside them.

use boxship_api::network::CreateRequest;

use super::super::kernel::{Owner, parent_object};
use super::super::rows::Phase;
use super::super::{NetworkConfig, Networks};
use super::{alone, remove, request};
use crate::Kind;

#[test]
fn what_the_host_gets_inside_a_network_is_told() {
    alone(|home| {
        let ip = |arguments: &str| {
            let done = std::process::Command::new("ip").args(arguments.split(' ')).status().unwrap();
            assert!(done.success(), "ip {arguments}");
        };
        let networks = home.open(NetworkConfig::default());
        networks.create(request("mine", &["10.66.0.0/16"])).unwrap();
        ip("link add v0 type veth peer name v1");
        ip("link set v0 up");
        assert_eq!(networks.cut_off(), [""; 0]);
        assert!(networks.told.lock().unwrap().is_empty());
        ip("address add 10.66.5.1/24 dev v0");
        let expect = "the host has the address 10.66.5.1/24 on v0, inside network mine (10.66.0.0/16)";
        let told =
            |networks: &Networks| networks.told.lock().unwrap().iter().any(|told| told.starts_with(expect));
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !told(&networks) && std::time::Instant::now() < patience {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(told(&networks), "when it comes");
        assert!(networks.obstacles().iter().any(|obstacle| obstacle.starts_with(expect)));
        drop(networks);
        let networks = home.open(NetworkConfig::default());
        assert!(told(&networks), "when the daemon starts");
        ip("address del 10.66.5.1/24 dev v0");
        assert_eq!(networks.cut_off(), [""; 0]);
    });
}

fn on_parent(name: &str, subnet: &str, parent: &str) -> CreateRequest {
    let options = Some([("parent".to_owned(), parent.to_owned())].into());
    CreateRequest { driver: "macvlan".into(), options, ..request(name, &[subnet]) }
}

/// A link with the mark of a parent that we made: of what kind it is doesn't matter, and not every kernel has VLANs.
fn stand_in(networks: &Networks, name: &str) {
    let bridge = boxship_net::link::Bridge {
        name: name.into(),
        alias: networks.alias(&parent_object(name)),
        addresses: Vec::new(),
        mtu: 0,
        foreign: false,
    };
    networks.links().unwrap().ensure_bridge(&bridge).unwrap();
}

#[test]
fn links_made_for_networks_go_with_the_last_of_them() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        stand_in(&networks, "up0.50");
        networks.create(on_parent("first", "10.50.0.0/24", "up0.50")).unwrap();
        networks.create(on_parent("second", "10.51.0.0/24", "up0.50")).unwrap();
        let owner = |networks: &Networks, link: &str| networks.kernel.owner(link).unwrap();
        // A daemon that died left one that nobody needs, and a network half removed.
        stand_in(&networks, "up0.60");
        networks.rows.put(&networks.find("first").unwrap(), Phase::Removing).unwrap();
        drop(networks);
        let networks = home.open(NetworkConfig::default());
        assert!(networks.find("first").is_err());
        networks.clear_strangers();
        assert_eq!(owner(&networks, "up0.60"), Owner::Nobody);
        assert_eq!(owner(&networks, "up0.50"), Owner::We, "the other network is on it");
        networks.create(on_parent("third", "10.52.0.0/24", "up0.50")).unwrap();
        remove(&networks, "second").unwrap();
        assert_eq!(owner(&networks, "up0.50"), Owner::We);
        remove(&networks, "third").unwrap();
        assert_eq!(owner(&networks, "up0.50"), Owner::Nobody);
    });
}

#[test]
fn parents_are_made_where_the_kernel_can() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        let up = boxship_net::link::Bridge {
            name: "up0".into(),
            alias: "somebody".into(),
            addresses: Vec::new(),
            mtu: 0,
            foreign: false,
        };
        networks.links().unwrap().ensure_bridge(&up).unwrap();
        for (name, parent, kind) in [("tagged", "up0.50", "vlan"), ("alone", "", "dummy")] {
            let made = networks.create(on_parent(name, "10.50.0.0/24", parent));
            let Ok(network) = made else {
                let error = made.unwrap_err();
                assert_eq!(error.to_string(), format!("kernel does not support {kind} interfaces"));
                assert_eq!(networks.links().unwrap().marked("boxship:").unwrap(), [], "nothing half-made");
                assert_eq!(networks.rows.load().unwrap().len(), 3);
                continue;
            };
            assert_eq!(network.internal, parent.is_empty());
            let parent = network.driver.parent().unwrap().to_owned();
            // As after a reboot.
            networks.links().unwrap().remove(&parent).unwrap();
            networks.restore(&[]);
            assert_eq!(networks.kernel.owner(&parent).unwrap(), Owner::We);
            remove(&networks, name).unwrap();
            assert_eq!(networks.kernel.owner(&parent).unwrap(), Owner::Nobody);
        }
        let error = networks.create(on_parent("x", "10.50.0.0/24", "up7.50")).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Kind::Invalid, "-o parent interface was not found on the host: up7")
        );
    });
}
