//! The host's side: bridges, and what a daemon finds of its own links when it starts.

mod announce;
mod bridge;
mod claims;
mod forwarding;
mod parent;

use boxship_sys::Errno;
use boxship_sys::packet;
use ipnet::IpNet;

use crate::netlink::{Connection, Protocol};
use crate::rtnetlink::{address, link, route};
use crate::{MacAddress, Result};

pub use claims::{Claim, News};
pub use parent::ParentKind;

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

/// A link that networks without a bridge sit on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Interface name, 15 bytes at most.
    pub name: String,
    /// The mark it gets if it is made: then it is ours to remove.
    pub alias: String,
    /// What it is to be made of when it isn't there.
    pub kind: ParentKind,
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

/// An interface with its addresses, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Interface index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its mark; empty without.
    pub alias: String,
    /// `bridge`, `veth`, `macvlan` and so on; empty for hardware.
    pub kind: String,
    /// Its hardware address, if it has an Ethernet one.
    pub mac: Option<MacAddress>,
    /// Packet size.
    pub mtu: u32,
    /// Whether it was brought up.
    pub up: bool,
    /// Index of the bridge it is a port of.
    pub master: Option<u32>,
    /// Its addresses with their prefixes, those that the kernel gave it itself included.
    pub addresses: Vec<IpNet>,
}

/// The host's links: one netlink socket in the namespace of the daemon. Shared by reference; locks inside.
#[derive(Debug)]
pub struct Links {
    pub(crate) connection: Connection,
    /// Tells neighbours of new addresses; `None` where the kernel has no such sockets: they find out a little later.
    packets: Option<packet::Sender>,
}

impl Links {
    /// Opens the socket.
    pub fn open() -> Result<Self> {
        Ok(Self { connection: Connection::open(Protocol::Route)?, packets: packet::Sender::open().ok() })
    }

    /// Makes or repairs a bridge: link, addresses, up, its sysctls (IPv6, route_localnet, forwarding, accept_ra).
    pub fn ensure_bridge(&self, bridge: &Bridge) -> Result<()> {
        bridge::ensure(&self.connection, bridge)
    }

    /// Makes a link for networks without a bridge, unless there is one of that name.
    pub fn ensure_parent(&self, parent: &Parent) -> Result<()> {
        parent::ensure(&self.connection, parent)
    }

    /// Removes a link; one that is gone already is fine.
    pub fn remove(&self, name: &str) -> Result<()> {
        remove(&self.connection, name)
    }

    /// Sets a link down: from now on nothing passes it, and removing it, which takes the kernel long, can wait. One that
    /// is gone already is fine.
    pub fn cut(&self, name: &str) -> Result<()> {
        match self.connection.order(link::change(name, Some(false))) {
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
            done => done,
        }
    }

    /// Links whose mark begins with `prefix`.
    pub fn marked(&self, prefix: &str) -> Result<Vec<Marked>> {
        let links = link::list(&self.connection, false)?.into_iter();
        let marked = links.filter(|link| !link.alias.is_empty() && link.alias.starts_with(prefix));
        Ok(marked.map(|link| Marked { name: link.name, index: link.index, alias: link.alias }).collect())
    }

    /// Whether a link of that name is there.
    pub fn exists(&self, name: &str) -> Result<bool> {
        Ok(link::by_name(&self.connection, name)?.is_some())
    }

    /// The mark of one link, empty when it carries none; `None` when there is no such link.
    pub fn mark(&self, name: &str) -> Result<Option<String>> {
        Ok(link::by_name(&self.connection, name)?.map(|link| link.alias))
    }

    /// A link's own addresses with their prefixes, but for those of the link only; none when there is no such link.
    pub fn addresses(&self, name: &str) -> Result<Vec<IpNet>> {
        let Some(link) = link::by_name(&self.connection, name)? else { return Ok(Vec::new()) };
        let addresses = address::list(&self.connection, Some(link.index))?.into_iter();
        Ok(addresses.filter(|address| !address.link_local).map(|address| address.net).collect())
    }

    /// The networks the host has routes to or addresses in, default routes left out: new subnets must not overlap.
    pub fn routed(&self) -> Result<Vec<IpNet>> {
        let addresses = address::list(&self.connection, None)?.into_iter().map(|address| address.net);
        let mut found: Vec<_> = addresses.collect();
        for v6 in [false, true] {
            let routes = route::list(&self.connection, v6)?.into_iter();
            found.extend(routes.filter(route::Route::is_of_network).map(|route| route.destination));
        }
        found.iter_mut().for_each(|net| *net = net.trunc());
        // A tunnel that takes everything does so by two routes to one half of all addresses each.
        found.retain(|net| net.prefix_len() > 1 && !is_of_link(net));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Every interface with its addresses.
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        interfaces(&self.connection)
    }

    /// Sees to it that the host forwards packets of a family. `true` when it did not before: then whoever asked has
    /// made a router of the host and must see to it that nothing but its own is forwarded.
    pub fn forwarding(&self, v6: bool) -> Result<bool> {
        forwarding::ensure(&self.connection, v6)
    }
}

/// Removes a link; one that is gone already is fine.
pub(crate) fn remove(connection: &Connection, name: &str) -> Result<()> {
    match connection.order(link::remove(name)) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        done => done,
    }
}

/// Every interface of a namespace with its addresses.
pub(crate) fn interfaces(connection: &Connection) -> Result<Vec<Interface>> {
    let addresses = address::list(connection, None)?;
    let of =
        |index| addresses.iter().filter(move |address| address.index == index).map(|address| address.net);
    let links = link::list(connection, false)?.into_iter();
    Ok(links
        .map(|link| Interface {
            addresses: of(link.index).collect(),
            index: link.index,
            name: link.name,
            alias: link.alias,
            kind: link.kind,
            mac: link.mac,
            mtu: link.mtu,
            up: link.up,
            master: link.master,
        })
        .collect())
}

/// Networks that exist on every link: they are nobody's.
fn is_of_link(net: &IpNet) -> bool {
    match net {
        IpNet::V4(_) => false,
        IpNet::V6(net) => net.addr().is_unicast_link_local() || net.addr().is_multicast(),
    }
}

#[cfg(test)]
mod tests;
