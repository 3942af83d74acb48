//! Network namespaces and the interfaces in them.

mod attach;
mod default_route;

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_sys::namespace;
use ipnet::IpNet;

use crate::link::{Interface, Links};
use crate::netlink::{Connection, Protocol};
use crate::rtnetlink::link;
use crate::{Error, MacAddress, Result};

/// Stack of the threads that enter namespaces: they do little.
const STACK: usize = 256 * 1024;

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
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
    connection: Connection,
}

impl Namespace {
    /// A new one, its loopback up. A short-lived thread makes it: no other thread of the process ever leaves its own.
    pub fn create() -> Result<Self> {
        let namespace = on_thread(|| {
            namespace::unshare(namespace::Kind::Network.flag()).map_err(failed("make"))?;
            let fd = namespace::open(Path::new("/proc/thread-self/ns/net")).map_err(failed("open"))?;
            Ok(Self { fd, connection: Connection::open(Protocol::Route)? })
        })??;
        namespace.connection.order(link::change("lo", Some(true)))?;
        Ok(namespace)
    }

    /// One that is there: `/proc/<pid>/ns/net`.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = namespace::open(path).map_err(failed("open"))?;
        let connection = inside(fd.as_fd(), || Connection::open(Protocol::Route))??;
        Ok(Self { fd, connection })
    }

    /// Adds an interface, up and with its addresses. What fails leaves nothing.
    pub fn attach(&self, host: &Links, attachment: &Attachment) -> Result<()> {
        attach::attach(self, host, attachment)
    }

    /// Takes an interface away; one that is gone already is fine.
    pub fn detach(&self, interface: &str) -> Result<()> {
        crate::link::remove(&self.connection, interface)
    }

    /// Replaces the default routes; `None` leaves none of that family.
    pub fn set_default(&self, v4: Option<&DefaultRoute>, v6: Option<&DefaultRoute>) -> Result<()> {
        default_route::set(&self.connection, false, v4)?;
        default_route::set(&self.connection, true, v6)
    }

    /// Every interface with its addresses.
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        crate::link::interfaces(&self.connection)
    }

    /// Counters of every interface but the loopback, by name.
    pub fn counters(&self) -> Result<Vec<(String, Counters)>> {
        let links = link::list(&self.connection, true)?.into_iter().filter(|link| !link.loopback);
        Ok(links.map(|link| (link.name, Counters::from_kernel(&link.statistics))).collect())
    }

    /// Runs `work` on a short-lived thread inside the namespace: sockets made there stay there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        inside(self.fd.as_fd(), work)
    }
}

impl Counters {
    /// From `struct rtnl_link_stats64`.
    fn from_kernel(numbers: &[u64]) -> Self {
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        Self {
            rx_packets: number(0),
            tx_packets: number(1),
            rx_bytes: number(2),
            tx_bytes: number(3),
            rx_errors: number(4),
            tx_errors: number(5),
            rx_dropped: number(6),
            tx_dropped: number(7),
        }
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn failed(operation: &'static str) -> impl Fn(boxship_sys::Error) -> Error {
    move |source| Error::Kernel { operation, object: "network namespace".into(), source }
}

/// Runs `work` on a thread that has joined a namespace and ends with it.
fn inside<T: Send>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> Result<T> {
    on_thread(|| {
        namespace::join(namespace, namespace::Kind::Network).map_err(failed("enter"))?;
        Ok(work())
    })?
}

/// Runs `work` on a thread of its own, which may leave its namespace.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("netns".into()).stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| {
            let errno =
                error.raw_os_error().map_or(boxship_sys::Errno::AGAIN, boxship_sys::Errno::from_raw_os_error);
            failed("start thread for")(boxship_sys::Error::new("clone", "thread", errno))
        })?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests;
