//! Addresses of links.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AF_INET, AF_INET6, family, octets};
use crate::Result;
use crate::netlink::{Connection, Message, Received, flags};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// No other host is asked whether it has the address: ours are given out by us, and asking takes a second.
const IFA_F_NODAD: u8 = 2;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
/// Length of the fixed part, `struct ifaddrmsg`.
const FIXED: usize = 8;

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub index: u32,
    /// The address with its prefix.
    pub net: IpNet,
    /// Made by the kernel itself or otherwise of the link only.
    pub link_local: bool,
}

fn message(operation: &'static str, link: &str, index: u32, net: IpNet, kind: u16, flags: u16) -> Message {
    let v6 = matches!(net, IpNet::V6(_));
    let scope = if is_link_local(net.addr()) { SCOPE_LINK } else { SCOPE_UNIVERSE };
    let mut fixed = [0; FIXED];
    fixed[0] = family(v6);
    fixed[1] = net.prefix_len();
    fixed[2] = if v6 { IFA_F_NODAD } else { 0 };
    fixed[3] = scope;
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut message = Message::new(operation, format!("{net} of {link}"), kind, flags);
    let address = octets(net.addr());
    message.raw(&fixed).bytes(IFA_LOCAL, &address).bytes(IFA_ADDRESS, &address);
    message
}

/// Gives an address to a link; that it has it already is fine.
pub(crate) fn add(link: &str, index: u32, net: IpNet) -> Message {
    let flags = flags::CREATE | flags::REPLACE;
    let mut message = message("add address", link, index, net, RTM_NEWADDR, flags);
    if let IpNet::V4(net) = net
        && net.prefix_len() < 31
    {
        message.bytes(IFA_BROADCAST, &net.broadcast().octets());
    }
    message
}

/// Takes an address from a link.
pub(crate) fn remove(link: &str, index: u32, net: IpNet) -> Message {
    message("remove address", link, index, net, RTM_DELADDR, 0)
}

/// Addresses of one link, or of all.
pub(crate) fn list(connection: &Connection, of: Option<u32>) -> Result<Vec<Address>> {
    let mut fixed = [0; FIXED];
    fixed[4..8].copy_from_slice(&of.unwrap_or_default().to_ne_bytes());
    let mut question = Message::new("list", "addresses", RTM_GETADDR, 0);
    question.raw(&fixed);
    // An older kernel answers with those of every link.
    connection.dump(&question, |received| {
        read(&received).filter(|found| of.is_none_or(|index| index == found.index))
    })
}

pub(crate) fn read(received: &Received<'_>) -> Option<Address> {
    let fixed: &[u8; FIXED] = received.fixed().filter(|_| received.kind == RTM_NEWADDR)?;
    let attributes = received.attributes(FIXED);
    // On a link between two points IFA_ADDRESS is the far one.
    let own = attributes.find(IFA_LOCAL).or_else(|| attributes.find(IFA_ADDRESS))?.address()?;
    matches!((fixed[0], own), (AF_INET, IpAddr::V4(_)) | (AF_INET6, IpAddr::V6(_))).then_some(())?;
    Some(Address {
        index: u32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        net: IpNet::new(own, fixed[1]).ok()?,
        link_local: is_link_local(own),
    })
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
