//! What is left after many containers, and after a daemon that was killed at any moment: exactly what those that run need.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use boxship_testkit::host::{HOME, Host};

use crate::eventually;
use crate::wire::{address, answers, host, serve, silent, works};

/// Links, addresses, routes and rules of the host.
fn state(host: &Host) -> String {
    let look = |line: &str| host.home().shell(line).ok().to_string();
    // Without what the kernel makes and changes by itself, at leisure.
    let addresses = look("ip -o address show scope global | awk '{print $2, $4}' | sort");
    let routes = look(
        "ip route show table all | grep -v -e broadcast -e multicast -e fe80 | sed 's/ linkdown//' | sort",
    );
    format!("{}\n{addresses}\n{routes}\n{}", host.home().links().join("\n"), host.home().rules())
}

/// Waits until the host is in this state again; panics with what is there too much and too little.
#[track_caller]
fn again(host: &Host, before: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    let mut now = state(host);
    while now != before && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        now = state(host);
    }
    let more: Vec<&str> = now.lines().filter(|line| !before.lines().any(|one| one == *line)).collect();
    let less: Vec<&str> = before.lines().filter(|line| !now.lines().any(|one| one == *line)).collect();
    assert!(now == before, "too much: {more:#?}\ntoo little: {less:#?}\n{now}");
}

fn veths(host: &Host) -> usize {
    let links = host.home().shell("ip -o link show type veth").ok().to_string();
    links.lines().filter(|line| !line.contains(": eth0@") && !line.contains(": boxship")).count()
}

#[test]
fn two_hundred_rounds_leave_what_there_was() {
    let host = host();
    host.run("network create mine").ok();
    host.run("run --rm -p 8080:80 busybox true").ok();
    serve(&host, "stays", "--network mine -p 8081:80");
    let before = state(&host);
    for round in 0..200 {
        let network = if round % 2 == 0 { "mine" } else { "bridge" };
        host.run(&format!("run --rm --network {network} -p 8080:80 -p 9000-9003:9000-9003/udp busybox true"))
            .ok();
    }
    again(&host, &before);
    answers(host.outside(), &format!("{}:8081", HOME[0]), "stays");
}

#[test]
fn a_restart_after_a_kill_at_any_moment_repairs() {
    let mut host = host();
    host.run("network create mine").ok();
    serve(&host, "stays", "--network mine -p 8081:80");
    let before = state(&host);
    for round in 0..10_u64 {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                for n in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("w{round}-{n}");
                    host.run(&format!("network create n{name}"));
                    host.run(&format!(
                        "run -d --name {name} --network n{name} -p 8082:80 busybox sleep 1000"
                    ));
                    host.run(&format!("network connect mine {name}"));
                    host.run(&format!("rm -f {name}"));
                    host.run(&format!("network rm n{name}"));
                }
            });
            // Moments of all kinds: no two rounds are killed at the same step.
            std::thread::sleep(Duration::from_millis(40 + round * 53));
            let pid = rustix::process::Pid::from_raw(host.daemon_pid() as i32).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            done.store(true, Ordering::Relaxed);
            worker.join().unwrap();
        });
        host.kill_daemon();
        host.start_daemon();
        answers(host.outside(), &format!("{}:8081", HOME[0]), "stays");
        // The end of one that was just being removed may be a moment off, and the kernel takes cables away at leisure.
        eventually("every running container has its cables, and nobody else", || {
            let running = host.run("ps -q").ok().lines().count();
            (running..=running * 2).contains(&veths(&host))
        });
        let ids = host.boxship(["ps", "-aq", "--filter", "name=w"]).ok().to_string();
        let _ = host.boxship(["rm", "-f"].into_iter().chain(ids.split_whitespace()));
        host.run("network prune -f").ok();
        again(&host, &before);
    }
    silent(host.outside(), &format!("{}:8082", HOME[0]));
}

#[test]
fn names_and_ports_hold_over_restarts_of_containers() {
    let mut host = host();
    host.run("network create mine").ok();
    serve(&host, "web", "--network mine -p 8080:80 --restart always");
    host.run("run -d --name client --network mine busybox sleep 1000").ok();
    for _ in 0..3 {
        host.run("restart -t 0 web").ok();
        answers(host.outside(), &format!("{}:8080", HOME[0]), "web");
        works(&host, "client", "timeout 3 wget -qO- http://web");
    }
    // It ends while nobody looks; the next daemon starts it again, with its network.
    let pid = crate::format(&host, "web", "{{.State.Pid}}").parse().unwrap();
    host.kill_daemon();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("it has ended", || rustix::process::test_kill_process(pid).is_err());
    host.start_daemon();
    answers(host.outside(), &format!("{}:8080", HOME[0]), "web");
    assert!(!address(&host, "web", "mine").is_empty());
}
