//! Many containers, in a row and at once: nothing stays behind (each host checks at its end),
//! and neither descriptors nor threads of the daemon add up.

use std::fs;

use boxship_testkit::host::{Host, Ran};

use crate::{eventually, host};

/// Descriptors of the daemon but for those of the database, of which it keeps a few readers.
fn descriptors(host: &Host) -> usize {
    let entries = fs::read_dir(format!("/proc/{}/fd", host.daemon_pid())).unwrap().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| !target.to_string_lossy().contains("boxship.db")).count()
}

fn resident_kb(host: &Host) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.daemon_pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn settled(host: &Host) {
    eventually("all are removed", || host.boxship(["ps", "-aq"]).ok().is_empty());
}

#[test]
fn five_hundred_in_a_row() {
    let host = host();
    for _ in 0..100 {
        host.boxship(["run", "--rm", "busybox", "true"]).ok();
    }
    settled(&host);
    let (files, memory) = (descriptors(&host), resident_kb(&host));
    for _ in 0..400 {
        host.boxship(["run", "--rm", "busybox", "true"]).ok();
    }
    settled(&host);
    eventually("descriptors are given back", || descriptors(&host) <= files + 5);
    let after = resident_kb(&host);
    assert!(after < memory + 8 * 1024, "the daemon grew from {memory} kB to {after} kB over 400 containers");
}

#[test]
fn a_hundred_at_once() {
    let host = host();
    // The first round opens what is kept: connections to the database, threads.
    round(&host, 40);
    let before = descriptors(&host);
    round(&host, 100);
    eventually("descriptors are given back", || descriptors(&host) <= before + 5);
}

/// Starts `count` containers at the same moment, and removes them.
fn round(host: &Host, count: usize) {
    let start = |n: usize| {
        let mut command = host.boxship_command();
        command.args(["run", "-d", "--name", &format!("c{n}"), "busybox", "sleep", "1000"]);
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let starting: Vec<_> = (0..count).map(start).collect();
    for child in starting {
        Ran::to_end(child).ok();
    }
    assert_eq!(host.boxship(["ps", "-q"]).ok().lines().count(), count);
    let names: Vec<String> = (0..count).map(|n| format!("c{n}")).collect();
    host.boxship(["rm", "-f"].into_iter().map(String::from).chain(names)).ok();
}

#[test]
fn terminals_open_while_device_rules_are_set() {
    // The rules of cgroup v1 were once set beside the opening of the terminal, which failed now and then.
    let host = host();
    for _ in 0..60 {
        host.boxship(["run", "--rm", "-t", "busybox", "true"]).ok();
    }
}
