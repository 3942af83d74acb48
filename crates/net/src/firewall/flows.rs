//! Connections the kernel tracks: those of ports that are no longer published end, and those from before a port was
//! published give way. Without it a UDP client that keeps sending would go on reaching the old place for ever.
//!
//! Only flows of the ports named are touched.

use std::net::IpAddr;

use super::elements::{bytes_of, family_of};
use crate::Result;
use crate::netlink::{Attributes, Connection, Message, Received};
use crate::nft::rule::Family;
use crate::ports::{Protocol, Published};

const CT_GET: u16 = 1 << 8 | 1;
const CT_DELETE: u16 = 1 << 8 | 2;
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const NFGENMSG: usize = 4;

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tuple {
    source: IpAddr,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
}

/// Ends the flows that came by ports which are no longer published.
pub(super) fn end(connection: &Connection, ports: &[Published]) -> Result<()> {
    let mut addresses: Vec<IpAddr> = ports.iter().map(|port| port.address).collect();
    addresses.sort();
    addresses.dedup();
    for address in addresses {
        let of_address: Vec<&Published> = ports.iter().filter(|port| port.address == address).collect();
        remove(connection, family_of(address), Some(address), |original, reply| {
            of_address.iter().any(|port| {
                port.protocol.number() == original.protocol
                    && port.port == reply.source_port
                    && port.host_port == original.destination_port
            })
        })?;
    }
    Ok(())
}

/// Ends the UDP flows to ports that are published now and went elsewhere before: nothing else ends them while the
/// sender goes on.
pub(super) fn give_way(connection: &Connection, ports: &[Published]) -> Result<()> {
    for family in Family::BOTH {
        let udp: Vec<&Published> = ports
            .iter()
            .filter(|port| port.protocol == Protocol::Udp && family_of(port.address) == family)
            .collect();
        if udp.is_empty() {
            continue;
        }
        remove(connection, family, None, |original, reply| {
            original.protocol == Protocol::Udp.number()
                && udp
                    .iter()
                    .any(|port| port.host_port == original.destination_port && port.address != reply.source)
        })?;
    }
    Ok(())
}

/// Removes the flows that `is_meant` says (given both directions), of those whose answers come from `answering`.
fn remove(
    connection: &Connection,
    family: Family,
    answering: Option<IpAddr>,
    is_meant: impl Fn(&Tuple, &Tuple) -> bool,
) -> Result<()> {
    let mut question = Message::new("list", "tracked connections", CT_GET, 0);
    question.raw(&[family.number(), 0, 0, 0]);
    if let Some(address) = answering {
        // Older kernels list all; what is meant is looked at here anyhow.
        question.nest(TUPLE_REPLY, |tuple| {
            tuple.nest(1, |ip| {
                ip.bytes(if address.is_ipv4() { 1 } else { 3 }, &bytes_of(address));
            });
        });
        question.nest(FILTER, |filter| {
            filter.u32(1, 0).u32(2, 1);
        });
    }
    let orders = connection.dump(&question, |answer| order(family, &answer, &is_meant))?;
    for order in orders {
        match connection.order(order) {
            Err(error) if error.errno() == Some(boxship_sys::Errno::NOENT) => {}
            done => done?,
        }
    }
    Ok(())
}

/// The order to remove a listed flow, if it is meant.
fn order(
    family: Family,
    answer: &Received<'_>,
    is_meant: impl Fn(&Tuple, &Tuple) -> bool,
) -> Option<Message> {
    let flow = answer.attributes(NFGENMSG);
    let (original, reply) = (flow.find(TUPLE_ORIG)?, flow.find(TUPLE_REPLY)?);
    if !is_meant(&read(original.nested())?, &read(reply.nested())?) {
        return None;
    }
    let mut order = Message::new("end", "a tracked connection", CT_DELETE, 0);
    order.raw(&[family.number(), 0, 0, 0]);
    order.nest(TUPLE_ORIG, |tuple| {
        tuple.raw(original.payload);
    });
    for kind in [ID, ZONE] {
        if let Some(same) = flow.find(kind) {
            order.bytes(kind, same.payload);
        }
    }
    Some(order)
}

fn read(tuple: Attributes<'_>) -> Option<Tuple> {
    let (ip, protocol) = (tuple.find(1)?.nested(), tuple.find(2)?.nested());
    let source = match ip.find(1) {
        Some(address) => IpAddr::from(address.array::<4>()?),
        None => IpAddr::from(ip.find(3)?.array::<16>()?),
    };
    Some(Tuple {
        source,
        protocol: protocol.find(1)?.u8()?,
        source_port: protocol.find(2)?.be16()?,
        destination_port: protocol.find(3)?.be16()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn garbage_is_no_flow(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let answer = Received { kind: 0, flags: 0, sequence: 0, payload: &payload };
            let _ = order(Family::V4, &answer, |_, _| true);
        }
    }
}
