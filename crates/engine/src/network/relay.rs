//! Published ports that the container's shim relays, since no firewall carries them: from IPv6 to a container that has
//! only IPv4; without a firewall of ours, all. The shim has their sockets for as long as the container runs, whatever
//! becomes of this engine. Blocking, and quick.

use std::net::SocketAddr;
use std::path::Path;

use boxship_net::ports::{Held, Protocol, Published};
use boxship_shim::client;
use boxship_shim::protocol::{RelayedPort, RelayedProtocol, Request};

use super::publish::{is_relayed, is_routed};
use crate::{Result, shim_link};

/// A port as the shim is told of it. It knows no SCTP, and a routed port is none of the host's.
fn told(port: &Published) -> Option<RelayedPort> {
    let protocol = match port.protocol {
        Protocol::Tcp => RelayedProtocol::Tcp,
        Protocol::Udp => RelayedProtocol::Udp,
        Protocol::Sctp => return None,
    };
    let host = SocketAddr::new(port.host_address, port.host_port);
    let target = SocketAddr::new(port.address, port.port);
    (!is_routed(port)).then_some(RelayedPort { protocol, host, target })
}

/// Whether a port of the host is among those.
pub(super) fn has(relayed: &[RelayedPort], protocol: Protocol, host: SocketAddr) -> bool {
    let protocol = match protocol {
        Protocol::Tcp => RelayedProtocol::Tcp,
        Protocol::Udp => RelayedProtocol::Udp,
        Protocol::Sctp => return false,
    };
    relayed.iter().any(|port| (port.protocol, port.host) == (protocol, host))
}

/// Hands the shim the sockets of the ports it has to relay and does not yet. `firewall`: what is of one family is
/// carried by one.
pub(super) fn begin(shim: &Path, ports: &[Published], held: &mut [Held], firewall: bool) -> Result<()> {
    let mut given = Vec::new();
    for port in ports.iter().filter(|port| !firewall || is_relayed(port)) {
        let Some(told) = told(port) else { continue };
        let of = |held: &&mut Held| (held.protocol(), held.port) == (port.protocol, port.host_port);
        let socket = held.iter_mut().filter(of).find_map(|held| held.give(port.host_address));
        given.extend(socket.map(|socket| (told, socket)));
    }
    if given.is_empty() {
        return Ok(());
    }
    let given: Vec<_> =
        given.iter().map(|(told, socket)| (*told, std::os::fd::AsFd::as_fd(socket))).collect();
    client::relay(shim, &given).map_err(shim_link::into_error)
}

/// Has the shim let go of what it relays: when this returns those ports are free.
pub(super) fn end(shim: &Path, ports: &[Published]) -> Result<()> {
    let relayed = already(shim, ports);
    if relayed.is_empty() {
        return Ok(());
    }
    let ended = client::ask(shim, &Request::StopRelaying(relayed));
    ended.map(drop).map_err(shim_link::into_error)
}

/// What a shim relays already; nothing if it doesn't answer, or is of a version that relays none.
pub(super) fn already(shim: &Path, ports: &[Published]) -> Vec<RelayedPort> {
    if ports.iter().all(|port| told(port).is_none()) {
        return Vec::new();
    }
    client::relayed(shim).unwrap_or_else(|error| {
        tracing::debug!(%error, shim = %shim.display(), "relays nothing");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(protocol: Protocol, host: &str, address: &str) -> Published {
        let (host_address, address) = (host.parse().unwrap(), address.parse().unwrap());
        Published { protocol, host_address, host_port: 8080, address, port: 80, bridge: "br".into() }
    }

    #[test]
    fn what_is_told() {
        for (protocol, host, address, expect) in [
            (Protocol::Tcp, "::", "172.17.0.2", Some((RelayedProtocol::Tcp, "[::]:8080", "172.17.0.2:80"))),
            (Protocol::Udp, "::1", "172.17.0.2", Some((RelayedProtocol::Udp, "[::1]:8080", "172.17.0.2:80"))),
            (
                Protocol::Tcp,
                "0.0.0.0",
                "172.17.0.2",
                Some((RelayedProtocol::Tcp, "0.0.0.0:8080", "172.17.0.2:80")),
            ),
            (Protocol::Sctp, "::", "172.17.0.2", None),
            (Protocol::Tcp, "172.17.0.2", "172.17.0.2", None),
        ] {
            let told = told(&published(protocol, host, address));
            let expect = expect.map(|(protocol, host, target)| RelayedPort {
                protocol,
                host: host.parse().unwrap(),
                target: target.parse().unwrap(),
            });
            assert_eq!(told, expect, "{host}");
            let at = SocketAddr::new(host.parse().unwrap(), 8080);
            assert_eq!(has(told.as_slice(), protocol, at), told.is_some());
        }
    }
}
