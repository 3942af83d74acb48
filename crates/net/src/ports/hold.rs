//! Holding ports of the host: sockets that are bound and never used, so that no other program takes a port while it is
//! published (its packets never reach them: they are translated before).
//!
//! - No `SO_REUSEADDR` at first: a socket bound without it shares its port with nobody. When that fails a second
//!   attempt has it, since a server that has just ended leaves connections in TIME_WAIT, which forbid the first and
//!   not the second; a port that a server listens on fails both ways.
//! - TCP sockets don't listen: should a packet ever get past the firewall, it is refused, not left to wait.
//! - IPv6 sockets are for IPv6 alone: 0.0.0.0 has a socket of its own.
//! - What the firewall can't carry is relayed by a program that lives as long as the container: it gets the socket
//!   ([`Held::give`]), and a later daemon only notes that the port is taken ([`HostPorts::hold_beside`]).
//! - A program that is just being started has all of our sockets until it runs: a port that was given back meanwhile
//!   is tried again for a moment.
//! - The kernel may have no SCTP sockets; those ports are kept in our own books only.
//!
//! Docker 28 does the same with `SO_REUSEADDR` always; its message is that of [`Error::PortInUse`].

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boxship_sys::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::{Protocol, Wanted};
use crate::{Error, Result};

/// How long a program that is being started may take until it runs, and has given up what it inherited.
const STARTING: Duration = Duration::from_millis(100);

/// The same on a busy machine, for a port of which we know that we had it: nobody else is likely to have it now.
const INHERITED: Duration = Duration::from_secs(3);

/// Sockets that hold a port on its addresses; dropping it gives the port back.
#[derive(Debug)]
pub struct Held {
    /// The port they hold.
    pub port: u16,
    protocol: Protocol,
    sockets: Vec<(IpAddr, OwnedFd)>,
    claims: Vec<Claim>,
    books: Arc<Mutex<Books>>,
}

type Claim = (Protocol, u16, IpAddr);

/// Which ports are held, also for protocols the kernel has no sockets for.
#[derive(Debug, Default)]
pub struct HostPorts {
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    held: BTreeSet<Claim>,
    /// The last port given of the ephemeral range: the next search begins behind it, so that a port that has just
    /// been given back isn't another container's at once.
    last: u16,
    /// What was given back lately, the latest last.
    given_back: VecDeque<(Instant, Protocol, u16)>,
}

impl HostPorts {
    /// Takes the first port of the range that is free on all addresses; waits a moment for a single one. Sockets belong
    /// to the network namespace of the calling thread.
    pub fn hold(&self, wanted: &Wanted) -> Result<Held> {
        self.hold_within(STARTING, wanted)
    }

    fn hold_within(&self, patience: Duration, wanted: &Wanted) -> Result<Held> {
        let deadline = Instant::now() + patience;
        loop {
            match self.hold_beside(wanted, &[]) {
                Err(Error::PortInUse { .. })
                    if lock(&self.books).may_come_free(wanted, deadline, Instant::now()) =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                done => return done,
            }
        }
    }

    /// As [`HostPorts::hold`], but addresses in `elsewhere` are held by somebody who holds them for us.
    pub fn hold_beside(&self, wanted: &Wanted, elsewhere: &[IpAddr]) -> Result<Held> {
        let ephemeral = (wanted.first, wanted.last) == (0, 0);
        let (first, last) = if ephemeral { ephemeral_range() } else { (wanted.first, wanted.last) };
        if first > last || first == 0 || wanted.addresses.is_empty() {
            return Err(Error::Invalid(format!("invalid range of ports: {first}-{last}")));
        }
        let mut books = lock(&self.books);
        let start = if ephemeral && (first..last).contains(&books.last) { books.last + 1 } else { first };
        let mut refusal = None;
        for port in (start..=last).chain(first..start) {
            match self.try_port(&mut books, wanted, elsewhere, port) {
                Ok(held) => {
                    if ephemeral {
                        books.last = port;
                    }
                    return Ok(held);
                }
                Err(error @ Error::PortInUse { .. }) => refusal = refusal.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::Invalid("no port to choose from".into())))
    }

    /// The addresses on which a port is held here.
    pub fn held(&self, protocol: Protocol, port: u16) -> Vec<IpAddr> {
        let books = lock(&self.books);
        books.of(protocol, port).collect()
    }

