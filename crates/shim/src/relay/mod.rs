//! Ports of the host that the shim carries to its container, connection by connection, where the kernel's firewall
//! can't: from IPv6, `::1` included, to a container that has only IPv4, and all of them without a firewall. The part that
//! Docker gives to a `docker-proxy` for each port.
//!
//! The sockets come bound from the engine ([`Relays::add`]); they live here, in the network of the host, and end with
//! the container. Part of the shim's one loop: [`Relays::watch`], [`Relays::serve`], [`Relays::deadline`].
//!
//! * Nothing of what passes is kept: what the far side does not take stays in the near side's socket (`tcp`), so both
//!   peers feel each other's pace, and a shim does not grow with its clients. One buffer serves all, while there are any.
//! * Counts are bounded: TCP clients beyond them wait in the backlog, of UDP clients the one silent longest is forgotten.
//! * Every turn moves a bounded amount, so that log, exit and clients of the shim have theirs.

mod tcp;
mod udp;

#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use boxship_sys::{Errno, datagram};
use rustix::{event::PollFlags, net::sockopt};

use crate::protocol::{RelayedPort, RelayedProtocol};
use tcp::{Side, Stream};
use udp::Session;

/// Most connections at a time, where the limit of open files allows.
const MAX_STREAMS: usize = 400;
/// Most UDP clients at a time.
const MAX_SESSIONS: usize = 200;
/// Open files left to the rest of the shim.
const RESERVED: u64 = 224;
/// Most ports.
const MAX_PORTS: usize = 4096;
/// Connections that wait to be accepted, as the kernel's own default.
const BACKLOG: i32 = 4096;
/// What is moved at once; every datagram fits. Of a size that the allocator gives back ([`boxship_sys::heap`]).
const BUFFER: usize = 64 * 1024;
/// How long a UDP client may be silent, as with docker-proxy.
const SILENCE: Duration = Duration::from_secs(90);
/// How long nobody is accepted when files or memory are short.
const REST: Duration = Duration::from_millis(100);
/// How many connections are accepted, datagrams relayed, in a turn.
const TURN: usize = 16;
/// What a socket may hold for us to read; the engine's are made to hold nothing.
const RECEIVE: usize = 208 * 1024;

/// What one of the descriptors is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A port of the host.
    Port(u32),
    /// A side of a TCP connection.
    Stream(u32, Side),
    /// The container's side of a UDP client.
    Session(u32),
}

/// All that is relayed.
#[derive(Debug)]
pub(crate) struct Relays {
    ports: Vec<Port>,
    streams: Vec<Stream>,
    sessions: Vec<Session>,
    most_streams: usize,
    most_sessions: usize,
    /// Nobody is accepted until then.
    resting: Option<Instant>,
    /// Empty while nobody is connected.
    buffer: Vec<u8>,
    next: u32,
}

/// A port of the host.
#[derive(Debug)]
struct Port {
    number: u32,
    told: RelayedPort,
    socket: OwnedFd,
}

impl Default for Relays {
    fn default() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let spare = files.unwrap_or(u64::MAX).saturating_sub(RESERVED);
        let share = |parts: u64| usize::try_from(spare / parts).unwrap_or(usize::MAX);
        Self {
            ports: Vec::new(),
            streams: Vec::new(),
            sessions: Vec::new(),
            // Two files each, and some for the UDP clients.
            most_streams: share(3).clamp(1, MAX_STREAMS),
            most_sessions: share(4).clamp(1, MAX_SESSIONS),
            resting: None,
            buffer: Vec::new(),
            next: 0,
        }
    }
}

impl Relays {
    /// Takes a bound socket over. A port that is relayed already keeps its socket and clients, and has new ones led to
    /// the new target.
    pub(crate) fn add(&mut self, told: RelayedPort, socket: OwnedFd) -> io::Result<()> {
        if let Some(port) = self.ports.iter_mut().find(|port| port.told.is_at(&told)) {
            port.told = told;
            return Ok(());
        }
        if self.ports.len() >= MAX_PORTS {
            return Err(Errno::NOSPC.into());
        }
        prepare(&told, &socket)?;
        let number = self.number();
        self.ports.push(Port { number, told, socket });
        Ok(())
    }

    /// Lets go of a port and of its clients; one that isn't relayed is fine.
    pub(crate) fn remove(&mut self, told: &RelayedPort) {
        let Some(at) = self.ports.iter().position(|port| port.told.is_at(told)) else { return };
        let number = self.ports.swap_remove(at).number;
        for stream in self.streams.extract_if(.., |stream| stream.port == number) {
            stream.abort();
        }
        self.sessions.retain(|session| session.port != number);
        self.tidy();
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self) {
        self.streams.drain(..).for_each(Stream::abort);
        self.sessions.clear();
        self.ports = Vec::new();
        self.tidy();
    }

    /// What is relayed.
    pub(crate) fn ports(&self) -> Vec<RelayedPort> {
        self.ports.iter().map(|port| port.told).collect()
    }

