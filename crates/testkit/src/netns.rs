//! A network namespace of a test's own, so that no test touches this machine's network and each sees only its own
//! daemon's links, addresses and rules.
//!
//! It is held by a process that the kernel kills when the test's thread ends, however that ends: a namespace is never
//! left behind, and nothing is mounted for it. Made by programs (`unshare`, `nsenter`, `ip`), for tests have no unsafe
//! code to do it by themselves.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::ran::Ran;
use crate::require_program;

/// A namespace with its loopback up.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Makes one. It lives as long as this value, and no longer than the calling thread.
    pub fn new() -> Namespace {
        let ip = require_program("ip", "iproute2");
        let script = format!("{} link set lo up && echo ready && exec sleep infinity", ip.display());
        let mut holder = Command::new(require_program("setpriv", "util-linux"))
            .args(["--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("make a network namespace");
        let mut line = String::new();
        let output = holder.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("wait for the network namespace");
        assert_eq!(line, "ready\n", "no network namespace can be made here");
        Namespace { holder }
    }

    /// The process that holds it.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A command that runs inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid())).arg("--").arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command inside to its end; `line` is split at spaces.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ran {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command has a name");
        Ran::of(self.command(program).args(words))
    }

    /// The same with a shell, for pipes and quotes.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Ran {
        Ran::of(self.command("sh").args(["-c", script]))
    }

    /// The names of its links, sorted.
    pub fn links(&self) -> Vec<String> {
        let text = self.run("ip -o link show").ok().to_string();
        let name = |line: &str| line.split([':', '@']).nth(1).map(|name| name.trim().to_string());
        let mut names: Vec<String> = text.lines().filter_map(name).collect();
        names.sort();
        names
    }

    /// The rules of its firewall without counters and handles.
    pub fn rules(&self) -> String {
        self.run("nft --stateless list ruleset").ok().to_string()
    }

    /// A cable to `other`: `name` here and `name` there, with these addresses, up.
    pub fn cable(&self, name: &str, here: &[&str], other: &Namespace, there: &[&str]) {
        let (near, far) = (self.pid(), other.pid());
        let line = format!("ip link add {name} netns {near} type veth peer name {name} netns {far}");
        let words: Vec<&str> = line.split_whitespace().collect();
        Ran::of(Command::new(words[0]).args(&words[1..])).ok();
        for (end, addresses) in [(self, here), (other, there)] {
            for address in addresses {
                let once = if address.contains(':') { "nodad" } else { "" };
                end.run(&format!("ip address add {address} dev {name} {once}")).ok();
            }
            end.run(&format!("ip link set {name} up")).ok();
        }
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Whether the kernel has a firewall that daemons can use. The one of `tests/vm` has tables, and nothing to put in them.
pub fn has_firewall(namespace: &Namespace) -> bool {
    const PROBE: &str = "add table inet probe; \
        add chain inet probe nat { type nat hook prerouting priority 0; }; \
        add rule inet probe nat fib daddr type local accept; delete table inet probe";
    let nft = require_program("nft", "nftables");
    namespace.command(nft).arg(PROBE).output().is_ok_and(|ran| ran.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_namespaces_and_a_cable() {
        crate::require_root();
        let (one, other) = (Namespace::new(), Namespace::new());
        one.cable("eth0", &["192.0.2.1/24", "2001:db8::1/64"], &other, &["192.0.2.2/24", "2001:db8::2/64"]);
        assert_eq!(one.links(), ["eth0", "lo"]);
        one.run("ping -c 5 -W 30 -i 0.2 192.0.2.2").ok();
        one.run("ping -c 5 -W 30 -i 0.2 2001:db8::2").ok();
        let pid = one.pid();
        drop(one);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