    fn try_port(&self, books: &mut Books, wanted: &Wanted, elsewhere: &[IpAddr], port: u16) -> Result<Held> {
        let mut sockets = Vec::new();
        for address in &wanted.addresses {
            let refused = |errno| refused(wanted.protocol, *address, port, errno);
            if books.clashes(wanted.protocol, *address, port) {
                return Err(refused(Errno::ADDRINUSE));
            }
            if wanted.protocol != Protocol::Sctp && !elsewhere.contains(address) {
                sockets.push((*address, bound(wanted.protocol, *address, port).map_err(refused)?));
            }
        }
        let claims: Vec<Claim> =
            wanted.addresses.iter().map(|address| (wanted.protocol, port, *address)).collect();
        books.held.extend(&claims);
        Ok(Held { port, protocol: wanted.protocol, sockets, claims, books: Arc::clone(&self.books) })
    }
}

impl Books {
    /// The addresses on which a port is held.
    fn of(&self, protocol: Protocol, port: u16) -> impl Iterator<Item = IpAddr> {
        let lowest = (protocol, port, IpAddr::from([0, 0, 0, 0]));
        self.held
            .range(lowest..)
            .take_while(move |claim| (claim.0, claim.1) == (protocol, port))
            .map(|claim| claim.2)
    }

    /// Whether it is one port, which nobody has by these books, and which a program being started may have still.
    fn may_come_free(&self, wanted: &Wanted, deadline: Instant, now: Instant) -> bool {
        let (protocol, port) = (wanted.protocol, wanted.first);
        let clashes = |address: &IpAddr| self.clashes(protocol, *address, port);
        let lately = |(at, was_of, was): &(Instant, Protocol, u16)| {
            (*was_of, *was) == (protocol, port) && now.duration_since(*at) < INHERITED
        };
        let awaited = now < deadline || self.given_back.iter().any(lately);
        port != 0 && port == wanted.last && !wanted.addresses.iter().any(clashes) && awaited
    }

    /// Notes that a port is nobody's, and forgets what has been so for long.
    fn give_back(&mut self, protocol: Protocol, port: u16, now: Instant) {
        let old = |(at, ..): &(Instant, Protocol, u16)| now.duration_since(*at) >= INHERITED;
        while self.given_back.front().is_some_and(old) {
            self.given_back.pop_front();
        }
        self.given_back.push_back((now, protocol, port));
    }

    /// Whether somebody of ours has the port on this address, or on all of its family.
    fn clashes(&self, protocol: Protocol, address: IpAddr, port: u16) -> bool {
        self.of(protocol, port).any(|held| {
            held.is_ipv4() == address.is_ipv4()
                && (held == address || held.is_unspecified() || address.is_unspecified())
        })
    }
}

