//! Reading what the kernel has: base chains of everybody, our own table, and who changed something.

use super::batch::SUBSYSTEM;
use super::object::TableFamily;
use crate::Result;
use crate::netlink::{Attributes, Connection, Message, Received};

const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
const GET_CHAIN: u16 = SUBSYSTEM << 8 | 4;
const GET_RULE: u16 = SUBSYSTEM << 8 | 7;
const GET_ELEMENTS: u16 = SUBSYSTEM << 8 | 13;
const NEW_GENERATION: u16 = 15;
/// Length of `struct nfgenmsg`, which begins every message.
const FIXED: usize = 4;

/// A chain that the kernel calls by itself, anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseChain {
    /// `ip`, `ip6`, `inet`, ….
    pub(crate) family: &'static str,
    pub(crate) table: String,
    pub(crate) name: String,
    /// `filter`, `nat` or `route`.
    pub(crate) kind: String,
    /// The kernel's number of the hook.
    pub(crate) hook: u32,
    pub(crate) priority: i32,
    /// What no rule decides is dropped.
    pub(crate) drops: bool,
}

/// The base chains of all tables.
pub(crate) fn base_chains(connection: &Connection) -> Result<Vec<BaseChain>> {
    let mut question = Message::new("list", "chains", GET_CHAIN, 0);
    question.raw(&[0; FIXED]);
    connection.dump(&question, |answer| base_chain(&answer))
}

fn base_chain(answer: &Received<'_>) -> Option<BaseChain> {
    let chain = answer.attributes(FIXED);
    let hook = chain.find(4)?.nested();
    Some(BaseChain {
        family: family_name(*answer.payload.first()?),
        table: text(chain, 1)?,
        name: text(chain, 3)?,
        kind: text(chain, 7).unwrap_or_default(),
        hook: hook.find(1)?.be32()?,
        priority: i32::from_be_bytes(hook.find(2)?.array()?),
        drops: chain.find(5).and_then(|policy| policy.be32()) == Some(0),
    })
}

fn family_name(number: u8) -> &'static str {
    match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    }
}

fn text(attributes: Attributes<'_>, kind: u16) -> Option<String> {
    attributes.find(kind)?.text().map(str::to_owned)
}

/// Table, chains and rules of one table as the kernel tells them, in its order: equal as long as nobody changed them.
/// `None`: there is no such table.
pub(crate) fn fixed_parts(
    connection: &Connection,
    family: TableFamily,
    table: &str,
) -> Result<Option<Vec<Vec<u8>>>> {
    let question = |kind| {
        let mut question = Message::new("look at", format!("table {table}"), kind, 0);
        question.raw(&[family as u8, 0, 0, 0]).text(1, table);
        question
    };
    // The fixed part carries the number of the generation, which changes with everybody's changes.
    let whole = |answer: &Received<'_>| answer.payload.get(FIXED..).map(<[u8]>::to_vec);
    let Some(head) = connection.ask(&question(GET_TABLE), |answer| whole(&answer))? else { return Ok(None) };
    let mut parts = vec![head];
    for kind in [GET_CHAIN, GET_RULE] {
        parts.extend(connection.dump(&question(kind), |answer| {
            let is_ours = answer.attributes(FIXED).find(1)?.text() == Some(table);
            is_ours.then(|| whole(&answer)).flatten()
        })?);
    }
    Ok(Some(parts))
}

/// Whether a table has a chain of that name.
pub(crate) fn has_chain(
    connection: &Connection,
    family: TableFamily,
    table: &str,
    chain: &str,
) -> Result<bool> {
    let mut question = Message::new("look at", format!("chain {chain} of table {table}"), GET_CHAIN, 0);
    question.raw(&[family as u8, 0, 0, 0]).text(1, table).text(3, chain);
    Ok(connection.ask(&question, |_| Some(()))?.is_some())
}

/// The rules of a table as the kernel tells them.
pub(crate) fn rules(connection: &Connection, family: TableFamily, table: &str) -> Result<Vec<Vec<u8>>> {
    let mut question = Message::new("list", format!("rules of table {table}"), GET_RULE, 0);
    question.raw(&[family as u8, 0, 0, 0]).text(1, table);
    connection.dump(&question, |answer| {
        let is_asked = answer.attributes(FIXED).find(1)?.text() == Some(table);
        is_asked.then(|| answer.payload.get(FIXED..).map(<[u8]>::to_vec)).flatten()
    })
}

/// An item of a set as the kernel tells it: key, end of its range, value, flags.
pub(crate) type Item = (Vec<u8>, Option<Vec<u8>>, Vec<u8>, u32);

/// The items of a set, sorted.
pub(crate) fn items(
    connection: &Connection,
    family: TableFamily,
    table: &str,
    set: &str,
) -> Result<Vec<Item>> {
    let mut question = Message::new("list", format!("elements of {set}"), GET_ELEMENTS, 0);
    question.raw(&[family as u8, 0, 0, 0]).text(1, table).text(2, set);
    let lists = connection.dump(&question, |answer| Some(items_of(&answer)))?;
    let mut items: Vec<Item> = lists.into_iter().flatten().collect();
    items.sort();
    Ok(items)
}

fn items_of(answer: &Received<'_>) -> Vec<Item> {
    let Some(list) = answer.attributes(FIXED).find(3) else { return Vec::new() };
    list.nested().filter_map(|item| item_of(item.nested())).collect()
}

/// Reads an item, of a list of the kernel's or one that was written for it.
pub(crate) fn item_of(item: Attributes<'_>) -> Option<Item> {
    let bytes = |kind| item.find(kind)?.nested().find(1).map(|value| value.payload.to_vec());
    let flags = item.find(3).and_then(|flags| flags.be32()).unwrap_or(0);
    Some((bytes(1)?, bytes(10), bytes(2).unwrap_or_default(), flags))
}

/// What a notification tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Something of a table of this name was changed.
    Changed(String),
    /// The transaction is over; by whom it was.
    Done {
        /// The process.
        process: u32,
        /// Its name.
        name: String,
    },
}

/// Reads a notification.
pub(crate) fn notice(message: &Received<'_>) -> Option<Notice> {
    if message.kind >> 8 != SUBSYSTEM {
        return None;
    }
    let attributes = message.attributes(FIXED);
    if message.kind & 0xff != NEW_GENERATION {
        return text(attributes, 1).map(Notice::Changed);
    }
    let process = attributes.find(2).and_then(|process| process.be32()).unwrap_or(0);
    Some(Notice::Done { process, name: text(attributes, 3).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn garbage_never_panics(payload in proptest::collection::vec(any::<u8>(), 0..200), low in 0_u16..32) {
            let message = Received { kind: SUBSYSTEM << 8 | low, flags: 0, sequence: 0, payload: &payload };
            let _ = (base_chain(&message), items_of(&message), notice(&message));
        }
    }
}
