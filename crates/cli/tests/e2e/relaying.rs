//! What no firewall carries is relayed by the container's shim: the host's IPv6 addresses lead to containers that have
//! only IPv4, also while the daemon is dead.

use boxship_testkit::host::{HOME, Host, OUTSIDE};

use crate::wire::{Tool, answers, ask, fails, host, host_with, packets, serve, serving, silent, works};
use crate::{eventually, format};

/// By each of the host's addresses, from itself and from outside.
#[track_caller]
fn everywhere(host: &Host, port: u16) {
    for local in ["127.0.0.1", "[::1]", "localhost", HOME[0], &format!("[{}]", HOME[1])] {
        answers(host.home(), &format!("{local}:{port}"), "web");
    }
    answers(host.outside(), &format!("{}:{port}", HOME[0]), "web");
    answers(host.outside(), &format!("[{}]:{port}", HOME[1]), "web");
}

#[test]
fn ipv6_reaches_a_container_without_it_whatever_becomes_of_the_daemon() {
    let mut host = host();
    serve(&host, "web", "-p 8088:80 -p 5300:53/udp");
    let ports = host.boxship(["ps", "--format", "{{.Ports}}"]).ok().to_string();
    assert!(ports.contains("0.0.0.0:8088->80/tcp") && ports.contains("[::]:8088->80/tcp"), "{ports}");
    let echo = Tool::in_container(&host, "web", "echo 53");
    let gateway = format(&host, "web", "{{.NetworkSettings.Networks.bridge.Gateway}}");
    let datagrams = |host: &Host| {
        let hello = format!("hello from {gateway}");
        assert_eq!(packets(host.home(), "udp ::1 5300 hello").ok(), hello);
        assert_eq!(packets(host.home(), &format!("udp {} 5300 hello", HOME[1])).ok(), hello);
        assert_eq!(packets(host.outside(), &format!("udp {} 5300 hello", HOME[1])).ok(), hello);
        let direct = packets(host.outside(), &format!("udp {} 5300 hello", HOME[0]));
        assert_eq!(direct.ok(), format!("hello from {}", OUTSIDE[0]));
    };
    everywhere(&host, 8088);
    datagrams(&host);
    host.kill_daemon();
    everywhere(&host, 8088);
    datagrams(&host);
    host.start_daemon();
    everywhere(&host, 8088);
    datagrams(&host);
    drop(echo);
    // A daemon that has not made it knows that the port is taken, and by whom.
    let ran = host.boxship(serving("second", "-p [::1]:8088:80"));
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("port is already allocated"), "{}", ran.stderr);
    host.boxship(["rm", "-f", "second"]).ok();
    // The port is free with the container's end, and the next one has it.
    host.boxship(["restart", "-t", "0", "web"]).ok();
    everywhere(&host, 8088);
    host.boxship(["rm", "-f", "web"]).ok();
    silent(host.home(), "[::1]:8088");
    serve(&host, "web", "-p 8088:80");
    everywhere(&host, 8088);
}

/// The relay listens at the host's own address on every bridge, also on those of networks that are cut off.
#[test]
fn an_internal_network_reaches_no_relay() {
    let mut host = host();
    host.run("network create --internal --ipv6 --subnet fd77:0:0:1::/64 inner").ok();
    host.run("network create --ipv6 --subnet fd77:0:0:2::/64 open").ok();
    serve(&host, "web", "-p 8088:80");
    serve(&host, "shut", "--network inner");
    serve(&host, "free", "--network open");
    for _ in 0..2 {
        works(&host, "shut", "ping -c 1 -W 2 fd77:0:0:1::1");
        fails(&host, "shut", "timeout 2 wget -qO- http://[fd77:0:0:1::1]:8088");
        assert_eq!(works(&host, "free", "timeout 3 wget -qO- http://[fd77:0:0:2::1]:8088"), "web");
        everywhere(&host, 8088);
        host.kill_daemon();
        host.start_daemon();
    }
}

#[test]
fn only_where_it_was_published() {
    let host = host();
    serve(&host, "web", "-p [::1]:8000:80");
    assert_eq!(host.boxship(["port", "web"]).ok(), "80/tcp -> [::1]:8000");
    answers(host.home(), "[::1]:8000", "web");
    silent(host.home(), "127.0.0.1:8000");
    silent(host.home(), &format!("[{}]:8000", HOME[1]));
    silent(host.outside(), &format!("[{}]:8000", HOME[1]));
    host.boxship(["rm", "-f", "web"]).ok();
    serve(&host, "web", &format!("-p [{}]:8000:80", HOME[1]));
    answers(host.outside(), &format!("[{}]:8000", HOME[1]), "web");
    silent(host.home(), "[::1]:8000");
}

#[test]
fn ports_follow_the_container_from_network_to_network() {
    let host = host();
    host.boxship(["network", "create", "one"]).ok();
    host.boxship(["network", "create", "two"]).ok();
    serve(&host, "web", "-p 8088:80 --network one");
    everywhere(&host, 8088);
    host.boxship(["network", "connect", "two", "web"]).ok();
    everywhere(&host, 8088);
    host.boxship(["network", "disconnect", "one", "web"]).ok();
    everywhere(&host, 8088);
    host.boxship(["network", "disconnect", "two", "web"]).ok();
    silent(host.home(), "[::1]:8088");
    host.boxship(["network", "connect", "one", "web"]).ok();
    everywhere(&host, 8088);
}

#[test]
fn without_a_firewall_everything_is_relayed() {
    let mut host = host_with(&["--iptables=false"]);
    serve(&host, "web", "-p 8088:80");
    everywhere(&host, 8088);
    let gateway = format(&host, "web", "{{.NetworkSettings.Networks.bridge.Gateway}}");
    let who = format!("{}:8088/cgi-bin/who", HOME[0]);
    eventually("it is asked by the gateway, as with docker-proxy", || {
        ask(host.outside(), &who).stdout.contains(&gateway)
    });
    host.kill_daemon();
    everywhere(&host, 8088);
    host.start_daemon();
    everywhere(&host, 8088);
}