impl Held {
    /// The protocol of the port.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Gives the socket on an address away, to somebody who goes on holding the port with it.
    pub fn give(&mut self, address: IpAddr) -> Option<OwnedFd> {
        let at = self.sockets.iter().position(|(held, _)| *held == address)?;
        Some(self.sockets.swap_remove(at).1)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut books = lock(&self.books);
        for claim in &self.claims {
            books.held.remove(claim);
        }
        books.give_back(self.protocol, self.port, Instant::now());
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    // A set of claims is whole at every moment.
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bound(protocol: Protocol, address: IpAddr, port: u16) -> Result<OwnedFd, Errno> {
    match bind_once(protocol, address, port, false) {
        // Two UDP sockets with the option would share the port.
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => bind_once(protocol, address, port, true),
        done => done,
    }
}

fn bind_once(protocol: Protocol, address: IpAddr, port: u16, reuse: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if protocol == Protocol::Tcp { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if reuse {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Udp {
        // What gets past the firewall is never read: it should not be kept either.
        sockopt::set_socket_recv_buffer_size(&socket, 0)?;
    }
    bind(&socket, &SocketAddr::new(address, port))?;
    Ok(socket)
}

fn refused(protocol: Protocol, address: IpAddr, port: u16, errno: Errno) -> Error {
    let address = SocketAddr::new(address, port).to_string();
    let protocol = protocol.name();
    match errno {
        Errno::ADDRINUSE => Error::PortInUse { address, protocol },
        errno => Error::PortRefused { address, protocol, errno },
    }
}

/// The host's own range of ports for outgoing connections, which Docker publishes on too.
fn ephemeral_range() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if 0 < first && first <= last => (first, last),
        _ => (32768, 60999),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use boxship_sys::namespace::{Kind, bring_loopback_up, unshare};

    use super::*;

    /// `CLONE_FILES`: a table of descriptors of its own.
    const FILES: u64 = 0x400;

    /// Runs a test on a thread with a network of its own, where no other program has ports; what programs that other
    /// tests start inherit is not its sockets.
    fn alone(test: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                unshare(Kind::Network.flag() | FILES).unwrap();
                bring_loopback_up().unwrap();
                test();
            });
            done.join().unwrap();
        });
    }

    fn wanted(protocol: Protocol, addresses: &[&str], first: u16, last: u16) -> Wanted {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Wanted { protocol, addresses, first, last }
    }

    const EVERYWHERE: [&str; 2] = ["0.0.0.0", "::"];

    #[test]
    fn a_held_port_is_nobody_elses_until_given_back() {
        alone(|| {
            let ports = HostPorts::default();
            let tcp = ports.hold(&wanted(Protocol::Tcp, &EVERYWHERE, 8080, 8080)).unwrap();
            let _udp = ports.hold(&wanted(Protocol::Udp, &EVERYWHERE, 8080, 8080)).unwrap();
            // std's listener sets SO_REUSEADDR.
            assert!(TcpListener::bind("127.0.0.1:8080").is_err());
            assert!(TcpListener::bind("[::1]:8080").is_err());
            assert!(UdpSocket::bind("127.0.0.1:8080").is_err());
            assert!(TcpStream::connect("127.0.0.1:8080").is_err(), "it does not listen");
            let error = ports.hold(&wanted(Protocol::Tcp, &["127.0.0.1"], 8080, 8080)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "failed to bind host port 127.0.0.1:8080/tcp: address already in use"
            );
            drop(tcp);
            TcpListener::bind("127.0.0.1:8080").unwrap();
        });
    }

    #[test]
    fn what_a_program_that_is_being_started_inherited_is_waited_for() {
        alone(|| {
            let (ports, patience) = (HostPorts::default(), Duration::from_secs(120));
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let wanted = wanted(protocol, &EVERYWHERE, 8080, 8080);
                let held = ports.hold(&wanted).unwrap();
                let inherited = held.sockets[0].1.try_clone().unwrap();
                drop(held);
                assert!(ports.hold_beside(&wanted, &[]).is_err());
                let (again, ()) = std::thread::scope(|scope| {
                    let started = scope.spawn(|| drop(inherited));
                    (ports.hold_within(patience, &wanted), started.join().unwrap())
                });
                let _held = again.unwrap();
                // What our own books say is so.
                let began = Instant::now();
                assert!(ports.hold_within(patience, &wanted).is_err() && began.elapsed() < patience);
            }
        });
    }

    #[test]
    fn a_port_that_was_ours_a_moment_ago_is_waited_for_longer() {
        let (mut books, now) = (Books::default(), Instant::now());
        let here = |first, last| wanted(Protocol::Tcp, &["0.0.0.0"], first, last);
        let waits = |books: &Books, wanted: &Wanted, later| books.may_come_free(wanted, now, now + later);
        assert!(!waits(&books, &here(8080, 8080), STARTING));
        books.give_back(Protocol::Tcp, 8080, now);
        for (first, last, later, expected) in [
            (8080, 8080, STARTING, true),
            (8080, 8080, INHERITED, false),
            (8081, 8081, STARTING, false),
            (8080, 8081, STARTING, false),
            (0, 0, STARTING, false),
        ] {
            assert_eq!(waits(&books, &here(first, last), later), expected, "{first}-{last} {later:?}");
        }
        assert!(!waits(&books, &wanted(Protocol::Udp, &["0.0.0.0"], 8080, 8080), STARTING));
        books.held.insert((Protocol::Tcp, 8080, "127.0.0.1".parse().unwrap()));
        assert!(!waits(&books, &here(8080, 8080), STARTING), "another container's by now");
        for late in 0..3 {
            books.give_back(Protocol::Tcp, 9000 + late, now + INHERITED);
        }
        assert_eq!(books.given_back.len(), 3, "what is old is forgotten");
    }

    #[test]
    fn what_is_dropped_is_noted_as_given_back() {
        alone(|| {
            let ports = HostPorts::default();
            drop(ports.hold(&wanted(Protocol::Udp, &["127.0.0.1"], 8080, 8080)).unwrap());
            let noted = lock(&ports.books).given_back.iter().map(|(_, of, port)| (*of, *port)).next_back();
            assert_eq!(noted, Some((Protocol::Udp, 8080)));
        });
    }

    #[test]
    fn a_socket_given_away_holds_on() {
        alone(|| {
            let ports = HostPorts::default();
            let both = wanted(Protocol::Tcp, &EVERYWHERE, 8080, 8080);
            let mut held = ports.hold(&both).unwrap();
            let v6: IpAddr = "::".parse().unwrap();
            let given = held.give(v6).unwrap();
            assert!(held.give(v6).is_none());
            assert!(ports.hold(&wanted(Protocol::Tcp, &["::1"], 8080, 8080)).is_err(), "still in the books");
            drop(held);
            TcpListener::bind("127.0.0.1:8080").unwrap();
            assert!(TcpListener::bind("[::1]:8080").is_err());
            // A daemon that comes later.
            let held = HostPorts::default();
            assert!(held.hold(&both).is_err());
            let _held = held.hold_beside(&both, &[v6]).unwrap();
            drop(given);
            TcpListener::bind("[::1]:8080").unwrap();
        });
    }

    #[test]
    fn what_a_program_listens_on_is_taken_and_what_it_left_behind_is_not() {
        alone(|| {
            let ports = HostPorts::default();
            let server = TcpListener::bind("127.0.0.1:8080").unwrap();
            let error = ports.hold(&wanted(Protocol::Tcp, &["0.0.0.0"], 8080, 8080)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "failed to bind host port 0.0.0.0:8080/tcp: address already in use"
            );
            let client = TcpStream::connect("127.0.0.1:8080").unwrap();
            let (accepted, _) = server.accept().unwrap();
            drop((accepted, server));
            drop(client);
            ports.hold(&wanted(Protocol::Tcp, &["0.0.0.0"], 8080, 8080)).unwrap();
        });
    }

    #[test]
    fn ranges_and_any_port_are_the_same_on_all_addresses() {
        alone(|| {
            let ports = HostPorts::default();
            let _taken = TcpListener::bind("[::1]:7000").unwrap();
            let held = ports.hold(&wanted(Protocol::Tcp, &EVERYWHERE, 7000, 7001)).unwrap();
            assert_eq!(held.port, 7001);
            assert!(ports.hold(&wanted(Protocol::Tcp, &EVERYWHERE, 7000, 7001)).is_err());
            TcpListener::bind("127.0.0.1:7000").unwrap();
            let any = wanted(Protocol::Tcp, &EVERYWHERE, 0, 0);
            let (first, second) = (ports.hold(&any).unwrap(), ports.hold(&any).unwrap());
            assert!(first.port >= 1024 && first.port != second.port);
            let released = first.port;
            drop(first);
            assert_ne!(ports.hold(&any).unwrap().port, released, "not the one that was just given back");
            assert_eq!(ports.held(Protocol::Tcp, 7001).len(), 2);
        });
    }

    #[test]
    fn sctp_needs_no_sockets_and_other_refusals_are_told() {
        alone(|| {
            let ports = HostPorts::default();
            let held = ports.hold(&wanted(Protocol::Sctp, &["0.0.0.0"], 5000, 5000)).unwrap();
            assert!(ports.hold(&wanted(Protocol::Sctp, &["127.0.0.1"], 5000, 5000)).is_err());
            drop(held);
            ports.hold(&wanted(Protocol::Sctp, &["127.0.0.1"], 5000, 5000)).unwrap();
            let error = ports.hold(&wanted(Protocol::Tcp, &["192.0.2.1"], 5000, 5000)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "failed to bind host port 192.0.2.1:5000/tcp: cannot assign requested address"
            );
            assert!(ports.hold(&wanted(Protocol::Tcp, &["127.0.0.1"], 9, 8)).is_err());
            assert!(ports.hold(&wanted(Protocol::Tcp, &[], 9, 9)).is_err());
        });
    }
}
