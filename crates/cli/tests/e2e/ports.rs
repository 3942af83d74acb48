//! Published ports: in every form, from everywhere they should be reached and from nowhere else, whatever becomes of the
//! daemon and of the firewall.

use boxship_testkit::host::{HOME, Host, OUTSIDE};
use boxship_testkit::images;

use crate::wire::{address, answers, ask, endpoint, host, host_with, packets, serve, serving, silent, works};
use crate::{eventually, format};

/// nginx of a Debian image answers everybody, and keeps answering while the daemon is gone.
fn nginx_answers(host: &mut Host, run: impl Fn(&Host, &[&str]) -> String) {
    let on = ["-d", "-p", "8088:80", "--network", "six", "--name", "web", "nginx"];
    run(host, &[&["run"], &on[..]].concat());
    host.boxship(["run", "-d", "--name", "other", "--network", "six", "busybox", "sleep", "1000"]).ok();
    let everywhere = |host: &Host| {
        let hello = |who: &str| format!("hello {who}");
        answers(host.outside(), &format!("{}:8088", HOME[0]), &hello(OUTSIDE[0]));
        answers(host.outside(), &format!("[{}]:8088", HOME[1]), &hello(OUTSIDE[1]));
        for local in [HOME[0], "127.0.0.1", "localhost", "[::1]", &format!("[{}]", HOME[1])] {
            eventually(local, || ask(host.home(), &format!("{local}:8088")).stdout.starts_with("hello "));
        }
        let own = [address(host, "other", "six"), endpoint(host, "other", "six", "GlobalIPv6Address")];
        let said = works(host, "other", "timeout 3 wget -qO- http://web");
        assert!(own.iter().any(|own| said == hello(own)), "{said}, not {own:?}");
        works(host, "other", &format!("timeout 3 wget -qO- http://{}:8088", HOME[0]));
    };
    everywhere(host);
    assert_eq!(run(host, &["port", "web"]), "80/tcp -> 0.0.0.0:8088\n80/tcp -> [::]:8088");
    let ports = run(host, &["ps", "--filter", "name=web", "--format", "{{.Ports}}"]);
    assert_eq!(ports, "0.0.0.0:8088->80/tcp, [::]:8088->80/tcp");
    host.kill_daemon();
    answers(host.outside(), &format!("{}:8088", HOME[0]), &format!("hello {}", OUTSIDE[0]));
    answers(host.outside(), &format!("[{}]:8088", HOME[1]), &format!("hello {}", OUTSIDE[1]));
    host.start_daemon();
    everywhere(host);
    host.boxship(["rm", "-f", "web", "other"]).ok();
    silent(host.outside(), &format!("{}:8088", HOME[0]));
}

#[test]
fn nginx_from_debian_answers_everybody_by_every_address() {
    let mut host = host();
    host.load(&images::nginx());
    host.boxship(["network", "create", "--ipv6", "six"]).ok();
    nginx_answers(&mut host, |host, words| host.boxship(words).ok().to_string());
    nginx_answers(&mut host, |host, words| host.docker(words).ok().to_string());
    // On the same image, for it has python: datagrams come with the sender's address and go back to it.
    let tool = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/packets.py")).unwrap();
    host.boxship([
        "run",
        "-d",
        "--network",
        "six",
        "-p",
        "5300:53/udp",
        "nginx",
        "python3",
        "-c",
        &tool,
        "echo",
        "53",
    ])
    .ok();
    for (to, from) in HOME.iter().zip(OUTSIDE) {
        let ran = packets(host.outside(), &format!("udp {to} 5300 hello"));
        assert_eq!(ran.ok(), format!("hello from {from}"));
    }
    packets(host.home(), "udp 127.0.0.1 5300 hello").ok();
}

