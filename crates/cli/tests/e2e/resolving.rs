//! Names: who answers to which, at once after every change, and what becomes of the names of the rest of the world.

use boxship_testkit::host::{Host, OUTSIDE};

use crate::wire::{Tool, address, fails, host, inside, serve, works};
use crate::{eventually, format};

/// The addresses that a name has in a container, sorted; none when there is no such name.
fn looked_up(host: &Host, container: &str, name: &str) -> Vec<String> {
    let ran = inside(host, container, &format!("nslookup -type=a {name} 127.0.0.11"));
    let answer = ran.stdout.split_once("\n\n").map_or("", |(_, answer)| answer).to_string();
    let addresses = answer.lines().filter_map(|line| line.strip_prefix("Address")?.split_once(": "));
    let mut found: Vec<String> = addresses.map(|(_, address)| address.trim().to_string()).collect();
    found.sort();
    found
}

fn sleeper(host: &Host, name: &str, flags: &str) {
    host.run(&format!("run -d --name {name} --network mine {flags} busybox sleep 100000")).ok();
}

#[test]
fn names_follow_every_change() {
    let mut host = host();
    host.run("network create mine").ok();
    sleeper(&host, "client", "");
    serve(&host, "web", "--network mine --network-alias www --network-alias site");
    let web = address(&host, "web", "mine");
    let short = format(&host, "web", "{{.Id}}")[..12].to_string();
    for name in ["web", "www", "site", "WEB", &short] {
        assert_eq!(looked_up(&host, "client", name), [&*web], "{name}");
    }
    assert!(looked_up(&host, "client", "nosuch").is_empty());
    // Several containers of one service: all of them.
    sleeper(&host, "web2", "--network-alias www");
    let mut both = vec![web.clone(), address(&host, "web2", "mine")];
    both.sort();
    assert_eq!(looked_up(&host, "client", "www"), both);
    // An address has its name back.
    let reverse = inside(&host, "client", &format!("nslookup {web} 127.0.0.11"));
    assert!(reverse.stdout.contains("web.mine"), "{}{}", reverse.stdout, reverse.stderr);
    host.run("rename web shop").ok();
    assert_eq!(looked_up(&host, "client", "shop"), [&*web]);
    assert!(looked_up(&host, "client", "web").is_empty(), "the old name is gone");
    host.run("stop -t 0 shop").ok();
    assert!(looked_up(&host, "client", "shop").is_empty(), "who doesn't run has no address");
    host.run("start shop").ok();
    assert_eq!(looked_up(&host, "client", "shop"), [address(&host, "shop", "mine")]);
    host.run("network disconnect mine web2").ok();
    assert_eq!(looked_up(&host, "client", "www"), [address(&host, "shop", "mine")]);
    host.kill_daemon();
    host.start_daemon();
    eventually("names answer again", || {
        looked_up(&host, "client", "shop") == [address(&host, "shop", "mine")]
    });
    host.run("restart -t 0 client").ok();
    assert_eq!(looked_up(&host, "client", "shop"), [address(&host, "shop", "mine")]);
}

#[test]
fn the_default_bridge_has_no_names() {
    let host = host();
    host.run("run -d --name one busybox sleep 1000").ok();
    host.run("run -d --name two busybox sleep 1000").ok();
    fails(&host, "one", "ping -c 1 -W 1 two");
    works(&host, "one", &format!("ping -c 1 -W 2 {}", address(&host, "two", "bridge")));
}

#[test]
fn other_names_are_asked_outside() {
    let host = host();
    let _server = Tool::in_namespace(host.outside(), &format!("dns {}", OUTSIDE[0]));
    host.run("network create mine").ok();
    sleeper(&host, "client", &format!("--dns {}", OUTSIDE[0]));
    // The way outside may lose its first packets: neighbours are still being looked for.
    eventually("the server is asked", || looked_up(&host, "client", "www.example.com") == ["203.0.113.7"]);
    assert_eq!(
        looked_up(&host, "client", "client"),
        [address(&host, "client", "mine")],
        "our own come first"
    );
    let none = inside(&host, "client", "nslookup -type=a none.example.com 127.0.0.11");
    assert!(none.stdout.contains("NXDOMAIN"), "{}{}", none.stdout, none.stderr);
    // TCP, of which busybox has no resolver: with the prefix of two bytes.
    let query = "\\000\\041\\000\\001\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\003www\\007example\\003com\\000\\000\\001\\000\\001";
    let script = format!("printf '{query}' | nc -w 30 127.0.0.11 53 | od -An -tx1 | tr -d ' \\n'");
    let answer = inside(&host, "client", &script);
    assert!(answer.stdout.contains("cb007107"), "{}{}", answer.stdout, answer.stderr);
    // An internal network asks nobody.
    host.run("network create --internal inner").ok();
    host.run(&format!("run -d --name shut --network inner --dns {} busybox sleep 1000", OUTSIDE[0])).ok();
    assert!(looked_up(&host, "shut", "www.example.com").is_empty());
    assert_eq!(looked_up(&host, "shut", "shut"), [address(&host, "shut", "inner")]);
}
