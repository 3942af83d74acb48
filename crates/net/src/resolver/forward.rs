//! Asking others: the servers in turn, each over a socket of its own with a port and an identifier that the kernel
//! draws at random. A reply counts only when it comes from the server that was asked and repeats the question; it is
//! passed on byte for byte, only its identifier is the client's again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::answer::random;
use super::message::{Code, Query, code_of};
use super::{ADDRESS, Upstream};
use crate::Result;
use crate::namespace::Namespace;

/// How long a server may take: Docker's.
const PATIENCE: Duration = Duration::from_secs(4);
/// Servers that are asked at most: as many as resolv.conf has.
const SERVERS: usize = 3;

/// How a query came, and so how it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// A container's namespace, entered only when there is a server that is asked from there.
pub(super) struct Inside {
    fd: OwnedFd,
    opened: OnceLock<Namespace>,
}

impl Inside {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd, opened: OnceLock::new() }
    }

    fn namespace(&self) -> Result<&Namespace> {
        if let Some(namespace) = self.opened.get() {
            return Ok(namespace);
        }
        let namespace = Namespace::open(format!("/proc/self/fd/{}", self.fd.as_raw_fd()).as_ref())?;
        Ok(self.opened.get_or_init(|| namespace))
    }
}

/// The servers of one container.
pub(super) struct Forwarder {
    upstreams: RwLock<Arc<[Upstream]>>,
    inside: Option<Arc<Inside>>,
}

impl Forwarder {
    pub(super) fn new(upstreams: Vec<Upstream>, inside: Option<Inside>) -> Self {
        let forwarder = Self { upstreams: RwLock::new(Arc::from([])), inside: inside.map(Arc::new) };
        forwarder.set(upstreams);
        forwarder
    }

    /// Replaces the servers. Asking ourselves would never end.
    pub(super) fn set(&self, mut upstreams: Vec<Upstream>) {
        upstreams
            .retain(|upstream| !(upstream.from_container && upstream.address.ip() == IpAddr::V4(ADDRESS)));
        upstreams.truncate(SERVERS);
        *self.upstreams.write().unwrap_or_else(PoisonError::into_inner) = upstreams.into();
    }

    /// The first server's reply that is an answer; `None` when none has one.
    pub(super) async fn ask(&self, query: &Query<'_>, transport: Transport) -> Option<Vec<u8>> {
        let upstreams = self.upstreams.read().unwrap_or_else(PoisonError::into_inner).clone();
        for upstream in upstreams.iter() {
            match timeout(PATIENCE, self.exchange(upstream, query, transport)).await {
                // These can be passing states of one server: the next may do better.
                Ok(Ok(reply)) if code_of(&reply) == Code::ServerFailure as u8 => {}
                Ok(Ok(reply)) if code_of(&reply) == Code::Refused as u8 => {}
                Ok(Ok(reply)) => return Some(reply),
                Ok(Err(error)) => {
                    tracing::debug!(server = %upstream.address, %error, "name server not asked")
                }
                Err(_) => tracing::debug!(server = %upstream.address, "name server doesn't answer"),
            }
        }
        None
    }

    async fn exchange(
        &self,
        upstream: &Upstream,
        query: &Query<'_>,
        transport: Transport,
    ) -> io::Result<Vec<u8>> {
        let id = random();
        let mut message = query.bytes().to_vec();
        message[..2].copy_from_slice(&id);
        let mut reply = match transport {
            Transport::Udp => self.exchange_udp(upstream, query, id, &message).await?,
            Transport::Tcp => self.exchange_tcp(upstream, query, id, &message).await?,
        };
        reply[..2].copy_from_slice(&query.bytes()[..2]);
        Ok(reply)
    }

    async fn exchange_udp(
        &self,
        upstream: &Upstream,
        query: &Query<'_>,
        id: [u8; 2],
        message: &[u8],
    ) -> io::Result<Vec<u8>> {
        let address = upstream.address;
        let socket = self.in_place(upstream, move || connected(address)).await?;
        let socket = UdpSocket::from_std(socket)?;
        socket.send(message).await?;
        // Some servers send more than was asked for; memory is touched only as far as they do.
        let mut reply = Vec::with_capacity(usize::from(u16::MAX));
        loop {
            reply.clear();
            socket.recv_buf(&mut reply).await?;
            if query.is_answered_by(&reply, id) {
                return Ok(reply);
            }
        }
    }

    async fn exchange_tcp(
        &self,
        upstream: &Upstream,
        query: &Query<'_>,
        id: [u8; 2],
        message: &[u8],
    ) -> io::Result<Vec<u8>> {
        let v4 = upstream.address.is_ipv4();
        let make = move || if v4 { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let mut stream = self.in_place(upstream, make).await?.connect(upstream.address).await?;
        write_message(&mut stream, message).await?;
        let reply = read_message(&mut stream, usize::from(u16::MAX)).await?;
        if query.is_answered_by(&reply, id) {
            Ok(reply)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the reply is to another question"))
        }
    }

    /// Makes a socket where the server is to be asked from. Ours is the host's namespace.
    async fn in_place<T: Send + 'static>(
        &self,
        upstream: &Upstream,
        make: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let inside = match &self.inside {
            Some(inside) if upstream.from_container => inside.clone(),
            _ => return make(),
        };
        let made = move || inside.namespace()?.run(make);
        tokio::task::spawn_blocking(made).await.map_err(io::Error::other)?.map_err(io::Error::other)?
    }
}

/// A socket that only hears of one server. Its port is the kernel's choice, which is random.
fn connected(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Reads one message of a stream (RFC 1035, 4.2.2: two bytes of length before it), `limit` bytes at most.
pub(super) async fn read_message(stream: &mut TcpStream, limit: usize) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes one message to a stream, in one piece.
pub(super) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "message too long"))?;
    let mut out = length.to_be_bytes().to_vec();
    out.extend(message);
    stream.write_all(&out).await
}
