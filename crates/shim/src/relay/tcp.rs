//! One TCP connection, relayed. Bytes are looked at in the socket they came by, sent on, and only what was taken is
//! removed from there: nothing is ever kept in between, and who is slow slows down his peer.
//!
//! ```text
//! Open ─ far side takes no more ▶ Full ─ it does again ▶ Open ─ end of input ▶ Done
//! ```
//!
//! Each direction has its own end (half-close). A connection is over when both are done, and is broken for both sides
//! when one of them breaks it.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use boxship_sys::{Errno, socket::unread};
use rustix::{
    event::PollFlags,
    net::{
        AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, accept_with, connect, recv,
        send, shutdown, socket_with, sockopt,
    },
};

/// How often a direction is moved in a turn.
const ROUNDS: usize = 2;
/// When a silent peer is asked whether it is still there: one that isn't must not keep its place.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Whose socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Who connected to the host.
    Client,
    /// What it is relayed to.
    Container,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Side::Client => Side::Container,
            Side::Container => Side::Client,
        }
    }
}

/// How a direction stands, by the side it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Full,
    Done,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) number: u32,
    pub(super) port: u32,
    /// Client, container.
    sockets: [OwnedFd; 2],
    /// From the client, from the container.
    ways: [Way; 2],
    connecting: bool,
}

impl Stream {
    /// Accepts a client, if there is one, and begins to connect to the container. A client that can't be connected is
    /// reset and the next one taken.
    pub(super) fn accept(
        number: u32,
        port: u32,
        listener: BorrowedFd<'_>,
        target: SocketAddr,
    ) -> Result<Option<Self>, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let client = match accept_with(listener, flags) {
            Err(Errno::AGAIN) => return Ok(None),
            other => other?,
        };
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let opened = socket_with(family, SocketType::STREAM, flags, None);
        let container = opened.inspect_err(|_| reset(&client))?;
        match connect(&container, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(_) => {
                reset(&client);
                return Err(Errno::CONNABORTED);
            }
        }
        for socket in [&client, &container] {
            // Niceties that never decide.
            let _ = sockopt::set_tcp_nodelay(socket, true);
            let _ = sockopt::set_tcp_keepidle(socket, KEEPALIVE);
            let _ = sockopt::set_socket_keepalive(socket, true);
        }
        let (sockets, ways) = ([client, container], [Way::Open; 2]);
        Ok(Some(Self { number, port, sockets, ways, connecting: true }))
    }

    pub(super) fn socket(&self, side: Side) -> BorrowedFd<'_> {
        self.sockets[side as usize].as_fd()
    }

    /// What a side is watched for; `None`: not at all, for what it would tell (its end, its failure) has to wait until
    /// what it sent before is taken.
    pub(super) fn interest(&self, side: Side) -> Option<PollFlags> {
        let (from, to) = (self.ways[side as usize], self.ways[side.other() as usize]);
        let mut flags = PollFlags::empty();
        if self.connecting {
            flags.set(PollFlags::OUT, side == Side::Container);
            return Some(flags);
        }
        flags.set(PollFlags::IN, from == Way::Open);
        flags.set(PollFlags::OUT, to == Way::Full);
        (!flags.is_empty() || from != Way::Full).then_some(flags)
    }

    /// Moves what can be moved; tells whether the connection is over.
    ///
    /// # Errors
    /// The connection is broken, or was never made.
    pub(super) fn serve(&mut self, side: Side, flags: PollFlags, buffer: &mut [u8]) -> Result<bool, Errno> {
        let gone = flags.intersects(PollFlags::ERR | PollFlags::HUP);
        if self.connecting {
            sockopt::socket_error(self.socket(side))??;
            if side == Side::Client && gone {
                return Err(Errno::CONNRESET);
            }
            self.connecting = false;
            return Ok(false);
        }
        if flags.contains(PollFlags::OUT) {
            self.pump(side.other(), buffer)?;
        }
        if self.ways[side as usize] == Way::Open {
            self.pump(side, buffer)?;
        } else if gone && self.ways[side.other() as usize] != Way::Done {
            // It has said all it had to say, and now it doesn't listen either.
            return Err(Errno::CONNRESET);
        }
        Ok(self.ways == [Way::Done; 2])
    }

    /// Moves bytes that come from `side`.
    fn pump(&mut self, side: Side, buffer: &mut [u8]) -> Result<(), Errno> {
        if self.ways[side as usize] == Way::Done {
            return Ok(());
        }
        let (from, to) = (self.socket(side), self.socket(side.other()));
        let mut way = Way::Open;
        for _ in 0..ROUNDS {
            let seen = match recv(from, &mut *buffer, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    shutdown(to, Shutdown::Write)?;
                    way = Way::Done;
                    break;
                }
                Ok((seen, _)) => seen,
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(errno) => return Err(errno),
            };
            let taken = match send(to, &buffer[..seen], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(taken) => taken,
                Err(Errno::AGAIN | Errno::INTR) => 0,
                Err(errno) => return Err(errno),
            };
            if taken > 0 {
                // TCP then drops them without a copy (tcp(7), MSG_TRUNC).
                recv(from, &mut buffer[..taken], RecvFlags::TRUNC | RecvFlags::DONTWAIT)?;
            }
            if taken < seen {
                way = Way::Full;
                break;
            }
        }
        self.ways[side as usize] = way;
        Ok(())
    }

    /// Breaks the connection: both sides learn that it did not end well.
    pub(super) fn abort(self) {
        self.sockets.iter().for_each(reset);
    }
}

/// Has a socket reset its connection when it is closed, unless something is still on its way: that may arrive.
fn reset(socket: &OwnedFd) {
    if unread(socket.as_fd()).is_ok_and(|waiting| waiting == 0) {
        let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    }
}
