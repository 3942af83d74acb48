//! Links: making, changing, removing, reading.

use crate::netlink::{Connection, Message, Received, flags};
use crate::{Error, MacAddress, Result};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

pub(crate) const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
pub(crate) const IFLA_MTU: u16 = 4;
pub(crate) const IFLA_LINK: u16 = 5;
pub(crate) const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
pub(crate) const IFLA_IFALIAS: u16 = 20;
const IFLA_STATS64: u16 = 23;
const IFLA_AF_SPEC: u16 = 26;
pub(crate) const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;

/// Leaves statistics out of what is told of a link: they are most of it.
const SKIP_STATISTICS: u32 = 1 << 3;
const IFF_UP: u32 = 1;
const IF_OPER_UNKNOWN: u8 = 0;
const IF_OPER_UP: u8 = 6;
const IFF_LOOPBACK: u32 = 8;
/// Length of the fixed part, `struct ifinfomsg`.
const FIXED: usize = 16;

/// What the kernel tells of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub alias: String,
    /// `bridge`, `veth`, `macvlan`; empty for hardware.
    pub kind: String,
    pub mac: Option<MacAddress>,
    pub mtu: u32,
    pub up: bool,
    pub loopback: bool,
    /// Whether packets pass: it is up, plugged in, and the kernel has taken note of that.
    pub passes: bool,
    pub master: Option<u32>,
    /// Sixty-four-bit statistics in the kernel's order, when they were asked for.
    pub statistics: Vec<u64>,
}

/// Whether an interface may be called so: the kernel's own rule.
pub(crate) fn check_name(name: &str) -> Result<()> {
    // The kernel takes "%d" as "any number that is free": the link would have another name than was asked for.
    let wrong = |c: char| matches!(c, '/' | ':' | '%' | '\0') || c.is_whitespace();
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(wrong) {
        return Err(Error::Invalid(format!("invalid interface name: {name:?}")));
    }
    Ok(())
}

fn message(operation: &'static str, name: &str, kind: u16, flags: u16, up: Option<bool>) -> Message {
    let mut message = Message::new(operation, name, kind, flags);
    message.raw(&fixed(up));
    message.text(IFLA_IFNAME, name);
    message
}

/// `struct ifinfomsg`: family, padding, type, index, flags, which flags to change.
fn fixed(up: Option<bool>) -> [u8; FIXED] {
    let mut bytes = [0; FIXED];
    if let Some(up) = up {
        bytes[8..12].copy_from_slice(&(if up { IFF_UP } else { 0 }).to_ne_bytes());
        bytes[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    }
    bytes
}

/// Makes a link, which must not exist, of a kind with the kind's own data.
pub(crate) fn create(name: &str, kind: &str, data: impl FnOnce(&mut Message)) -> Message {
    let mut message = message("make interface", name, RTM_NEWLINK, flags::CREATE | flags::EXCL, None);
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, kind).nest(IFLA_INFO_DATA, data);
    });
    message
}

/// Appends the other end of a pair: a fixed part and attributes like a link's own.
pub(crate) fn peer(data: &mut Message, name: &str, attributes: impl FnOnce(&mut Message)) {
    const VETH_INFO_PEER: u16 = 1;
    data.nest(VETH_INFO_PEER, |peer| {
        peer.raw(&fixed(None)).text(IFLA_IFNAME, name);
        attributes(peer);
    });
}

/// Changes a link that exists; attributes are appended to the answer.
pub(crate) fn change(name: &str, up: Option<bool>) -> Message {
    message("set up interface", name, RTM_NEWLINK, 0, up)
}

/// Appends how a link behaves as a port of a bridge.
pub(crate) fn bridge_port(message: &mut Message, hairpin: bool, isolated: bool) {
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_SLAVE_KIND, "bridge").nest(IFLA_INFO_SLAVE_DATA, |data| {
            data.u8(IFLA_BRPORT_MODE, hairpin.into()).u8(IFLA_BRPORT_ISOLATED, isolated.into());
        });
    });
}

/// Appends that the link gets no IPv6 address by itself, and so nothing is sent through it by itself.
pub(crate) fn without_link_local(message: &mut Message) {
    message.nest(IFLA_AF_SPEC, |families| {
        families.nest(super::AF_INET6.into(), |inet6| {
            inet6.u8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE);
        });
    });
}

/// Removes a link.
pub(crate) fn remove(name: &str) -> Message {
    message("remove interface", name, RTM_DELLINK, 0, None)
}

/// The link of a name.
pub(crate) fn by_name(connection: &Connection, name: &str) -> Result<Option<Link>> {
    check_name(name)?;
    let mut question = message("look up interface", name, RTM_GETLINK, 0, None);
    question.u32(IFLA_EXT_MASK, SKIP_STATISTICS);
    connection.ask(&question, |received| read(&received))
}

/// All links; with their statistics only if asked for.
pub(crate) fn list(connection: &Connection, statistics: bool) -> Result<Vec<Link>> {
    let mut question = Message::new("list", "interfaces", RTM_GETLINK, 0);
    question.raw(&fixed(None));
    if !statistics {
        question.u32(IFLA_EXT_MASK, SKIP_STATISTICS);
    }
    connection.dump(&question, |received| read(&received))
}

fn read(received: &Received<'_>) -> Option<Link> {
    let fixed: &[u8; FIXED] = received.fixed().filter(|_| received.kind == RTM_NEWLINK)?;
    let number = |at: usize| u32::from_ne_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let mut link = Link {
        index: number(4),
        up: number(8) & IFF_UP != 0,
        loopback: number(8) & IFF_LOOPBACK != 0,
        ..Link::default()
    };
    for attribute in received.attributes(FIXED) {
        match attribute.kind {
            IFLA_IFNAME => link.name = attribute.text()?.to_owned(),
            IFLA_IFALIAS => link.alias = attribute.text().unwrap_or_default().to_owned(),
            IFLA_ADDRESS => link.mac = attribute.array().map(MacAddress),
            IFLA_MTU => link.mtu = attribute.u32().unwrap_or_default(),
            IFLA_MASTER => link.master = attribute.u32(),
            IFLA_OPERSTATE => {
                link.passes = matches!(attribute.u8(), Some(IF_OPER_UNKNOWN | IF_OPER_UP)) && link.up;
            }
            IFLA_LINKINFO => {
                let kind = attribute.nested().find(IFLA_INFO_KIND);
                link.kind = kind.and_then(|kind| kind.text()).unwrap_or_default().to_owned();
            }
            IFLA_STATS64 => {
                let numbers = attribute.payload.as_chunks().0.iter();
                link.statistics = numbers.map(|bytes| u64::from_ne_bytes(*bytes)).collect();
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}
