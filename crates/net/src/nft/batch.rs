//! Transactions: the kernel applies a batch whole or not at all.
//!
//! The generation number of the ruleset is not sent along: changes name what must or must not be there already
//! (`ENOENT`, `EEXIST`), so another program's change in between does no harm and costs no second attempt.

use super::attribute::Attributes;
use super::object::{Change, TableFamily};
use super::set::Element;
use crate::Result;
use crate::netlink::{Connection, Message, flags};

/// Elements of one message: their list has to stay below 64 KiB, and the largest element has about 100 bytes.
const ELEMENTS_AT_ONCE: usize = 400;
const BEGIN: u16 = 16;
const END: u16 = 17;
/// nfnetlink's number of nftables.
pub(crate) const SUBSYSTEM: u16 = 10;

/// A transaction being written, all of it about tables of one name.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Whose table the next changes are about.
    pub(crate) family: TableFamily,
    table: &'a str,
    messages: Vec<Message>,
}

impl<'a> Batch<'a> {
    /// An empty one.
    pub(crate) fn new(family: TableFamily, table: &'a str) -> Self {
        let mut batch = Self { family, table, messages: Vec::new() };
        batch.edge(BEGIN);
        batch
    }

    /// Adds a change.
    pub(crate) fn change(&mut self, change: &Change<'_>) {
        let (number, flags) = change.number();
        let mut message = self.message(SUBSYSTEM << 8 | number, flags);
        let mut attributes = Attributes::default();
        change.write(&mut attributes, self.table);
        message.raw(&[self.family as u8, 0, 0, 0]).raw(&attributes.0);
        self.messages.push(message);
    }

    /// Adds or deletes elements of any sets (those of one set together), in as many messages as they need.
    pub(crate) fn elements(&mut self, elements: &[Element], add: bool) {
        for of_one_set in elements.chunk_by(|a, b| a.set == b.set) {
            for part in of_one_set.chunks(ELEMENTS_AT_ONCE) {
                let change = if add { Change::AddElements(part) } else { Change::DeleteElements(part) };
                self.change(&change);
            }
        }
    }

    /// Has the kernel apply it.
    pub(crate) fn commit(mut self, connection: &Connection) -> Result<()> {
        if self.messages.len() == 1 {
            return Ok(());
        }
        if let Some(last) = self.messages.last_mut() {
            last.add_flags(flags::ACK);
        }
        self.edge(END);
        connection.batch(&mut self.messages)
    }

    fn edge(&mut self, kind: u16) {
        let mut message = self.message(kind, 0);
        let subsystem = SUBSYSTEM.to_be_bytes();
        message.raw(&[0, 0, subsystem[0], subsystem[1]]);
        self.messages.push(message);
    }

    fn message(&self, kind: u16, flags: u16) -> Message {
        let family = if self.family == TableFamily::Inet { "inet" } else { "ip" };
        Message::new("change", format!("table {family} {}", self.table), kind, flags)
    }
}
