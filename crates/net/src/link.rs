//! The host's side: bridges, and what a daemon finds of its own links when it starts.

use ipnet::IpNet;

use crate::{Error, Result};

/// A bridge network's link on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Interface name, 15 bytes at most.
    pub name: String,
    /// The mark of its owner, kept as the link's alias: only links with the right mark are ever changed or removed.
    pub alias: String,
    /// The host's own addresses on it with their prefixes (gateways of the subnets); none for `inhibit_ipv4`.
    pub addresses: Vec<IpNet>,
    /// Packet size; 0 leaves the kernel's.
    pub mtu: u32,
    /// Whether it was there before and belongs to the administrator (`--bridge`): its addresses are left alone.
    pub foreign: bool,
}

/// A link that carries a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub index: u32,
    /// The whole mark.
    pub alias: String,
}

/// The host's links: one netlink socket in the namespace of the daemon. Shared by reference; locks inside.
pub struct Links {
    _private: (),
}

impl Links {
    /// Opens the socket.
    pub fn open() -> Result<Self> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Makes or repairs a bridge: link, addresses, up, its sysctls (IPv6, route_localnet, forwarding, accept_ra).
    pub fn ensure_bridge(&self, _bridge: &Bridge) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Removes a link; one that is gone already is fine.
    pub fn remove(&self, _name: &str) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Links whose mark begins with `prefix`.
    pub fn marked(&self, _prefix: &str) -> Result<Vec<Marked>> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Whether a link of that name is there.
    pub fn exists(&self, _name: &str) -> Result<bool> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// The networks the host has routes to or addresses in, default routes left out: new subnets must not overlap.
    pub fn routed(&self) -> Result<Vec<IpNet>> {
        Err(Error::Invalid("unfinished".into()))
    }
}
