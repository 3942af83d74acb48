//! Networks of users: made, listed, joined and left; who reaches whom; what is refused, and what must not get through.

use boxship_testkit::host::{HOME, Host, OUTSIDE};

use crate::wire::{Tool, address, answers, endpoint, fails, host, inside, packets, serve, silent, works};
use crate::{eventually, format};

fn sleeper(host: &Host, name: &str, flags: &str) {
    host.run(&format!("run -d --name {name} {flags} busybox sleep 100000")).ok();
}

#[test]
fn containers_of_a_network_find_each_other() {
    let host = host();
    let id = host.run("network create --label a=b mine").ok().to_string();
    assert_eq!(id.len(), 64);
    serve(&host, "web", "--network mine --network-alias www");
    sleeper(&host, "client", "--network mine");
    for name in ["web", "www", &format(&host, "web", "{{.Id}}")[..12]] {
        assert_eq!(works(&host, "client", &format!("timeout 3 wget -qO- http://{name}")), "web");
    }
    assert_eq!(host.run("network ls -f label=a=b --format {{.Name}}").ok(), "mine");
    assert_eq!(host.boxship(["network", "inspect", "-f", "{{len .Containers}}", "mine"]).ok(), "2");
    let ran = host.run("network rm mine");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("has active endpoints"), "{}", ran.stderr);
    host.run("rm -f web client").ok();
    assert_eq!(host.run("network rm mine").ok(), "mine");
    host.run("network create unused").ok();
    assert_eq!(host.run("network prune -f").ok(), "Deleted Networks:\nunused");
}

#[test]
fn a_running_container_joins_and_leaves() {
    let host = host();
    host.run("network create one").ok();
    host.run("network create --subnet 10.77.0.0/24 two").ok();
    serve(&host, "web", "--network one");
    sleeper(&host, "client", "--network two");
    fails(&host, "client", "timeout 1 wget -qO- http://web");
    host.run("network connect --ip 10.77.0.9 --alias also two web").ok();
    assert_eq!(address(&host, "web", "two"), "10.77.0.9");
    for name in ["web", "also", "10.77.0.9"] {
        assert_eq!(works(&host, "client", &format!("timeout 3 wget -qO- http://{name}")), "web");
    }
    assert!(inside(&host, "web", "ip -o addr").ok().contains("10.77.0.9/24"));
    let ran = host.run("network connect two web");
    assert!(ran.code == 1 && ran.stderr.contains("already exists in network two"), "{}", ran.stderr);
    host.run("network disconnect two web").ok();
    fails(&host, "client", "timeout 1 wget -qO- http://web");
    fails(&host, "client", "ping -c 1 -W 1 10.77.0.9");
    assert!(host.run("network disconnect two web").stderr.contains("is not connected to network two"));
    // The same for one that does not run, which comes up on both.
    host.run("stop -t 0 web").ok();
    host.run("network connect two web").ok();
    host.run("start web").ok();
    assert_eq!(works(&host, "client", "timeout 3 wget -qO- http://web"), "web");
    assert_eq!(inside(&host, "web", "ip route | grep -c ^default").ok(), "1");
}

#[test]
fn the_default_route_is_the_networks_with_the_highest_priority() {
    let host = host();
    host.run("network create --subnet 10.71.0.0/24 a").ok();
    host.run("network create --subnet 10.72.0.0/24 b").ok();
    sleeper(&host, "box", "--network name=a --network name=b,gw-priority=10");
    assert!(inside(&host, "box", "ip route | grep ^default").ok().contains("via 10.72.0.1"));
    host.run("network create --subnet 10.73.0.0/24 c").ok();
    host.run("network connect --gw-priority 20 c box").ok();
    assert!(inside(&host, "box", "ip route | grep ^default").ok().contains("via 10.73.0.1"));
    host.run("network disconnect c box").ok();
    assert!(inside(&host, "box", "ip route | grep ^default").ok().contains("via 10.72.0.1"));
}

#[test]
fn addresses_are_the_wanted_ones() {
    let host = host();
    host.run("network create --subnet 10.77.0.0/24 --gateway 10.77.0.254 --ip-range 10.77.0.128/25 --aux-address x=10.77.0.128 mine")
        .ok();
    sleeper(&host, "first", "--network mine");
    assert_eq!(address(&host, "first", "mine"), "10.77.0.129", "the range's first that is not kept apart");
    assert_eq!(endpoint(&host, "first", "mine", "Gateway"), "10.77.0.254");
    sleeper(&host, "box", "--network mine --ip 10.77.0.9 --mac-address 02:42:ac:11:00:99");
    let shown = inside(&host, "box", "ip -o link show eth0; ip -o addr show eth0").ok().to_string();
    assert!(shown.contains("02:42:ac:11:00:99") && shown.contains("10.77.0.9/24"), "{shown}");
    let again = host.run("run --rm --network mine --ip 10.77.0.9 busybox true");
    assert!(again.code == 125 && again.stderr.contains("Address already in use"), "{}", again.stderr);
    host.run("restart -t 0 box").ok();
    assert_eq!(address(&host, "box", "mine"), "10.77.0.9");
    host.run("network create --ipv6 --subnet fd00:77::/64 six").ok();
    sleeper(&host, "six", "--network six --ip6 fd00:77::99");
    sleeper(&host, "seven", "--network six");
    works(&host, "seven", "ping -6 -c 1 -W 2 six");
    works(&host, "seven", "ping -c 1 -W 2 fd00:77::99");
    works(&host, "seven", &format!("ping -c 1 -W 2 {}", OUTSIDE[1]));
}

