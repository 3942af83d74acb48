//! Networks over a real database and a real kernel: each test on a thread in a network namespace of its own.

mod surroundings;

use boxship_api::network::{ConfigReference, CreateRequest, Ipam, IpamConfig};
use boxship_store::{Paths, Store};
use ipnet::IpNet;

use super::kernel::Owner;
use super::model::{Driver, Network};
use super::rows::Phase;
use super::{Lease, NetworkConfig, Networks};
use crate::{EngineConfig, Kind};

/// Runs a test in a new network namespace, which ends with its thread.
fn alone(test: impl FnOnce(&Home) + Send) {
    std::thread::scope(|scope| {
        let run = || {
            boxship_sys::namespace::unshare(boxship_sys::namespace::Kind::Network.flag()).unwrap();
            test(&Home { folder: tempfile::tempdir().unwrap() });
        };
        scope.spawn(run).join().unwrap();
    });
}

/// A data root that engines come and go on.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn open(&self, config: NetworkConfig) -> Networks {
        self.try_open(config, "11111111-2222-4333-8444-555555555555").unwrap()
    }

    fn try_open(&self, config: NetworkConfig, id: &str) -> crate::Result<Networks> {
        let (data, run) = (self.folder.path().join(id), self.folder.path().join("run"));
        // A thread of the one before may hold the data root for a moment.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        let (store, _) = loop {
            match Store::open(Paths::new(&data, &run)) {
                Err(boxship_store::Error::Locked(_)) if std::time::Instant::now() < deadline => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                other => break other?,
            }
        };
        let config = EngineConfig { network: config, data_root: data, ..EngineConfig::default() };
        let networks = Networks::open(store, &config, id)?;
        networks.restore(&[]);
        Ok(networks)
    }
}

fn request(name: &str, subnets: &[&str]) -> CreateRequest {
    let config = subnets.iter().map(|subnet| IpamConfig { subnet: (*subnet).into(), ..Default::default() });
    CreateRequest {
        name: name.into(),
        ipam: Some(Ipam { config: Some(config.collect()), ..Ipam::default() }),
        ..CreateRequest::default()
    }
}

fn lease(container: &str, ipv4: Option<&str>) -> Lease {
    Lease {
        container: container.into(),
        endpoint: format!("{container}-endpoint"),
        ipv4: ipv4.map(|address| address.parse().unwrap()),
        ..Lease::default()
    }
}

fn remove(networks: &Networks, name: &str) -> crate::Result<()> {
    networks.remove(&networks.find(name).unwrap(), &|members| {
        crate::Error::forbidden(format!("{} members", members.len()))
    })
}

fn link_of(network: &Network) -> String {
    network.bridge().unwrap().link.clone()
}

#[test]
fn predefined_networks_are_kept() {
    alone(|home| {
        let first = home.open(NetworkConfig::default());
        let told = |networks: &Networks| {
            let mut told: Vec<_> = networks.list().iter().map(|n| (n.name.clone(), n.id.clone())).collect();
            told.sort();
            told
        };
        let names: Vec<_> = told(&first).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bridge", "host", "none"]);
        let bridge = first.find("bridge").unwrap();
        assert_eq!(bridge.subnets.len(), 1);
        assert_eq!(first.kernel.owner("boxship0").unwrap(), Owner::Nobody, "made at need");
        assert_eq!(first.host_gateway(), [bridge.subnets[0].gateway.unwrap()]);
        let before = told(&first);
        drop(first);
        let second = home.open(NetworkConfig::default());
        assert_eq!(told(&second), before);
        assert_eq!(second.find("bridge").unwrap().subnets, bridge.subnets);
        drop(second);
        let none = home.open(NetworkConfig { bridge: Some("none".into()), ..NetworkConfig::default() });
        assert_eq!(none.find("bridge").unwrap_err().to_string(), "network bridge not found");
    });
}

