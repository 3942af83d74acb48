//! Ports of the host that a shim relays to its container.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What is relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayedProtocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A port of the host, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayedPort {
    /// The protocol.
    pub protocol: RelayedProtocol,
    /// What the socket is bound to.
    pub host: SocketAddr,
    /// The container's address and port, of either family, as reached from the host.
    pub target: SocketAddr,
}

impl RelayedPort {
    /// Whether it is the same port of the host, wherever it leads.
    pub fn is_at(&self, other: &Self) -> bool {
        (self.protocol, self.host) == (other.protocol, other.host)
    }
}