    /// What is to be watched, and for what.
    pub(crate) fn watch(&self) -> impl Iterator<Item = (Token, BorrowedFd<'_>, PollFlags)> {
        let accepts = self.resting.is_none() && self.streams.len() < self.most_streams;
        let ports =
            self.ports.iter().filter(move |port| accepts || port.told.protocol != RelayedProtocol::Tcp);
        let ports = ports.map(|port| (Token::Port(port.number), port.socket.as_fd(), PollFlags::IN));
        let sides = self.streams.iter().flat_map(|stream| {
            [Side::Client, Side::Container].into_iter().filter_map(move |side| {
                Some((Token::Stream(stream.number, side), stream.socket(side), stream.interest(side)?))
            })
        });
        let sessions = self.sessions.iter();
        let sessions = sessions.map(|s| (Token::Session(s.number), s.socket.as_fd(), PollFlags::IN));
        ports.chain(sides).chain(sessions)
    }

    /// When something is due without any event.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let silent = self.sessions.iter().map(|session| session.heard + SILENCE).min();
        silent.into_iter().chain(self.resting).min()
    }

    /// Something happened.
    pub(crate) fn serve(&mut self, token: Token, flags: PollFlags) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        }
        match token {
            Token::Port(number) => {
                let Some(port) = self.ports.iter().find(|port| port.number == number) else { return };
                match port.told.protocol {
                    RelayedProtocol::Tcp => self.accept(number),
                    RelayedProtocol::Udp => self.take_datagrams(number),
                }
            }
            Token::Stream(number, side) => {
                let Some(at) = self.streams.iter().position(|stream| stream.number == number) else { return };
                match self.streams[at].serve(side, flags, &mut self.buffer) {
                    Ok(false) => {}
                    Ok(true) => drop(self.streams.swap_remove(at)),
                    Err(_) => self.streams.swap_remove(at).abort(),
                }
            }
            Token::Session(number) => self.answer(number),
        }
    }

    /// What is due: silent clients are forgotten, memory given back.
    pub(crate) fn tidy(&mut self) {
        let now = Instant::now();
        self.resting = self.resting.filter(|until| *until > now);
        self.sessions.retain(|session| session.heard + SILENCE > now);
        if self.streams.is_empty() && self.sessions.is_empty() {
            (self.buffer, self.streams, self.sessions) = Default::default();
        }
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    fn accept(&mut self, port: u32) {
        for _ in 0..TURN.min(self.most_streams.saturating_sub(self.streams.len())) {
            let number = self.number();
            let Some(found) = self.ports.iter().find(|found| found.number == port) else { return };
            match Stream::accept(number, port, found.socket.as_fd(), found.told.target) {
                Ok(Some(stream)) => self.streams.push(stream),
                Ok(None) => return,
                // Of this client alone, who is gone.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(_) => {
                    self.resting = Some(Instant::now() + REST);
                    return;
                }
            }
        }
    }

    /// Datagrams from the host's side to the container.
    fn take_datagrams(&mut self, port: u32) {
        for _ in 0..TURN {
            let Some(found) = self.ports.iter().find(|found| found.number == port) else { return };
            let Ok(received) = datagram::receive(found.socket.as_fd(), &mut self.buffer) else { return };
            let target = found.told.target;
            // An answer can't come from an address of many.
            let to = received.to.filter(|to| !to.is_multicast() && !to.is_unspecified());
            let known = self.sessions.iter().position(|session| session.is_of(port, received.from, to));
            let at = match known {
                Some(at) => at,
                None => {
                    let number = self.number();
                    let Ok(session) = Session::open(number, port, received.from, to, target) else {
                        continue;
                    };
                    self.make_room();
                    self.sessions.push(session);
                    self.sessions.len() - 1
                }
            };
            self.sessions[at].ask(&self.buffer[..received.length]);
        }
    }

    /// Forgets the client silent longest when there are as many as there may be.
    fn make_room(&mut self) {
        if self.sessions.len() < self.most_sessions {
            return;
        }
        let oldest = self.sessions.iter().enumerate().min_by_key(|(_, session)| session.heard);
        if let Some((at, _)) = oldest {
            self.sessions.swap_remove(at);
        }
    }

    /// Datagrams from the container back to a client.
    fn answer(&mut self, number: u32) {
        let Some(session) = self.sessions.iter_mut().find(|session| session.number == number) else { return };
        let Some(port) = self.ports.iter().find(|port| port.number == session.port) else { return };
        session.answer(port.socket.as_fd(), &mut self.buffer);
    }
}

/// Makes a bound socket of the engine's ready: those only hold their port.
fn prepare(told: &RelayedPort, socket: &OwnedFd) -> io::Result<()> {
    rustix::io::ioctl_fionbio(socket, true)?;
    match told.protocol {
        RelayedProtocol::Tcp => {
            rustix::net::listen(socket, BACKLOG)?;
            // So that what our clients leave behind does not keep the port from the next holder; who listens shares
            // it with nobody all the same. Only now: before, another program could have bound it too.
            sockopt::set_socket_reuseaddr(socket, true)?;
        }
        RelayedProtocol::Udp => {
            sockopt::set_socket_recv_buffer_size(socket, RECEIVE)?;
            datagram::tell_destinations(socket.as_fd(), told.host.is_ipv6()).map_err(|error| error.errno)?;
        }
    }
    Ok(())
}