#[test]
fn networks_are_apart() {
    let host = host();
    host.run("network create one").ok();
    host.run("network create two").ok();
    serve(&host, "web", "--network one");
    sleeper(&host, "other", "--network two");
    sleeper(&host, "default", "");
    sleeper(&host, "friend", "--network one");
    let web = address(&host, "web", "one");
    works(&host, "friend", &format!("timeout 3 wget -qO- http://{web}"));
    for from in ["other", "default"] {
        fails(&host, from, &format!("timeout 1 wget -qO- http://{web}"));
        fails(&host, from, &format!("ping -c 1 -W 1 {web}"));
        works(&host, from, &format!("ping -c 1 -W 2 {}", OUTSIDE[0]));
    }
    // Another host that routes to the container's own address doesn't reach what is not published.
    let (subnet, _) = web.rsplit_once('.').unwrap();
    host.outside().run(&format!("ip route add {subnet}.0/24 via {}", HOME[0])).ok();
    silent(host.outside(), &web);
    assert_ne!(host.outside().run(&format!("ping -c 1 -W 1 {web}")).code, 0);
}

#[test]
fn an_internal_network_has_no_way_out() {
    let host = host();
    host.run("network create --internal inner").ok();
    serve(&host, "web", "--network inner");
    sleeper(&host, "client", "--network inner");
    sleeper(&host, "default", "");
    assert_eq!(works(&host, "client", "timeout 3 wget -qO- http://web"), "web");
    for target in [OUTSIDE[0], OUTSIDE[1], HOME[0]] {
        fails(&host, "client", &format!("ping -c 1 -W 1 {target}"));
    }
    fails(&host, "default", &format!("ping -c 1 -W 1 {}", address(&host, "web", "inner")));
    assert!(!inside(&host, "client", "ip route").ok().contains("default"));
}

/// Docker allows any name but an empty one, whatever it would mean in a path.
#[test]
fn a_network_of_any_name_is_found_by_it() {
    let host = host();
    for name in ["a/b", "../../etc", "a%2Fb", "a/connect", "ü ?#&", "prune"] {
        host.boxship(["network", "create", name]).ok();
        let found = host.boxship(["network", "inspect", "-f", "{{.Name}}", name]);
        assert_eq!(found.ok(), name);
        host.boxship(["network", "rm", name]).ok();
    }
    for name in ["a/b", "ü b"] {
        host.boxship(["network", "create", name]).ok();
        host.docker(["network", "rm", name]).ok();
    }
}

#[test]
fn without_icc_neighbours_are_strangers() {
    let host = host();
    host.run("network create -o com.docker.network.bridge.enable_icc=false shy").ok();
    serve(&host, "web", "--network shy -p 8080:80");
    sleeper(&host, "client", "--network shy");
    let web = address(&host, "web", "shy");
    fails(&host, "client", &format!("ping -c 1 -W 1 {web}"));
    fails(&host, "client", &format!("timeout 1 wget -qO- http://{web}"));
    works(&host, "client", &format!("ping -c 1 -W 2 {}", OUTSIDE[0]));
    answers(host.outside(), &format!("{}:8080", HOME[0]), "web");
}

#[test]
fn no_network_is_no_network() {
    let host = host();
    sleeper(&host, "box", "--network none");
    assert_eq!(inside(&host, "box", "ls /sys/class/net").ok(), "lo");
    for target in [OUTSIDE[0], HOME[0], "172.17.0.1"] {
        fails(&host, "box", &format!("ping -c 1 -W 1 {target}"));
    }
    let ran = host.run("network connect bridge box");
    assert_eq!(ran.code, 1, "a container on none joins nothing");
    assert!(ran.stderr.contains("private (none)") || ran.stderr.contains("none"), "{}", ran.stderr);
}

