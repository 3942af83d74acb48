//! Neighbours: which hardware address the host believes an address to have.

use std::net::IpAddr;

use super::{family, octets};
use crate::MacAddress;
use crate::netlink::{Message, flags};

const RTM_NEWNEIGH: u16 = 28;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_STALE: u16 = 4;

/// Corrects what the host believes; `ENOENT` when it believes nothing.
pub(crate) fn correct(link: u32, address: IpAddr, mac: MacAddress) -> Message {
    // struct ndmsg: family, padding, link, state, flags, type.
    let mut fixed = [0; 12];
    fixed[0] = family(address.is_ipv6());
    fixed[4..8].copy_from_slice(&link.to_ne_bytes());
    fixed[8..10].copy_from_slice(&NUD_STALE.to_ne_bytes());
    let mut message =
        Message::new("set neighbour", format!("{address} to {mac}"), RTM_NEWNEIGH, flags::REPLACE);
    message.raw(&fixed).bytes(NDA_DST, &octets(address)).bytes(NDA_LLADDR, &mac.0);
    message
}