#[test]
fn every_form_of_publishing() {
    let host = host();
    // What is asked for, what `port` says, where it answers, and where it doesn't: h from the host, o from outside.
    for (flags, ports, reached, silent_at) in [
        ("-p 8080:80", "80/tcp -> 0.0.0.0:8080", "h127.0.0.1:8080 h198.51.100.2:8080 o198.51.100.2:8080", ""),
        (
            "-p 127.0.0.1:8000:80",
            "80/tcp -> 127.0.0.1:8000",
            "h127.0.0.1:8000",
            "o198.51.100.2:8000 h198.51.100.2:8000",
        ),
        ("-p 198.51.100.2:8000:80", "80/tcp -> 198.51.100.2:8000", "o198.51.100.2:8000", "h127.0.0.1:8000"),
        (
            "-p 9000-9002:80-82",
            "80/tcp -> 0.0.0.0:9000\n81/tcp -> 0.0.0.0:9001",
            "o198.51.100.2:9000",
            "o198.51.100.2:9003",
        ),
        ("-p 9000-9010:80", "80/tcp -> 0.0.0.0:9000", "o198.51.100.2:9000", "o198.51.100.2:9001"),
        ("-p 8080:80 -p 8081:80", "80/tcp -> 0.0.0.0:8080", "o198.51.100.2:8080 o198.51.100.2:8081", ""),
        ("-p published=8080,target=80", "80/tcp -> 0.0.0.0:8080", "o198.51.100.2:8080", ""),
    ] {
        serve(&host, "web", flags);
        let said = host.boxship(["port", "web"]);
        for line in ports.lines() {
            assert!(said.ok().lines().any(|one| one == line), "{flags}: {}", said.stdout);
        }
        for place in reached.split_whitespace() {
            let (from, url) = place.split_at(1);
            answers(if from == "h" { host.home() } else { host.outside() }, url, "web");
        }
        for place in silent_at.split_whitespace() {
            let (from, url) = place.split_at(1);
            silent(if from == "h" { host.home() } else { host.outside() }, url);
        }
        host.boxship(["rm", "-f", "web"]).ok();
    }
    for flags in ["-p 80", "-p 0:80", "-P --expose 80", "-p 127.0.0.1::80"] {
        serve(&host, "web", flags);
        let said = host.boxship(["port", "web", "80"]).ok().to_string();
        let port = said.lines().next().unwrap().rsplit(':').next().unwrap();
        assert!(port.parse::<u16>().unwrap() >= 1024, "{flags}: {said}");
        answers(host.home(), &format!("127.0.0.1:{port}"), "web");
        host.boxship(["rm", "-f", "web"]).ok();
    }
    host.boxship(["network", "create", "--ipv6", "six"]).ok();
    serve(&host, "web", "--network six -p [::1]:8000:80");
    assert_eq!(host.boxship(["port", "web"]).ok(), "80/tcp -> [::1]:8000");
    answers(host.home(), "[::1]:8000", "web");
    silent(host.outside(), &format!("[{}]:8000", HOME[1]));
}

#[test]
fn the_clients_address_arrives() {
    let host = host();
    serve(&host, "web", "-p 8080:80");
    let who = format!("{}:8080/cgi-bin/who", HOME[0]);
    eventually("the server answers", || ask(host.outside(), &who).stdout.contains(OUTSIDE[0]));
    eventually("the host is answered", || ask(host.home(), &who).code == 0);
    // Through the host's address a container reaches its neighbour, and itself.
    host.boxship(["run", "-d", "--name", "other", "busybox", "sleep", "1000"]).ok();
    for from in ["other", "web"] {
        assert_eq!(works(&host, from, &format!("timeout 3 wget -qO- http://{}:8080", HOME[0])), "web");
    }
}

