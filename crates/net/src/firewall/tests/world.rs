//! A small world for packets: a host with two bridges, containers on them, another machine outside.
//!
//! ```text
//! outside 10.9.0.2, .3 ── eth0 10.9.0.1 host ─┬─ br0 172.20.0.1/24 ── one .2, two .3
//!         fd09::2               fd09::1       └─ br1 172.21.0.1/24 ── three .2        (IPv6: fd20::/64, fd21::/64)
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use boxship_sys::namespace::{Kind, join, open};

use crate::ports::Protocol;

pub(super) struct World {
    id: String,
}

const MEMBERS: [&str; 5] = ["host", "outside", "one", "two", "three"];

impl World {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let world = Self { id: format!("x-fwt-{}-{number}", std::process::id()) };
        for member in MEMBERS {
            world.run(&format!("ip netns add {}", world.netns(member)));
            world.ip(member, "link set lo up");
        }
        world.cable("host", "eth0", "outside");
        world.addresses("host", "eth0", &["10.9.0.1/24", "fd09::1/64"]);
        world.addresses("outside", "eth0", &["10.9.0.2/24", "10.9.0.3/24", "fd09::2/64"]);
        world.default("outside", "10.9.0.1", "fd09::1");
        for number in 0..2 {
            let bridge = format!("br{number}");
            // A hardware address of its own, as ours have: else it changes with the ports, and neighbours keep the old.
            let mac = format!("02:00:00:00:00:{:02x}", bridge.as_bytes().last().copied().unwrap_or_default());
            world.ip("host", &format!("link add {bridge} address {mac} type bridge"));
            world.addresses(
                "host",
                &bridge,
                &[&format!("172.2{number}.0.1/24"), &format!("fd2{number}::1/64")],
            );
            world.set(&format!("ipv4/conf/{bridge}/route_localnet"), "1");
        }
        world.container("one", 0, 2);
        world.container("two", 0, 3);
        world.container("three", 1, 2);
        world.set("ipv4/ip_forward", "1");
        world.set("ipv6/conf/all/forwarding", "1");
        world.warm_up();
        world
    }

    /// Neighbours find each other before a test counts on quick answers.
    fn warm_up(&self) {
        let both = [("172.20.0.2", "fd20::2"), ("172.20.0.3", "fd20::3"), ("172.21.0.2", "fd21::2")];
        for (v4, v6) in both.into_iter().chain([("10.9.0.2", "fd09::2"), ("10.9.0.3", "fd09::2")]) {
            for address in [v4, v6] {
                self.exec("host", &format!("ping -q -i 0.02 -w 60 -c 1 {address}"));
            }
        }
    }

    fn container(&self, name: &str, bridge: u8, last: u8) {
        let cable = format!("v-{name}");
        self.cable("host", &cable, name);
        self.ip("host", &format!("link set {cable} master br{bridge} up"));
        self.run(&format!("bridge -n {} link set dev {cable} hairpin on", self.netns("host")));
        self.addresses(
            name,
            "eth0",
            &[&format!("172.2{bridge}.0.{last}/24"), &format!("fd2{bridge}::{last}/64")],
        );
        self.default(name, &format!("172.2{bridge}.0.1"), &format!("fd2{bridge}::1"));
    }

    /// Plugs a container into another bridge of the host, with other addresses and no way further.
    pub(super) fn move_to(&self, name: &'static str, bridge: &str, addresses: &[&str]) {
        self.ip(name, "addr flush dev eth0 scope global");
        self.ip("host", &format!("link set v-{name} master {bridge}"));
        self.addresses(name, "eth0", addresses);
    }

    fn cable(&self, from: &str, name: &str, to: &str) {
        let to = self.netns(to);
        self.ip(from, &format!("link add {name} type veth peer name eth0 netns {to}"));
    }

    fn addresses(&self, of: &str, interface: &str, addresses: &[&str]) {
        for address in addresses {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            self.ip(of, &format!("addr add {address} dev {interface}{nodad}"));
        }
        self.ip(of, &format!("link set {interface} up"));
    }

    fn default(&self, of: &str, v4: &str, v6: &str) {
        self.ip(of, &format!("route add default via {v4}"));
        self.ip(of, &format!("route add default via {v6}"));
    }

    pub(super) fn netns(&self, member: &str) -> String {
        format!("{}-{member}", self.id)
    }

    pub(super) fn ip(&self, member: &str, arguments: &str) -> String {
        self.run(&format!("ip -n {} {arguments}", self.netns(member)))
    }

    /// Runs a program inside.
    pub(super) fn exec(&self, member: &str, command: &str) -> String {
        self.run(&format!("ip netns exec {} {command}", self.netns(member)))
    }

    /// Has the oracle read rules.
    pub(super) fn nft(&self, rules: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), rules).unwrap();
        self.exec("host", &format!("nft -f {}", file.path().display()));
    }

    pub(super) fn listing(&self) -> String {
        self.exec("host", "nft list ruleset")
    }

    /// Writes a parameter of the host's network.
    pub(super) fn set(&self, parameter: &str, value: &str) {
        let path = format!("/proc/sys/net/{parameter}");
        self.inside("host", || std::fs::write(path, value).unwrap());
    }

    fn run(&self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let done = Command::new(words[0]).args(&words[1..]).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{command}: {err}");
        out.into_owned()
    }

    /// Runs something on a thread inside.
    pub(super) fn inside<T: Send>(&self, member: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = open(Path::new("/run/netns").join(self.netns(member)).as_path()).unwrap();
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                join(namespace.as_fd(), Kind::Network).unwrap();
                // The files of /proc/sys/net are those of the thread that opens them.
                work()
            });
            done.join().unwrap()
        })
    }

    /// A server in a namespace that tells its name and who asks, on both protocols and families, as long as the
    /// test's process lives.
    pub(super) fn serve(&self, member: &'static str, port: u16) {
        let any: [IpAddr; 2] = [[0, 0, 0, 0].into(), [0_u16; 8].into()];
        for address in any {
            let (tcp, udp) = self.inside(member, || {
                let own = only_v6(address, port);
                (own.0, own.1)
            });
            std::thread::spawn(move || {
                for stream in tcp.incoming() {
                    let Ok(mut stream) = stream else { continue };
                    let Ok(peer) = stream.peer_addr() else { continue };
                    let _ = write!(stream, "{member} {}", peer.ip());
                }
            });
            std::thread::spawn(move || {
                let mut buffer = [0; 100];
                while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
                    let _ = udp.send_to(format!("{member} {}", peer.ip()).as_bytes(), peer);
                }
            });
        }
    }

    /// What the server at an address says to a member, where it is meant to answer: a first packet may be lost while
    /// the kernel's workers plug cables in and neighbours are looked for.
    pub(super) fn hear(&self, member: &str, address: &str, protocol: Protocol) -> Result<String, String> {
        self.hear_from(member, None, address, protocol)
    }

    /// The same from an address of the member's.
    pub(super) fn hear_from(
        &self,
        member: &str,
        source: Option<&str>,
        address: &str,
        protocol: Protocol,
    ) -> Result<String, String> {
        let asked = |patience| self.ask_within(patience, member, source, address, protocol);
        // Longer each time: the machine may be busy, too.
        (1..TRIES).fold(asked(PATIENCE), |said, n| said.or_else(|_| asked(PATIENCE * (1 + n / 4))))
    }

    /// What the server at an address says to a member.
    pub(super) fn ask(&self, member: &str, address: &str, protocol: Protocol) -> Result<String, String> {
        self.ask_from(member, None, address, protocol)
    }

    pub(super) fn ask_from(
        &self,
        member: &str,
        source: Option<&str>,
        address: &str,
        protocol: Protocol,
    ) -> Result<String, String> {
        self.ask_within(PATIENCE, member, source, address, protocol)
    }

    fn ask_within(
        &self,
        patience: Duration,
        member: &str,
        source: Option<&str>,
        address: &str,
        protocol: Protocol,
    ) -> Result<String, String> {
        let address: SocketAddr = address.parse().unwrap();
        let source: Option<IpAddr> = source.map(|source| source.parse().unwrap());
        self.inside(member, || match protocol {
            Protocol::Udp => ask_udp(address, source, patience),
            _ => ask_tcp(address, source, patience),
        })
    }
}

