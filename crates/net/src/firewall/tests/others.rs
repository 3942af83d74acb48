//! Beside other programs: what they do to the table, and what their own rules do to our packets.

use super::*;

#[test]
fn what_others_do_to_the_table_is_undone() {
    let world = World::new();
    world.serve("one", 80);
    let mut ports = everywhere();
    ports.extend((9000..9010).map(|number| port(Tcp, "10.9.0.1", number, "172.20.0.2", number)));
    let firewall = Arc::new(firewall(&world, &ports));
    let (tell, told) = std::sync::mpsc::channel();
    world.inside("host", || firewall.watch(move |what| tell.send(what.to_owned()).unwrap()).unwrap());
    assert_eq!(firewall.repair().unwrap(), None);
    let listing = world.listing();
    for (command, wrong) in [
        ("flush ruleset", "table inet boxship was deleted by nft"),
        ("delete table inet boxship", "table inet boxship was deleted by nft"),
        ("flush chain inet boxship ours", "chains or rules of table boxship were changed by nft"),
        ("insert rule inet boxship forward accept", "chains or rules of table boxship were changed by nft"),
        ("flush map inet boxship ports4", "elements of ports4 in table inet boxship were changed by nft"),
        (
            "delete element inet boxship bridges { br0 }",
            "elements of bridges in table inet boxship were changed by nft",
        ),
        (
            "add element inet boxship masqueraded4 { 10.0.0.0/8 }",
            "elements of masqueraded4 in table inet boxship",
        ),
    ] {
        world.exec("host", &format!("nft {command}"));
        let said = told.recv_timeout(std::time::Duration::from_secs(120)).unwrap();
        assert!(said.starts_with(wrong), "{command}: {said}");
        assert_eq!(world.listing(), listing, "{command}");
    }
    answers(&world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
    // Others' tables are no business of ours.
    world.exec("host", "nft add table inet other");
    firewall.publish(&[port(Tcp, "0.0.0.0", 9, "172.20.0.2", 9)]).unwrap();
    assert!(told.recv_timeout(std::time::Duration::from_millis(200)).is_err());
    firewall.clear().unwrap();
    assert_eq!(firewall.repair().unwrap(), None);
    assert!(!world.listing().contains("boxship"));
}

/// Whoever sorts packets into classes takes away by what the programs on bridges know those that were let through.
#[test]
fn others_priorities_close_no_network() {
    let world = World::new();
    let firewall = firewall(&world, &everywhere());
    world.serve("one", 80);
    answers(&world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
    let chains = |hook: &str| {
        format!(
            "table inet classes {{
                chain sorting {{
                    type filter hook {hook} priority 0;
                    meta priority set 1:5
                }}
            }}
"
        )
    };
    for hook in ["postrouting", "forward"] {
        world.nft(&chains(hook));
        assert_eq!(firewall.repair().unwrap(), None);
        answers(&world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
        world.exec("host", "nft delete table inet classes");
    }
    assert!(world.listing().contains("chain departing"), "{}", world.listing());
}

#[test]
fn classes_of_iptables_are_noticed() {
    let world = World::new();
    let firewall = firewall(&world, &everywhere());
    assert!(!world.listing().contains("chain departing"), "nobody pays for what nobody needs");
    world.serve("one", 80);
    world.exec("host", "iptables -t mangle -A POSTROUTING -j CLASSIFY --set-class 1:5");
    silent(&world, "outside", "10.9.0.1:8080", "their class took the place of ours");
    assert_eq!(firewall.repair().unwrap(), None);
    answers(&world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
}

#[test]
fn others_rules_are_seen_and_explained() {
    use crate::why::{Origin, Question, Verdict};
    let world = World::new();
    let firewall = firewall(&world, &everywhere());
    assert_eq!(firewall.obstacles().unwrap(), Vec::<String>::new());
    world.nft(
        "table ip filter {
            chain FORWARD { type filter hook forward priority 0; policy drop; }
            chain INPUT { type filter hook input priority 0; policy drop; }
        }
",
    );
    let obstacles = firewall.obstacles().unwrap();
    assert_eq!(obstacles.len(), 1);
    assert!(obstacles[0].contains("chain FORWARD of table ip filter (priority 0)"), "{obstacles:?}");
    let question =
        |address: &str, from| Question { address: address.parse().unwrap(), port: 8080, protocol: Tcp, from };
    let why =
        |address, from| world.inside("host", || firewall.why(&question(address, from), Vec::new()).unwrap());
    let outside = why("10.9.0.1", Origin::Outside);
    assert_eq!(outside.verdict, Verdict::Delivered);
    assert!(outside.summary.contains("chain FORWARD of table ip filter"), "{outside:?}");
    assert!(
        outside.steps.iter().any(|step| step.what.contains("meta mark and 0x2000 == 0x2000")),
        "{outside:?}"
    );
    silent(&world, "outside", "10.9.0.1:8080", "their chain drops");
    // What it says helps, and is seen to have been done.
    world.exec("host", "nft insert rule ip filter FORWARD meta mark and 0x2000 == 0x2000 accept");
    assert_eq!(firewall.repair().unwrap(), None, "packets are marked from now on");
    assert_eq!(firewall.obstacles().unwrap(), Vec::<String>::new());
    world.serve("one", 80);
    answers(&world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
    world.exec("host", "nft flush chain ip filter FORWARD");
    world.exec("host", "nft add chain ip filter DOCKER-USER");
    assert!(
        firewall.obstacles().unwrap()[0].contains("`iptables -I DOCKER-USER -m mark --mark 0x2000/0x2000")
    );
    world.exec("host", "nft insert rule ip filter FORWARD jump DOCKER-USER");
    world.exec("host", "iptables -I DOCKER-USER -m mark --mark 0x2000/0x2000 -j ACCEPT");
    assert_eq!(firewall.obstacles().unwrap(), Vec::<String>::new());
    answers(&world, "outside", "10.9.0.1:8080", "one 10.9.0.2");
    // The mark is no way into another's containers.
    world.ip("host", "link add later type bridge");
    world.ip("host", "addr add 172.22.0.1/24 dev later");
    world.ip("host", "link set later up");
    world.move_to("two", "later", &["172.22.0.3/24"]);
    world.ip("two", "route replace default via 172.22.0.1");
    world.serve("two", 80);
    world.exec("host", "nft insert rule ip filter INPUT ip saddr 172.22.0.3 accept");
    world.exec("host", "ping -q -i 0.02 -w 5 -c 1 172.22.0.3");
    silent(&world, "one", "172.22.0.3:80", "another's container");
    world.exec("host", "nft insert rule ip filter FORWARD oifname later accept");
    answers(&world, "one", "172.22.0.3:80", "two 172.22.0.1");
    world.exec("host", "iptables -F DOCKER-USER");
    for direction in ["iifname", "oifname"] {
        for bridge in ["br0", "br1"] {
            world.exec("host", &format!("nft insert rule ip filter FORWARD {direction} {bridge} accept"));
        }
    }
    assert_eq!(firewall.obstacles().unwrap(), Vec::<String>::new(), "every bridge is spoken of");
    assert_eq!(why("127.0.0.1", Origin::Host).verdict, Verdict::Delivered);
    assert_eq!(why("172.21.0.2", Origin::Bridge("br0".into())).verdict, Verdict::Dropped);
    world.exec("host", "nft delete table inet boxship");
    assert_eq!(why("10.9.0.1", Origin::Outside).verdict, Verdict::Dropped);
}