#[test]
fn forged_packets_do_not_get_through() {
    let host = host();
    serve(&host, "web", "-p 127.0.0.1:8080:80 -p 8081:80");
    let web = address(&host, "web", "bridge");
    let mac =
        host.home().shell("ip -o link show eth0 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/'").ok().to_string();
    // From outside: for a port that is published on localhost only, for the container itself, and from its neighbours'
    // addresses. The last line shows that the tool's packets arrive when they may.
    let neighbour = web.rsplit_once('.').map(|(net, _)| format!("{net}.77")).unwrap();
    let seen = |source: &str, destination: &str, port: u16| -> usize {
        let watch = Tool::in_container(&host, "web", &format!("seen eth0 0.5 {source}"));
        packets(host.outside(), &format!("frame eth0 {mac} {source} {destination} {port}")).ok();
        watch.end().parse().unwrap()
    };
    for (source, destination, port, arrives) in [
        (OUTSIDE[0], "127.0.0.1", 8080, false),
        ("127.0.0.1", HOME[0], 8081, false),
        (OUTSIDE[0], &*web, 80, false),
        (&*neighbour, &*web, 80, false),
        (&*neighbour, HOME[0], 8081, false),
        (OUTSIDE[0], HOME[0], 8081, true),
    ] {
        if arrives {
            eventually("the tool's packets arrive", || seen(source, destination, port) > 0);
        } else {
            assert_eq!(seen(source, destination, port), 0, "from {source} to {destination}:{port}");
        }
    }
    answers(host.home(), "127.0.0.1:8080", "web");
}

#[test]
fn macvlan_is_on_the_wire_itself() {
    let host = host();
    host.run("network create -d macvlan -o parent=eth0 --subnet 198.51.100.0/24 --gateway 198.51.100.1 --ip-range 198.51.100.128/25 wire")
        .ok();
    serve(&host, "web", "--network wire --ip 198.51.100.200");
    answers(host.outside(), "198.51.100.200", "web");
    assert_eq!(works(&host, "web", &format!("ping -c 1 -W 2 {} | grep -c from", OUTSIDE[0])), "1");
    silent(host.home(), "198.51.100.200");
}

#[test]
fn hosts_links_and_resolvers() {
    let host = host();
    serve(&host, "db", "");
    let hosts = host.run(
        "run --rm --link db:store --add-host x:1.2.3.4 --add-host up:host-gateway busybox cat /etc/hosts",
    );
    let db = address(&host, "db", "bridge");
    let lines: Vec<Vec<&str>> = hosts.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    let of = |name: &str| lines.iter().find(|line| line.contains(&name)).map(|line| line[0]);
    assert_eq!(
        (of("x"), of("store"), of("db")),
        (Some("1.2.3.4"), Some(&*db), Some(&*db)),
        "{}",
        hosts.stdout
    );
    let gateway = endpoint(&host, "db", "bridge", "Gateway");
    assert_eq!(of("up"), Some(&*gateway), "{}", hosts.stdout);
    let resolvers = host.run(
        "run --rm --dns 192.0.2.53 --dns-search x.example --dns-option ndots:3 busybox cat /etc/resolv.conf",
    );
    for line in ["nameserver 192.0.2.53", "search x.example", "options ndots:3"] {
        assert!(resolvers.ok().lines().any(|one| one == line), "{line}: {}", resolvers.stdout);
    }
    works(&host, "db", "timeout 3 wget -qO- http://127.0.0.1");
    let shared = host.run("run --rm --network container:db busybox timeout 60 wget -qO- http://127.0.0.1");
    assert_eq!(shared.ok(), "db");
}

