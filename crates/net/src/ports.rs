//! Ports of the host: chosen, and held by bound sockets so that no other program takes them while they are published.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

mod hold;

pub use hold::{Held, HostPorts};

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// As Docker writes it: `tcp`.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }

    /// The protocol of a name; `None` where it is none of the three.
    pub fn of_name(name: &str) -> Option<Self> {
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|protocol| protocol.name() == name)
    }
}

/// A published port: what arrives at the host goes to the container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Published {
    /// The protocol.
    pub protocol: Protocol,
    /// The host's address; unspecified (0.0.0.0, ::) for all of its family; the container's own where nothing is
    /// translated and the port only let in (routed networks).
    pub host_address: IpAddr,
    /// The host's port.
    pub host_port: u16,
    /// The container's address, of the same family.
    pub address: IpAddr,
    /// The container's port.
    pub port: u16,
    /// The bridge the container is on.
    pub bridge: String,
}

/// A host's port that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The protocol.
    pub protocol: Protocol,
    /// The host's addresses that all get the same port (0.0.0.0 and :: for "everywhere").
    pub addresses: Vec<IpAddr>,
    /// First and last port to try; 0..=0 for any of the ephemeral range (32768-60999 or the host's own).
    pub first: u16,
    /// See `first`.
    pub last: u16,
}
