//! A private pair of links with both ends on the host: what leaves by one end comes in again by the other, as a new
//! packet for translation. Honest mode ([`super::honest`]) sends by it what the host's own rules let through, and
//! connections to `[::1]` get by it what IPv4 has as route_localnet:
//!
//! ```text
//! ::1 -> ::1 ─ output: to NEAR ─ postrouting: from FAR ─ PAIR-a ══ PAIR-b ─ prerouting: published ─ container
//! ```
//!
//! A packet from `::1` cannot be answered from a bridge: the kernel drops what comes in for `::1` there. Here the answer
//! comes in by PAIR-a, for FAR, and turns into `::1` behind that check. Both passes are tracked apart: the second has
//! a zone of its own for its first direction.

use std::net::{Ipv4Addr, Ipv6Addr};

use boxship_sys::Errno;
use ipnet::{Ipv4Net, Ipv6Net};

use crate::netlink::{Connection, Message, flags};
use crate::rtnetlink::{address, link};
use crate::{Result, sysctl};

/// Both ends have it: neither asks for the other's, and what one sends is for the other.
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0xb0, 0x01];
/// The address of the end where packets come back; never seen in a packet.
const BACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 176, 1), 32);
/// Stands for `::1` as a destination between the two ends.
pub(super) const NEAR: Ipv6Addr = Ipv6Addr::new(0xfdb0, 0xc500, 0, 0, 0, 0, 0, 1);
/// Stands for `::1` as a source between the two ends.
pub(super) const FAR: Ipv6Addr = Ipv6Addr::new(0xfdb0, 0xc500, 0, 0, 0, 0, 0, 2);
/// Length of the prefix of both.
pub(super) const PREFIX: u32 = 64;
/// The network of both.
pub(super) const NET: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0xfdb0, 0xc500, 0, 0, 0, 0, 0, 0), PREFIX as u8);
/// The zone of the second pass.
pub(super) const ZONE: u16 = 0xb0c5;

/// The private pair of links of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Where packets leave.
    pub(super) out: String,
    /// Where they come in again.
    pub(super) back: String,
}

impl Pair {
    /// Names for a table's pair.
    pub(super) fn of(table: &str) -> Self {
        let stem: String = table.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        Self { out: format!("{stem}-a"), back: format!("{stem}-b") }
    }

    /// Whether it is there.
    pub(super) fn exists(&self, links: &Connection) -> Result<bool> {
        Ok(link::by_name(links, &self.out)?.is_some())
    }

    /// Sees to it that it is there and up, with routes for `[::1]` if asked for; gives the index of the end where
    /// packets leave.
    pub(super) fn ensure(&self, links: &Connection, localhost6: bool) -> Result<u32> {
        if !self.exists(links)? {
            let mut pair = link::create(&self.out, "veth", |data| {
                link::peer(data, &self.back, |peer| {
                    peer.bytes(link::IFLA_ADDRESS, &MAC);
                });
            });
            pair.bytes(link::IFLA_ADDRESS, &MAC);
            links.order(pair)?;
        }
        for end in [&self.out, &self.back] {
            // Sources are the clients' own, which are not routed here.
            sysctl::set(&["ipv4", "conf", end, "rp_filter"], "2")?;
            sysctl::set(&["ipv4", "conf", end, "forwarding"], "1")?;
            sysctl::set(&["ipv6", "conf", end, "disable_ipv6"], "0")?;
            links.order(up_without_arp(end))?;
        }
        self.give_address(links)?;
        if localhost6 {
            self.give_routes(links)?;
        }
        let found = link::by_name(links, &self.out)?;
        found.map(|link| link.index).ok_or_else(|| crate::Error::Refused {
            operation: "look up interface",
            object: self.out.clone(),
            errno: Errno::NODEV,
            detail: String::new(),
        })
    }

    /// Where reverse paths are filtered, even loosely, a link without any address takes nothing in.
    fn give_address(&self, links: &Connection) -> Result<()> {
        let Some(back) = link::by_name(links, &self.back)? else { return Ok(()) };
        links.order(address::add(&self.back, back.index, BACK.into()))
    }

    /// The stand-ins lead to the other end each, and what came in by the first end may be for `::1`.
    fn give_routes(&self, links: &Connection) -> Result<()> {
        const TYPE_UNICAST: u8 = 1;
        const TYPE_LOCAL: u8 = 2;
        for (address, by, kind) in [
            (NEAR, &self.out, TYPE_UNICAST),
            (FAR, &self.back, TYPE_UNICAST),
            (Ipv6Addr::LOCALHOST, &self.out, TYPE_LOCAL),
        ] {
            let Some(link) = link::by_name(links, by)? else { continue };
            match links.order(route(address, link.index, kind)) {
                Err(error) if error.errno() == Some(Errno::EXIST) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Takes it away.
    pub(super) fn remove(&self, links: &Connection) -> Result<()> {
        match links.order(link::remove(&self.out)) {
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
            done => done,
        }
    }
}

fn up_without_arp(name: &str) -> Message {
    const RTM_NEWLINK: u16 = 16;
    const IFLA_IFNAME: u16 = 3;
    const UP_NOARP: u32 = 1 | 0x80;
    let mut message = Message::new("set up interface", name, RTM_NEWLINK, 0);
    let mut fixed = [0; 16];
    fixed[8..12].copy_from_slice(&UP_NOARP.to_ne_bytes());
    fixed[12..].copy_from_slice(&UP_NOARP.to_ne_bytes());
    message.raw(&fixed).text(IFLA_IFNAME, name);
    message
}

/// A route to one address.
fn route(to: Ipv6Addr, link: u32, kind: u8) -> Message {
    const RTM_NEWROUTE: u16 = 24;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_PRIORITY: u16 = 6;
    const TABLE_MAIN: u8 = 254;
    const TABLE_LOCAL: u8 = 255;
    const PROTOCOL_BOOT: u8 = 3;
    const AF_INET6: u8 = 10;
    // Behind the kernel's own route to ::1.
    const LAST: u32 = 4096;
    let table = if kind == 1 { TABLE_MAIN } else { TABLE_LOCAL };
    let object = format!("to {to}");
    let mut message = Message::new("add route", object, RTM_NEWROUTE, flags::CREATE | flags::EXCL);
    message.raw(&[AF_INET6, 128, 0, 0, table, PROTOCOL_BOOT, 0, kind, 0, 0, 0, 0]);
    message.bytes(RTA_DST, &to.octets()).u32(RTA_OIF, link).u32(RTA_PRIORITY, LAST);
    message
}