#[test]
fn links_and_shared_networks_outlive_a_rename() {
    let host = host();
    serve(&host, "db", "");
    host.run("run -d --name app --link db:store busybox sleep 100000").ok();
    host.run("run -d --name side --network container:db busybox sleep 100000").ok();
    host.run("rename db data").ok();
    host.run("restart -t 0 app side").ok();
    assert_eq!(format(&host, "app", "{{json .HostConfig.Links}}"), r#"["/data:/app/store"]"#);
    assert_eq!(works(&host, "app", "timeout 3 wget -qO- http://store"), "db");
    assert_eq!(works(&host, "side", "timeout 3 wget -qO- http://127.0.0.1"), "db");
    let id = format(&host, "data", "{{.Id}}");
    assert_eq!(format(&host, "side", "{{.HostConfig.NetworkMode}}"), format!("container:{id}"));
    // A run in the background that fails tells which container it was.
    let failed = host.run("run -d --network container:nosuch busybox true");
    assert!(failed.code != 0 && failed.stdout.is_empty(), "none was made: {}", failed.stdout);
    let failed = host.run("run -d --name bad --dns 127.0.0.1 busybox nosuch");
    assert_eq!((failed.code, failed.stdout.trim()), (127, &*format(&host, "bad", "{{.Id}}")));
    assert!(failed.stderr.contains("WARNING: Localhost DNS (127.0.0.1)"), "{}", failed.stderr);
    assert_eq!(inside(&host, "side", "cat /etc/hostname").ok(), &id[..12]);
    let named = host.run("run --rm -h box --domainname x.example busybox cat /etc/hostname");
    assert_eq!(named.ok(), "box");
}

#[test]
fn a_link_to_what_is_gone_keeps_its_name() {
    let host = host();
    host.run("create --name db busybox true").ok();
    host.run("create --name app --link db:store busybox true").ok();
    host.run("rm db").ok();
    let links = || format(&host, "app", "{{json .HostConfig.Links}}");
    assert_eq!(links(), r#"["/db:/app/store"]"#);
    for again in [false, true] {
        if again {
            // Another one of that name isn't the one that was linked to.
            host.run("create --name db busybox true").ok();
        }
        let failed = host.run("start app");
        let why = "Cannot link to a non running container: /db AS /app/store";
        assert!(failed.code == 1 && failed.stderr.contains(why), "{}", failed.stderr);
        assert_eq!(links(), r#"["/db:/app/store"]"#);
    }
}

#[test]
fn nobody_shares_the_network_of_itself() {
    let host = host();
    let failed = host.run("run --name me --network container:me busybox true");
    assert!(
        failed.code == 125 && failed.stderr.contains("cannot join own network"),
        "{} {}",
        failed.code,
        failed.stderr
    );
    assert_eq!(host.run("ps -aq").ok(), "");
}

#[test]
fn what_is_refused_leaves_nothing() {
    let host = host();
    host.run("network create --subnet 10.77.0.0/24 mine").ok();
    host.run("network create --subnet 10.78.0.0/30 tiny").ok();
    sleeper(&host, "box", "--network tiny");
    // The default bridge comes with its first container, and stays.
    host.run("run --rm busybox true").ok();
    eventually("its cable is gone", || {
        host.home().links().iter().filter(|link| link.starts_with("veth")).count() == 1
    });
    let links = host.home().links();
    for (line, text) in [
        ("network create mine", "network with name mine already exists"),
        ("network create --subnet 10.77.0.128/25 x", "Pool overlaps with other one on this address space"),
        ("network create --subnet 10.79.0.0/24 --gateway 10.80.0.1 x", "no matching subnet for gateway"),
        ("network create --subnet 10.79.0.0/24 --ip-range 10.80.0.0/25 x", "no matching subnet for range"),
        ("network create -d nosuch x", "nosuch"),
        ("network create -o com.docker.network.bridge.enable_icc=perhaps x", "perhaps"),
        ("network create -o nosuch.option=1 x", "nosuch.option"),
        ("network create --ipam-driver nosuch x", "nosuch"),
        ("network create -d host x", "host"),
        ("network create bridge", "bridge"),
        ("network create --ingress x", "Ingress network can only be global scope network"),
        ("network create -d macvlan -o parent=nosuch0 x", "nosuch0"),
        ("network create -d macvlan -o macvlan_mode=nosuch x", "nosuch"),
        ("network rm bridge", "bridge is a pre-defined network and cannot be removed"),
        ("network rm nosuch", "network nosuch not found"),
        ("network inspect nosuch", "network nosuch not found"),
        ("network connect nosuch box", "network nosuch not found"),
        ("network connect mine nosuch", "No such container: nosuch"),
        ("network connect --ip 10.99.0.1 mine box", "10.99.0.1"),
        ("network connect --ip nonsense mine box", "nonsense"),
        ("run --rm --network tiny busybox true", "no available IPv4 addresses"),
        ("run --rm --network mine --ip 10.99.0.1 busybox true", "10.99.0.1"),
        ("run --rm --network nosuch busybox true", "network nosuch not found"),
        (
            "run --rm --ip 172.17.0.99 busybox true",
            "user specified IP address is supported on user defined networks only",
        ),
        (
            "run --rm --network mine --mac-address 01:00:00:00:00:01 busybox true",
            "invalid MAC address 01:00:00:00:00:01",
        ),
        ("run --rm -p 300.1.1.1:80:80 busybox true", "invalid IP address: 300.1.1.1"),
        ("run --rm -p 192.0.2.99:80:80 busybox true", "192.0.2.99"),
        ("run --rm --network container:nosuch busybox true", "nosuch"),
        ("run --rm --link nosuch:x busybox true", "nosuch"),
    ] {
        let ran = host.run(line);
        assert!(ran.code == 1 || ran.code == 125, "{line}: {} {}{}", ran.code, ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(text), "{line} says: {}", ran.stderr);
    }
    eventually("no container is left", || host.run("ps -aq").ok().lines().count() == 1);
    assert_eq!(host.run("network ls -q").ok().lines().count(), 5);
    // The kernel takes away at leisure what a failed start had plugged in.
    eventually("no link is left", || host.home().links() == links);
}
