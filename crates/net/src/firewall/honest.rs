//! Honest mode: new connections to published ports pass the host's own input rules, in the kernel alone.
//!
//! ```text
//! outside ─ prerouting: not translated ─ input: the host's rules ─ ours, last: copy, drop
//!                                                                        │ (dup)
//! container ─ forward ─ translated: prerouting ─ PAIR-b ══════════ PAIR-a ┘
//! ```
//!
//! A packet for a published port is left to go to the input hook with its host's address, past whatever the host has
//! there. What is still alive behind everybody's filter gets the mark [`ADMITTED`]; a copy leaves by one end of a
//! private pair of links and comes in by the other, and only there published ports are translated. The original is
//! dropped before it is tracked. All later packets of the connection follow the copy's tracking entry. The client's
//! address stays what it is.
//!
//! `dup` exists in the ip and ip6 families only, hence two small tables of the same name beside the inet one.

use std::net::Ipv4Addr;

use boxship_sys::Errno;
use ipnet::Ipv4Net;

use super::table::ADMITTED;
use crate::netlink::{Connection, Message};
use crate::nft::batch::Batch;
use crate::nft::object::{Base, Chain, Change, Hook, Kind, TableFamily};
use crate::nft::rule::{Family, Rule};
use crate::rtnetlink::{address, link};
use crate::{Result, sysctl};

/// Behind every filter (0) and source translation (100) of the host, before connection tracking confirms.
pub(super) const PRIORITY: i32 = 1000;
/// Both ends have it: neither asks for the other's, and what one sends is for the other.
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0xb0, 0x01];
/// Any address will do to name the way out: the link alone decides. Both are link-local.
const VIA4: [u8; 4] = [169, 254, 0, 1];
const VIA6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The address of the end where copies come in; never seen in a packet.
const BACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 176, 1), 32);

/// The private pair of links of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Where copies leave.
    out: String,
    /// Where they come in.
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

    /// Sees to it that it is there and up; gives the index of the end where copies leave.
    pub(super) fn ensure(&self, links: &Connection) -> Result<u32> {
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

/// Removes the two small tables and, with a pair's link, makes them anew.
pub(super) fn tables(batch: &mut Batch<'_>, out: Option<u32>) {
    for (family, table) in [(Family::V4, TableFamily::Ip), (Family::V6, TableFamily::Ip6)] {
        batch.family = table;
        batch.change(&Change::AddTable);
        batch.change(&Change::DeleteTable);
        if let Some(out) = out {
            let chain = copying(family, out);
            batch.change(&Change::AddTable);
            batch.change(&Change::AddChain(&chain));
            for rule in &chain.rules {
                batch.change(&Change::AddRule(chain.name, rule));
            }
        }
    }
    batch.family = TableFamily::Inet;
}

fn copying(family: Family, out: u32) -> Chain {
    let via: &[u8] = match family {
        Family::V4 => &VIA4,
        Family::V6 => &VIA6,
    };
    let rule = Rule::new().marked(ADMITTED).clear_mark(ADMITTED).dup(via, out).drop();
    let base = Base { kind: Kind::Filter, hook: Hook::Input, priority: PRIORITY + 1 };
    Chain { name: "admitted", base: Some(base), rules: vec![rule] }
}