#[test]
fn a_network_lives_and_goes() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        let web = networks.create(request("web", &["10.9.0.0/24"])).unwrap();
        let link = link_of(&web);
        assert_eq!(link, format!("br-{}", &web.id[..12]));
        let addresses = networks.kernel.addresses(&link).unwrap();
        assert!(addresses.contains(&"10.9.0.1/24".parse::<IpNet>().unwrap()), "{addresses:?}");
        for reference in ["web", web.id.as_str(), &web.id[..6]] {
            assert_eq!(networks.find(reference).unwrap().id, web.id, "{reference}");
        }
        let leased = networks.lease(&web, &lease("a", None)).unwrap();
        assert_eq!(leased.ipv4.unwrap().to_string(), "10.9.0.2/24");
        let taken = networks.lease(&web, &lease("b", Some("10.9.0.2"))).unwrap_err();
        assert_eq!((taken.kind(), taken.to_string().as_str()), (Kind::Forbidden, "Address already in use"));
        assert!(networks.lease(&web, &lease("b", Some("10.8.0.2"))).is_err(), "outside");
        assert_eq!(remove(&networks, "web").unwrap_err().to_string(), "1 members");
        networks.release(&web.id, "a-endpoint");
        remove(&networks, "web").unwrap();
        assert_eq!(networks.kernel.owner(&link).unwrap(), Owner::Nobody);
        assert_eq!(networks.lease(&web, &lease("a", None)).unwrap_err().kind(), Kind::NotFound);
        drop(networks);
        assert!(home.open(NetworkConfig::default()).find("web").is_err());
    });
}

#[test]
fn what_is_refused_leaves_nothing() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        networks.create(request("web", &["10.9.0.0/24"])).unwrap();
        let rows = || networks.rows.load().unwrap().len();
        let links = || networks.kernel.links().unwrap().marked("boxship:").unwrap().len();
        let before = (rows(), links());
        let driver = |name: &str, driver: &str| CreateRequest { driver: driver.into(), ..request(name, &[]) };
        let option = |key: &str, value: &str| CreateRequest {
            options: Some([(key.to_owned(), value.to_owned())].into()),
            ..request("x", &[])
        };
        for (request, kind, expect) in [
            (request("web", &[]), Kind::Conflict, "network with name web already exists"),
            (request("host", &[]), Kind::Forbidden, "operation is not permitted on predefined host network "),
            (request(" ", &[]), Kind::Invalid, "invalid name: name is empty"),
            (
                request("x", &["10.9.0.128/25"]),
                Kind::Forbidden,
                "invalid pool request: Pool overlaps with other one on this address space",
            ),
            (
                request("x", &["10.7.0.0/24", "10.8.0.0/24"]),
                Kind::Forbidden,
                "bridge driver doesn't support multiple subnets",
            ),
            (
                driver("x", "nope"),
                Kind::NotFound,
                "could not find plugin nope in v1 plugin registry: plugin not found",
            ),
            (
                CreateRequest { scope: "swarm".into(), ..request("x", &[]) },
                Kind::Forbidden,
                "cannot create a swarm scoped network when swarm is not active",
            ),
            (
                CreateRequest { enable_ipv4: Some(false), ..request("x", &[]) },
                Kind::Invalid,
                "IPv4 or IPv6 must be enabled",
            ),
            (
                CreateRequest {
                    options: Some([("parent".to_owned(), "nope0".to_owned())].into()),
                    ..driver("x", "macvlan")
                },
                Kind::Invalid,
                "the parent link nope0 was not found on the host",
            ),
            (
                option("com.docker.network.bridge.name", &link_of(&networks.find("web").unwrap())),
                Kind::Forbidden,
                "networks have same bridge name",
            ),
            (
                option("com.docker.network.host_ipv4", "1.2.3.4"),
                Kind::Invalid,
                "driver option com.docker.network.host_ipv4 is not supported",
            ),
        ] {
            let error = networks.create(request).unwrap_err();
            assert!(error.to_string().ends_with(expect), "{error}");
            assert_eq!(error.kind(), kind, "{expect}");
        }
        assert_eq!((rows(), links()), before);
    });
}

