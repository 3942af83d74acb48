//! The names of a network: a DNS server at 127.0.0.11 inside each namespace.
//!
//! It answers for the names its caller knows and passes everything else on, unchanged, to the servers it is told. Its
//! sockets are made inside the container's namespace and stay there, but are served by the caller's tokio: no thread
//! or process lives in the namespace. They have a port of their own, and a rule in the namespace sends port 53 of
//! 127.0.0.11 there, so that a container may have a server on port 53 itself.
//!
//! It keeps nothing: no cache (answers follow changes at once), no state that a restart would lose.

mod answer;
mod forward;
mod message;
mod rules;
mod serve;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::namespace::Namespace;
use crate::{Error, Result};
use forward::{Forwarder, Inside};
use serve::Shared;

/// Where containers ask.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The port tried first, one of those that the kernel gives away, so no server counts on it. The same one after a
/// restart of the daemon: clients that keep a socket open are still sent to it by the kernel's memory of the rule.
const PORT: u16 = 53053;

/// Who knows the names; the caller's. Asked for every query, so answers follow changes at once; it must be quick.
pub trait Names: Send + Sync {
    /// Addresses of a name (no final dot, lower case), both families; `None`: not a name of ours; empty: ours, but
    /// without an address.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>>;
    /// The name of an address, fully qualified (`web.mynet`); `None`: not an address of ours.
    fn name_of(&self, address: IpAddr) -> Option<String>;
}

/// A server that other names are asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its address and port.
    pub address: SocketAddr,
    /// Asked from the container's namespace (a server the user named), else from the host's.
    pub from_container: bool,
}

/// What a resolver is told.
pub struct Settings {
    /// Our names.
    pub names: Arc<dyn Names>,
    /// Servers for everything else, the first three count; none: other names fail (internal networks).
    pub upstreams: Vec<Upstream>,
    /// Whether resolv.conf had an `ndots` of its own: bare names that aren't ours are then not passed on, the client
    /// appends its search domains.
    pub ndots_set: bool,
}

/// A running resolver; dropping it ends it. The rule in the namespace stays, and goes with it.
pub struct Resolver {
    shared: Arc<Shared>,
    /// The servers; dropped, they end with all that they started.
    _servers: JoinSet<()>,
}

impl Resolver {
    /// Serves in a namespace (UDP and TCP, 127.0.0.11:53 by a rule in the namespace, so the container may use port 53
    /// itself). Must be called within a tokio runtime; waits for a thread that makes the sockets.
    pub fn serve(namespace: &Namespace, settings: Settings) -> Result<Self> {
        let (udp, tcp) = namespace.run(|| -> Result<_> {
            let sockets = sockets().map_err(|error| refused("open the name server's sockets", &error))?;
            let ports = (sockets.0.local_addr(), sockets.1.local_addr());
            let (Ok(udp), Ok(tcp)) = ports else {
                return Err(Error::Invalid("a socket without an address".into()));
            };
            rules::redirect(udp.port(), tcp.port())?;
            Ok(sockets)
        })??;
        let fd = namespace.as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| refused("keep the namespace of the name server", &error))?;
        Self::on(udp, tcp, Some(Inside::new(fd)), settings)
    }

    /// Serves on sockets that are there.
    fn on(udp: UdpSocket, tcp: TcpListener, inside: Option<Inside>, settings: Settings) -> Result<Self> {
        let forwarder = Forwarder::new(settings.upstreams, inside);
        let shared = Arc::new(Shared::new(settings.names, settings.ndots_set, forwarder));
        let started = || -> io::Result<JoinSet<()>> {
            udp.set_nonblocking(true)?;
            tcp.set_nonblocking(true)?;
            let mut servers = JoinSet::new();
            servers.spawn(serve::datagrams(tokio::net::UdpSocket::from_std(udp)?, shared.clone()));
            servers.spawn(serve::connections(tokio::net::TcpListener::from_std(tcp)?, shared.clone()));
            Ok(servers)
        };
        let servers = started().map_err(|error| refused("serve names", &error))?;
        Ok(Self { shared, _servers: servers })
    }

    /// Replaces the servers that other names are asked of: the container has left or joined a network.
    pub fn set_upstreams(&self, upstreams: Vec<Upstream>) {
        self.shared.forwarder.set(upstreams);
    }
}

fn refused(operation: &str, error: &io::Error) -> Error {
    Error::Invalid(format!("{operation} at {ADDRESS}: {error}"))
}

fn sockets() -> io::Result<(UdpSocket, TcpListener)> {
    let udp = UdpSocket::bind((ADDRESS, PORT)).or_else(|_| UdpSocket::bind((ADDRESS, 0)))?;
    let tcp = TcpListener::bind((ADDRESS, PORT)).or_else(|_| TcpListener::bind((ADDRESS, 0)))?;
    Ok((udp, tcp))
}

#[cfg(test)]
mod tests;
