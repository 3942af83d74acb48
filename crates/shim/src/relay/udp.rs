//! One client of a UDP port: a socket of its own towards the container, whose answers are the client's.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::{BorrowedFd, OwnedFd},
    time::Instant,
};

use boxship_sys::{Errno, datagram};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use super::TURN;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u32,
    pub(super) port: u32,
    client: SocketAddr,
    /// Which of the host's addresses it asked: there its answers come from.
    asked: Option<IpAddr>,
    pub(super) socket: OwnedFd,
    /// When something last passed.
    pub(super) heard: Instant,
}

impl Session {
    pub(super) fn open(
        number: u32,
        port: u32,
        client: SocketAddr,
        asked: Option<IpAddr>,
        target: SocketAddr,
    ) -> Result<Self, Errno> {
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
        connect(&socket, &target)?;
        Ok(Self { number, port, client, asked, socket, heard: Instant::now() })
    }

    pub(super) fn is_of(&self, port: u32, client: SocketAddr, asked: Option<IpAddr>) -> bool {
        (self.port, self.client, self.asked) == (port, client, asked)
    }

    /// On to the container. Datagrams may be lost, here too.
    pub(super) fn ask(&mut self, bytes: &[u8]) {
        self.heard = Instant::now();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        // What the kernel learned of the last one (nobody listens) is told instead of sending this one.
        if send(&self.socket, bytes, flags) == Err(Errno::CONNREFUSED) {
            let _ = send(&self.socket, bytes, flags);
        }
    }

    /// Back to the client, by the port's socket.
    pub(super) fn answer(&mut self, socket: BorrowedFd<'_>, buffer: &mut [u8]) {
        for _ in 0..TURN {
            match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    self.heard = Instant::now();
                    let _ = datagram::send(socket, &buffer[..length], self.client, self.asked);
                }
                Err(Errno::CONNREFUSED | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}