#[test]
fn subnets_keep_clear_of_each_other() {
    alone(|home| {
        let pools = vec![super::Pool { base: "10.20.0.0/22".parse().unwrap(), size: 24 }];
        let networks = home.open(NetworkConfig { pools, ..NetworkConfig::default() });
        for n in 0..3 {
            let ipv6 = CreateRequest { enable_ipv6: Some(n == 0), ..request(&format!("n{n}"), &[]) };
            networks.create(ipv6).unwrap();
        }
        let all: Vec<_> = networks
            .list()
            .iter()
            .flat_map(|n| n.subnets.iter().map(|s| s.subnet).collect::<Vec<_>>())
            .collect();
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].iter().any(|other| super::subnets::overlaps(one, other)), "{all:?}");
        }
        assert!(all.iter().any(|net| net.to_string().starts_with("fd11:1111:11")), "{all:?}");
        let error = networks.create(request("n4", &[])).unwrap_err();
        assert_eq!(error.to_string(), "all predefined address pools have been fully subnetted");
        let tiny = networks.create(request("tiny", &["10.30.0.0/30"])).unwrap();
        networks.lease(&tiny, &lease("a", None)).unwrap();
        let error = networks.lease(&tiny, &lease("b", None)).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no available IPv4 addresses on this network's address pools: tiny (")
        );
    });
}

#[test]
fn a_crash_is_repaired() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        let half = networks.create(request("half", &[])).unwrap();
        let going = networks.create(request("going", &[])).unwrap();
        let kept = networks.create(request("kept", &[])).unwrap();
        networks.rows.put(&half, Phase::Making).unwrap();
        networks.rows.put(&going, Phase::Removing).unwrap();
        networks.kernel.links().unwrap().remove(&link_of(&kept)).unwrap();
        // A bridge whose row is gone.
        let lost = networks.create(request("lost", &[])).unwrap();
        networks.rows.remove(&lost.id).unwrap();
        drop(networks);
        let networks = home.open(NetworkConfig::default());
        networks.clear_strangers();
        let owner = |network: &Network| networks.kernel.owner(&link_of(network)).unwrap();
        assert_eq!([&half, &going, &lost].map(|network| owner(network)), [Owner::Nobody; 3]);
        assert_eq!(owner(&kept), Owner::We);
        assert!(networks.find("half").is_err() && networks.find("going").is_err());
        assert_eq!(networks.find("kept").unwrap(), kept);
    });
}

#[test]
fn what_a_container_keeps_is_no_beginning_of_an_identifier() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        let id = networks.create(request("web", &[])).unwrap().id.clone();
        assert_eq!(networks.find(&id[..12]).unwrap().id, id);
        assert_eq!(networks.named("web").unwrap().id, id);
        assert_eq!(networks.named(&id).unwrap().id, id);
        let error = networks.named(&id[..12]).unwrap_err();
        assert_eq!(error.to_string(), format!("network {} not found", &id[..12]));
    });
}

#[test]
fn configurations_are_taken_from_networks_that_are_only_that() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        let only = CreateRequest { config_only: true, ..request("plan", &["10.9.0.0/24"]) };
        let plan = networks.create(only).unwrap();
        assert_eq!(plan.answer().driver, "null");
        assert_eq!(networks.lease(&plan, &lease("a", None)).unwrap_err().kind(), Kind::Forbidden);
        let from = Some(ConfigReference { network: "plan".into() });
        let web = CreateRequest { name: "web".into(), config_from: from.clone(), ..CreateRequest::default() };
        let web = networks.create(web).unwrap();
        assert_eq!(web.subnets[0].subnet.to_string(), "10.9.0.0/24");
        assert!(
            remove(&networks, "plan")
                .unwrap_err()
                .to_string()
                .ends_with("configuration network \"plan\" is in use")
        );
        let both = CreateRequest { config_from: from, ..request("x", &["10.7.0.0/24"]) };
        assert_eq!(networks.create(both).unwrap_err().kind(), Kind::Forbidden);
    });
}

#[test]
fn two_daemons_have_bridges_of_their_own() {
    alone(|home| {
        let first = home.open(NetworkConfig::default());
        first.prepare(&first.find("bridge").unwrap()).unwrap();
        assert_eq!(first.kernel.owner("boxship0").unwrap(), Owner::We);
        let second = home.try_open(NetworkConfig::default(), "99999999-2222-4333-8444-555555555555").unwrap();
        let error = second.prepare(&second.find("bridge").unwrap()).unwrap_err();
        assert!(error.to_string().contains("--bridge"), "{error}");
    });
}