const PATIENCE: Duration = Duration::from_millis(300);
/// How often who is meant to answer is asked.
const TRIES: u32 = 20;

fn only_v6(address: IpAddr, port: u16) -> (TcpListener, UdpSocket) {
    use rustix::net::sockopt::set_ipv6_v6only;
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let [tcp, udp] = [SocketType::STREAM, SocketType::DGRAM].map(|kind| {
        let made = socket(family, kind, None).unwrap();
        if address.is_ipv6() {
            set_ipv6_v6only(&made, true).unwrap();
        }
        bind(&made, &SocketAddr::new(address, port)).unwrap();
        made
    });
    listen(&tcp, 64).unwrap();
    (tcp.into(), udp.into())
}

fn ask_tcp(address: SocketAddr, source: Option<IpAddr>, patience: Duration) -> Result<String, String> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let made = socket(family, SocketType::STREAM, None).unwrap();
    // The limit of sending is that of connecting too.
    sockopt::set_socket_timeout(&made, sockopt::Timeout::Send, Some(patience)).unwrap();
    if let Some(source) = source {
        bind(&made, &SocketAddr::new(source, 0)).unwrap();
    }
    connect(&made, &address).map_err(|error| error.to_string())?;
    let mut stream = TcpStream::from(made);
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(|error| error.to_string())?;
    Ok(said)
}

fn ask_udp(address: SocketAddr, source: Option<IpAddr>, patience: Duration) -> Result<String, String> {
    let any: IpAddr = if address.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((source.unwrap_or(any), 0)).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket.connect(address).map_err(|error| error.to_string())?;
    let mut said = String::new();
    for _ in 0..2 {
        socket.send(b"who?").map_err(|error| error.to_string())?;
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).map_err(|error| error.to_string())?;
        said = String::from_utf8_lossy(&buffer[..length]).into_owned();
    }
    Ok(said)
}

impl Drop for World {
    fn drop(&mut self) {
        for member in MEMBERS {
            let _ = Command::new("ip").args(["netns", "del", &self.netns(member)]).output();
        }
    }
}
