//! Routes: reading them all, and setting where everything else goes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AF_INET, AF_INET6, family, octets};
use crate::Result;
use crate::netlink::{Connection, Message, Received, flags};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;

const TABLE_MAIN: u8 = 254;
const TABLE_LOCAL: u32 = 255;
const PROTOCOL_KERNEL: u8 = 2;
const PROTOCOL_BOOT: u8 = 3;
const PROTOCOL_RA: u8 = 9;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const TYPE_UNICAST: u8 = 1;
/// Local, broadcast, anycast, multicast: of addresses, not of networks.
const TYPES_OF_ADDRESSES: std::ops::RangeInclusive<u8> = 2..=5;
/// The gateway is reached through the link though no network of the link contains it.
const RTNH_F_ONLINK: u32 = 4;
/// Length of the fixed part, `struct rtmsg`.
const FIXED: usize = 12;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub destination: IpNet,
    pub gateway: Option<IpAddr>,
    pub link: Option<u32>,
    priority: Option<u32>,
    table: u32,
    protocol: u8,
    kind: u8,
}

impl Route {
    /// Whether it says where everything else goes and was not found out by the kernel itself.
    pub(crate) fn is_set_default(&self) -> bool {
        self.destination.prefix_len() == 0
            && self.table == TABLE_MAIN.into()
            && self.kind == TYPE_UNICAST
            && !matches!(self.protocol, PROTOCOL_KERNEL | PROTOCOL_RA)
    }

    /// Whether it leads to, or shuts off, a network that others must not use.
    pub(crate) fn is_of_network(&self) -> bool {
        self.table != TABLE_LOCAL && !TYPES_OF_ADDRESSES.contains(&self.kind)
    }
}

/// All routes of a family, of all tables.
pub(crate) fn list(connection: &Connection, v6: bool) -> Result<Vec<Route>> {
    let mut fixed = [0; FIXED];
    fixed[0] = family(v6);
    let mut question = Message::new("list", "routes", RTM_GETROUTE, 0);
    question.raw(&fixed);
    connection.dump(&question, |received| read(&received))
}

/// Whether packets to an address are taken in here.
pub(crate) fn is_local(connection: &Connection, address: IpAddr) -> bool {
    const TYPE_LOCAL: u8 = 2;
    let mut fixed = [0; FIXED];
    let octets = octets(address);
    (fixed[0], fixed[1]) = (family(address.is_ipv6()), if address.is_ipv6() { 128 } else { 32 });
    let mut question = Message::new("look up route", format!("to {address}"), RTM_GETROUTE, 0);
    question.raw(&fixed).bytes(RTA_DST, &octets);
    let kind = |received: Received<'_>| received.fixed::<FIXED>().map(|fixed| fixed[7]);
    // That there is no route at all is an error.
    matches!(connection.ask(&question, kind), Ok(Some(TYPE_LOCAL)))
}

pub(crate) fn read(received: &Received<'_>) -> Option<Route> {
    let fixed: &[u8; FIXED] = received.fixed().filter(|_| received.kind == RTM_NEWROUTE)?;
    let [family, length, _, _, table, protocol, _, kind, ..] = *fixed;
    let attributes = received.attributes(FIXED);
    let nowhere: IpAddr = match family {
        AF_INET => std::net::Ipv4Addr::UNSPECIFIED.into(),
        AF_INET6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let destination = attributes.find(RTA_DST).map_or(Some(nowhere), |attribute| attribute.address())?;
    Some(Route {
        destination: IpNet::new(destination, length).ok()?,
        gateway: attributes.find(RTA_GATEWAY).and_then(|attribute| attribute.address()),
        link: attributes.find(RTA_OIF).and_then(|attribute| attribute.u32()),
        priority: attributes.find(RTA_PRIORITY).and_then(|attribute| attribute.u32()),
        table: attributes.find(RTA_TABLE).and_then(|table| table.u32()).unwrap_or(table.into()),
        protocol,
        kind,
    })
}

fn message(operation: &'static str, object: String, kind: u16, flags: u16, fixed: [u8; FIXED]) -> Message {
    let mut message = Message::new(operation, object, kind, flags);
    message.raw(&fixed);
    message
}

/// Sends everything else to a gateway, or straight to the link; replaces what there is.
pub(crate) fn set_default(
    interface: &str,
    link: u32,
    v6: bool,
    gateway: Option<IpAddr>,
    onlink: bool,
) -> Message {
    let scope = if gateway.is_some() || v6 { SCOPE_UNIVERSE } else { SCOPE_LINK };
    let mut fixed = [family(v6), 0, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, scope, TYPE_UNICAST, 0, 0, 0, 0];
    if onlink {
        fixed[8..12].copy_from_slice(&RTNH_F_ONLINK.to_ne_bytes());
    }
    let object = match gateway {
        Some(gateway) => format!("through {gateway} on {interface}"),
        None => format!("through {interface}"),
    };
    let flags = flags::CREATE | flags::REPLACE;
    let mut message = message("set default route", object, RTM_NEWROUTE, flags, fixed);
    message.u32(RTA_OIF, link);
    if let Some(gateway) = gateway {
        message.bytes(RTA_GATEWAY, &octets(gateway));
    }
    message
}

/// Removes a default route.
pub(crate) fn remove_default(route: &Route) -> Message {
    let v6 = matches!(route.destination, IpNet::V6(_));
    // No scope: any.
    let fixed = [family(v6), 0, 0, 0, TABLE_MAIN, route.protocol, 255, route.kind, 0, 0, 0, 0];
    let object = route.gateway.map_or_else(String::new, |gateway| format!("through {gateway}"));
    let mut message = message("remove default route", object, RTM_DELROUTE, 0, fixed);
    if let Some(gateway) = route.gateway {
        message.bytes(RTA_GATEWAY, &octets(gateway));
    }
    if let Some(link) = route.link {
        message.u32(RTA_OIF, link);
    }
    if let Some(priority) = route.priority {
        message.u32(RTA_PRIORITY, priority);
    }
    message
}