#[test]
fn a_port_that_is_taken_is_refused_before_the_start() {
    let host = host();
    serve(&host, "web", "-p 8080:80");
    let ran = host.boxship(serving("second", "-p 8080:80"));
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    assert!(ran.stderr.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{}", ran.stderr);
    assert_eq!(format(&host, "second", "{{.State.Status}}"), "created");
    answers(host.outside(), &format!("{}:8080", HOME[0]), "web");
    // What another program holds is as taken, and free again when that is gone.
    let script = "import socket,time; s=socket.socket(); s.bind(('0.0.0.0',8081)); s.listen(); print(); time.sleep(100000)";
    let mut child = host
        .home()
        .command("python3")
        .args(["-u", "-c", script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let ran = host.boxship(serving("third", "-p 8081:80"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    assert!(ran.stderr.contains("address already in use"), "{}", ran.stderr);
    host.boxship(["start", "third"]).ok();
    answers(host.home(), "127.0.0.1:8081", "third");
    // One of a range is taken: nothing of it is published.
    let ran = host.boxship(serving("fourth", "-p 8078-8080:78-80"));
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    host.boxship(serving("fifth", "-p 8078-8079:78-79")).ok();
    assert!(!host.home().links().iter().any(|link| link.contains("fourth")));
    host.boxship(["rm", "-f", "web"]).ok();
    host.boxship(["start", "second"]).ok();
    answers(host.home(), "127.0.0.1:8080", "second");
}

#[test]
fn what_others_have_in_the_firewall_stays_and_a_flush_is_repaired() {
    let mut host = host();
    host.home().shell("nft add table inet mine; nft add chain inet mine kept '{ type filter hook input priority 7; }'; nft add rule inet mine kept tcp dport 1 drop").ok();
    let mine = || host.home().run("nft --stateless list table inet mine").ok().to_string();
    let before = mine();
    let url = format!("{}:8080", HOME[0]);
    serve(&host, "web", "-p 8080:80");
    answers(host.outside(), &url, "web");
    assert_eq!(mine(), before);
    host.home().run("nft flush ruleset").ok();
    answers(host.outside(), &url, "web");
    assert_eq!(host.home().rules().matches("table inet mine").count(), 0, "it is not ours to bring back");
    // While nobody repairs, nothing gets through.
    host.kill_daemon();
    host.home().run("nft flush ruleset").ok();
    silent(host.outside(), &url);
    host.start_daemon();
    answers(host.outside(), &url, "web");
}

#[test]
fn an_honest_firewall_asks_the_hosts_own_rules() {
    const CLOSED: &str = "nft -f - <<EOF\n\
        table inet filter { chain input { type filter hook input priority 0; policy drop; \
        iif lo accept; ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }; }\nEOF";
    let url = format!("{}:8080", HOME[0]);
    for (mode, open) in [("docker", true), ("honest", false)] {
        let host = host_with(&["--firewall", mode]);
        host.home().shell(CLOSED).ok();
        serve(&host, "web", "-p 8080:80");
        answers(host.home(), "127.0.0.1:8080", "web");
        let why = host.boxship(["network", "why", &url]).ok().to_string();
        if open {
            answers(host.outside(), &url, "web");
            assert!(why.starts_with("delivered"), "{why}");
            continue;
        }
        silent(host.outside(), &url);
        host.home().run("nft add rule inet filter input tcp dport 8080 accept").ok();
        answers(host.outside(), &url, "web");
    }
}

#[test]
fn why_a_packet_arrives_or_not() {
    let host = host();
    serve(&host, "web", "-p 8080:80");
    let why = |words: &[&str]| host.boxship([&["network", "why"], words].concat());
    let published = format!("{}:8080", HOME[0]);
    let told = why(&[&published]);
    let web = format!("{}:80", address(&host, "web", "bridge"));
    assert!(told.ok().starts_with("delivered") && told.stdout.contains(&web), "{}", told.stdout);
    assert!(why(&["127.0.0.1:8080", "--from", "host"]).ok().starts_with("delivered"));
    assert!(!why(&["127.0.0.1:8080"]).ok().starts_with("delivered"), "localhost from outside");
    assert!(!why(&[&format!("{}:8081", HOME[0])]).ok().starts_with("delivered"), "nothing is there");
    assert!(!why(&[&published, "--protocol", "udp"]).ok().starts_with("delivered"), "only TCP is published");
    for wrong in [
        &["nonsense"][..],
        &["1.2.3.4:99999"],
        &[&published, "--from", "nosuch"],
        &[&published, "--protocol", "x"],
    ] {
        assert_eq!(why(wrong).code, 1, "{wrong:?}");
    }
}