#[test]
fn the_default_bridge_is_as_configured() {
    alone(|home| {
        let config = NetworkConfig {
            bip: Some("10.7.0.9/24".parse().unwrap()),
            fixed_cidr: Some("10.7.0.128/25".parse().unwrap()),
            default_gateway: Some("10.7.0.5".parse().unwrap()),
            ipv6: true,
            icc: false,
            ..NetworkConfig::default()
        };
        let networks = home.open(config);
        let bridge = networks.find("bridge").unwrap();
        networks.prepare(&bridge).unwrap();
        let Driver::Bridge(options) = &bridge.driver else { panic!() };
        assert!(!options.icc);
        let leased = networks.lease(&bridge, &lease("a", None)).unwrap();
        assert_eq!(leased.ipv4.unwrap().to_string(), "10.7.0.128/24");
        assert!(leased.ipv6.is_some());
        assert_eq!(bridge.gateway_for("10.7.0.128".parse().unwrap()), Some("10.7.0.5".parse().unwrap()));
        let told = serde_json::to_value(bridge.answer()).unwrap();
        assert_eq!(told["IPAM"]["Config"][0]["Gateway"], "10.7.0.9");
        assert_eq!(told["Options"]["com.docker.network.bridge.enable_icc"], "false");
        drop(networks);
        let wrong = NetworkConfig {
            fixed_cidr: Some("10.8.0.0/24".parse().unwrap()),
            bip: Some("10.7.0.9/24".parse().unwrap()),
            ..NetworkConfig::default()
        };
        let error = home.try_open(wrong, "11111111-2222-4333-8444-555555555555").err().unwrap();
        assert_eq!(error.to_string(), "fixed-cidr 10.8.0.0/24 is no part of 10.7.0.0/24 (bip)");
    });
}

#[test]
fn the_default_bridge_follows_a_changed_configuration() {
    alone(|home| {
        let ip = |line: &str| {
            let ran = std::process::Command::new("ip").args(line.split(' ')).output().unwrap();
            assert!(ran.status.success(), "ip {line}");
            String::from_utf8(ran.stdout).unwrap()
        };
        let subnet = |networks: &Networks| {
            let bridge = networks.find("bridge").unwrap();
            networks.prepare(&bridge).unwrap();
            bridge.subnets[0].subnet.to_string()
        };
        let pool = |base: &str| boxship_net::ipam::Pool { base: base.parse().unwrap(), size: 24 };
        let pools = |base| NetworkConfig { pools: vec![pool(base)], ..NetworkConfig::default() };
        let small = NetworkConfig { mtu: 1400, ..pools("10.7.0.0/16") };
        assert_eq!(subnet(&home.open(small)), "10.7.0.0/24");
        assert!(ip("link show boxship0").contains("mtu 1400"));
        assert_eq!(subnet(&home.open(NetworkConfig::default())), "10.7.0.0/24", "no reason to move");
        assert!(ip("link show boxship0").contains("mtu 1500"));
        assert_eq!(subnet(&home.open(pools("10.8.0.0/16"))), "10.8.0.0/24");
        assert!(ip("addr show boxship0").contains("10.8.0.1/24"));
        ip("link add plug type veth peer name other");
        ip("link set plug master boxship0");
        assert_eq!(subnet(&home.open(pools("10.9.0.0/16"))), "10.8.0.0/24", "containers are there");
    });
}

#[test]
fn answers_are_dockers() {
    alone(|home| {
        let networks = home.open(NetworkConfig::default());
        let mut asked = request("web", &["10.9.0.0/24"]);
        asked.labels = Some([("a".to_owned(), "b".to_owned())].into());
        let web = networks.create(asked).unwrap();
        let mut told = serde_json::to_value(web.answer()).unwrap();
        told["Id"] = "".into();
        told["Created"] = "".into();
        let expect = serde_json::json!({
            "Name": "web", "Id": "", "Created": "", "Scope": "local", "Driver": "bridge",
            "EnableIPv4": true, "EnableIPv6": false,
            "IPAM": {"Driver": "default", "Options": null, "Config": [{"Subnet": "10.9.0.0/24"}]},
            "Internal": false, "Attachable": false, "Ingress": false,
            "ConfigFrom": {"Network": ""}, "ConfigOnly": false,
            "Containers": {}, "Options": {}, "Labels": {"a": "b"}
        });
        assert_eq!(told, expect);
        let none = serde_json::to_value(networks.find("none").unwrap().answer()).unwrap();
        assert_eq!(none["IPAM"], serde_json::json!({"Driver": "default", "Options": null, "Config": null}));
    });
}
