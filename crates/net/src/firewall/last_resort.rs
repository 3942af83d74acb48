//! What keeps networks closed when the table is missing, also while no daemon runs: policies in a part of the kernel
//! that no firewall tool flushes.
//!
//! The table marks every packet of a network before routing ([`SEEN`]). A policy of the IPsec kind, direction "forward",
//! blocks packets from or to a subnet without the mark. It concerns forwarding alone: the host's own packets and reverse
//! path filters never meet it. (Routing rules would: reverse path look-ups carry no mark.) Policies of direction "in"
//! keep containers from the host's loopback, which its bridges lead to for the sake of ports published there, and those
//! of internal networks from the host altogether. `ip xfrm policy` shows them.
//!
//! Policies of ours are known by their priority, which is made of the table's name.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::Network;
use super::elements::bytes_of;
use super::table::SEEN;
use crate::Result;
use crate::netlink::{Connection, Message, Protocol, Received, flags};

const NEW_POLICY: u16 = 0x13;
const DELETE_POLICY: u16 = 0x14;
const GET_POLICY: u16 = 0x15;
const UPDATE_POLICY: u16 = 0x19;
const MARK: u16 = 21;
const IN: u8 = 0;
const FORWARD: u8 = 2;
const BLOCK: u8 = 1;
/// Lengths of `xfrm_selector`, `xfrm_userpolicy_info`, and where in it priority and direction stand.
const SELECTOR: usize = 56;
const POLICY: usize = 168;
const PRIORITY_AT: usize = 152;
const DIRECTION_AT: usize = 160;

const LOOPBACK: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8));

/// Policies of one table.
#[derive(Debug)]
pub(super) struct LastResort {
    /// `None` where the kernel has no such policies.
    connection: Option<Connection>,
    priority: u32,
}

/// A selector as the kernel has it: its bytes identify a policy of ours, with the direction.
type Selector = [u8; SELECTOR];
type Policy = (u8, Selector);

impl LastResort {
    /// For the table of a name.
    pub(super) fn open(table: &str) -> Self {
        let connection = Connection::open(Protocol::Xfrm)
            .inspect_err(
                |error| tracing::warn!(%error, "networks are open while the firewall's table is missing"),
            )
            .ok();
        Self { connection, priority: priority_of(table) }
    }

    /// Has policies for these networks and no others. Networks work without them: a kernel that refuses them is told of
    /// in the log.
    pub(super) fn set<'a>(&self, networks: impl IntoIterator<Item = &'a Network>) {
        let Some(connection) = &self.connection else { return };
        let wanted = networks.into_iter().flat_map(policies).collect();
        if let Err(error) = self.exchange(connection, &wanted) {
            tracing::warn!(%error, "networks are open while the firewall's table is missing");
        }
    }

    fn exchange(&self, connection: &Connection, wanted: &BTreeSet<Policy>) -> Result<()> {
        let there = self.list(connection)?;
        for policy in there.difference(wanted) {
            connection.order(self.removal(policy)).or_else(gone)?;
        }
        for policy in wanted.difference(&there) {
            connection.order(self.addition(policy))?;
        }
        Ok(())
    }

    fn list(&self, connection: &Connection) -> Result<BTreeSet<Policy>> {
        let mut question = Message::new("list", "IPsec policies", GET_POLICY, 0);
        question.raw(&[0; SELECTOR + 8]);
        let found = connection.dump(&question, |answer| self.ours(&answer))?;
        Ok(found.into_iter().collect())
    }

    fn ours(&self, answer: &Received<'_>) -> Option<Policy> {
        let policy = answer.fixed::<POLICY>()?;
        let priority = policy.get(PRIORITY_AT..PRIORITY_AT + 4)?;
        let direction = policy[DIRECTION_AT];
        let is_ours = answer.kind == NEW_POLICY
            && priority == self.priority.to_ne_bytes()
            && [IN, FORWARD].contains(&direction);
        is_ours.then(|| policy.first_chunk().map(|selector| (direction, *selector))).flatten()
    }

    fn addition(&self, (direction, selector): &Policy) -> Message {
        let mut policy = [0; POLICY];
        policy[..SELECTOR].copy_from_slice(selector);
        // Four limits of bytes and packets: none.
        policy[SELECTOR..SELECTOR + 32].fill(0xff);
        policy[PRIORITY_AT..PRIORITY_AT + 4].copy_from_slice(&self.priority.to_ne_bytes());
        policy[DIRECTION_AT] = *direction;
        policy[DIRECTION_AT + 1] = BLOCK;
        let mut message = Message::new("add", "IPsec policy", UPDATE_POLICY, flags::CREATE);
        message.raw(&policy).bytes(MARK, &mark());
        message
    }

    fn removal(&self, (direction, selector): &Policy) -> Message {
        let mut message = Message::new("remove", "IPsec policy", DELETE_POLICY, 0);
        message.raw(selector).raw(&[0, 0, 0, 0, *direction, 0, 0, 0]).bytes(MARK, &mark());
        message
    }
}

fn gone(error: crate::Error) -> Result<()> {
    if error.errno() == Some(boxship_sys::Errno::NOENT) { Ok(()) } else { Err(error) }
}

/// `xfrm_mark`: the value, and the bits that count.
fn mark() -> [u8; 8] {
    let mut mark = [0; 8];
    mark[4..].copy_from_slice(&SEEN.to_ne_bytes());
    mark
}

/// Behind all that an administrator would write, different for each table (FNV-1a).
fn priority_of(table: &str) -> u32 {
    let hash =
        table.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash | 0x8000_0000
}

/// The policies of a network: what comes from its subnets and what goes to them is not forwarded, and what comes from
/// them is not taken in where the table would not let it.
fn policies(network: &Network) -> Vec<Policy> {
    let mut policies = Vec::new();
    for subnet in &network.subnets {
        let (from, to) = (selector(Some(subnet), None), selector(None, Some(subnet)));
        policies.extend([(FORWARD, from), (FORWARD, to)]);
        match subnet {
            _ if network.internal => policies.push((IN, from)),
            // IPv6's loopback has no way in.
            IpNet::V6(_) => {}
            IpNet::V4(_) => policies.push((IN, selector(Some(subnet), Some(&LOOPBACK)))),
        }
    }
    policies
}

/// Source and destination; one of them may be any, of the family of the other.
fn selector(source: Option<&IpNet>, destination: Option<&IpNet>) -> Selector {
    const FAMILY_AT: usize = 40;
    const PREFIX_AT: usize = 42;
    let mut selector = [0; SELECTOR];
    for (net, at, prefix_at) in [(destination, 0, PREFIX_AT), (source, 16, PREFIX_AT + 1)] {
        let Some(net) = net else { continue };
        let network: IpAddr = net.network();
        let address = bytes_of(network);
        selector[at..at + address.len()].copy_from_slice(&address);
        let family: u16 = if network.is_ipv4() { 2 } else { 10 };
        selector[FAMILY_AT..FAMILY_AT + 2].copy_from_slice(&family.to_ne_bytes());
        selector[prefix_at] = net.prefix_len();
    }
    selector
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn garbage_is_no_policy(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let last_resort = LastResort { connection: None, priority: 0 };
            let _ = last_resort.ours(&Received { kind: NEW_POLICY, flags: 0, sequence: 0, payload: &payload });
        }
    }
}
