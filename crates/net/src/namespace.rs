//! Network namespaces and the interfaces in them.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use ipnet::IpNet;

use crate::link::Links;
use crate::{Error, MacAddress, Result};

/// An interface for a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name inside: `eth0`.
    pub name: String,
    /// The mark of its owner, kept as the host end's alias.
    pub alias: String,
    /// Its hardware address (not for ipvlan, which has its parent's).
    pub mac: Option<MacAddress>,
    /// Its addresses with their prefixes.
    pub addresses: Vec<IpNet>,
    /// Packet size; 0 takes the bridge's or the parent's.
    pub mtu: u32,
    /// How it reaches the network.
    pub kind: Kind,
    /// Parameters of the interface, such as `net.ipv4.conf.IFNAME.rp_filter=2`, IFNAME replaced by its name.
    pub sysctls: Vec<(String, String)>,
}

/// How an interface reaches its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pair of virtual cables, the other end in a bridge.
    Veth {
        /// Name of the host's end.
        host_name: String,
        /// The bridge.
        bridge: String,
        /// Whether neighbours on the bridge are out of reach (inter-container communication off).
        isolated: bool,
    },
    /// A further hardware address on a link of the host.
    Macvlan {
        /// The link of the host.
        parent: String,
        /// `bridge`, `private`, `vepa` or `passthru`.
        mode: String,
    },
    /// Further addresses on a link of the host.
    Ipvlan {
        /// The link of the host.
        parent: String,
        /// `l2`, `l3` or `l3s`.
        mode: String,
        /// `bridge`, `private` or `vepa`.
        flag: String,
    },
}

/// Where packets go that no other route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The interface, by its name inside.
    pub interface: String,
    /// The gateway; `None` sends straight to the interface (ipvlan l3).
    pub gateway: Option<IpAddr>,
}

/// What an interface has carried, as `stats` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the kernel's own names
pub struct Counters {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// A network namespace, held by descriptor, with a netlink socket inside.
pub struct Namespace {
    fd: OwnedFd,
}

impl Namespace {
    /// A new one, its loopback up. A short-lived thread makes it: no other thread of the process ever leaves its own.
    pub fn create() -> Result<Self> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// One that is there: `/proc/<pid>/ns/net`.
    pub fn open(_path: &Path) -> Result<Self> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Adds an interface, up and with its addresses. What fails leaves nothing.
    pub fn attach(&self, _host: &Links, _attachment: &Attachment) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Takes an interface away; one that is gone already is fine.
    pub fn detach(&self, _interface: &str) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Replaces the default routes; `None` leaves none of that family.
    pub fn set_default(&self, _v4: Option<&DefaultRoute>, _v6: Option<&DefaultRoute>) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Counters of every interface but the loopback, by name.
    pub fn counters(&self) -> Result<Vec<(String, Counters)>> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Runs `work` on a short-lived thread inside the namespace: sockets made there stay there.
    pub fn run<T: Send>(&self, _work: impl FnOnce() -> T + Send) -> Result<T> {
        Err(Error::Invalid("unfinished".into()))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
