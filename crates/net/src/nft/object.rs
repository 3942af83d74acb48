//! The messages of a transaction: each becomes one netlink message of the batch.

use super::attribute::Attributes;
use super::rule::Rule;
use super::set::{Element, Set};

/// Where a chain hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Hook {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// What kind of chain it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Filter,
    Nat,
}

/// A chain that the kernel calls by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) kind: Kind,
    pub(crate) hook: Hook,
    pub(crate) priority: i32,
}

/// A chain with its rules; without a base it is only jumped to.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) base: Option<Base>,
    pub(crate) rules: Vec<Rule>,
}

/// A table's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TableFamily {
    Inet = 1,
    Ip = 2,
    Ip6 = 10,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Change<'a> {
    /// The table is there afterwards, whatever it was.
    AddTable,
    /// The table and all in it goes; it has to be there.
    DeleteTable,
    /// A set or map; the number tells it apart within the transaction.
    AddSet(&'a Set, u32),
    /// A chain without its rules.
    AddChain(&'a Chain),
    /// A rule at the end of its chain.
    AddRule(&'a str, &'a Rule),
    /// Elements of one set. They must not be there yet.
    AddElements(&'a [Element]),
    /// Elements of one set. They must be there.
    DeleteElements(&'a [Element]),
}

const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;
const APPEND: u16 = 0x800;

impl Change<'_> {
    /// The message's number and its flags.
    pub(super) fn number(&self) -> (u16, u16) {
        match self {
            Change::AddTable => (0, CREATE),
            Change::DeleteTable => (2, 0),
            Change::AddChain(_) => (3, CREATE),
            Change::AddRule(..) => (6, CREATE | APPEND),
            Change::AddSet(..) => (9, CREATE),
            Change::AddElements(_) => (12, CREATE | EXCLUSIVE),
            Change::DeleteElements(_) => (14, 0),
        }
    }

    /// Writes the message's attributes.
    pub(super) fn write(&self, to: &mut Attributes, table: &str) {
        match self {
            Change::AddTable => {
                to.text(1, table).number(2, 0);
            }
            Change::DeleteTable => {
                to.text(1, table);
            }
            Change::AddSet(set, id) => set.write(to, table, *id),
            Change::AddChain(chain) => write_chain(to, table, chain),
            Change::AddRule(chain, rule) => write_rule(to, table, chain, rule),
            Change::AddElements(elements) => write_elements(to, table, elements, true),
            Change::DeleteElements(elements) => write_elements(to, table, elements, false),
        }
    }
}

fn write_chain(to: &mut Attributes, table: &str, chain: &Chain) {
    const ACCEPT: u32 = 1;
    to.text(1, table).text(3, chain.name);
    let Some(base) = chain.base else { return };
    to.nest(4, |hook| {
        hook.number(1, base.hook as u32).bytes(2, &base.priority.to_be_bytes());
    });
    to.number(5, ACCEPT).text(7, if base.kind == Kind::Nat { "nat" } else { "filter" });
}

fn write_rule(to: &mut Attributes, table: &str, chain: &str, rule: &Rule) {
    to.text(1, table).text(2, chain);
    to.nest(4, |list| list.0.extend(&rule.expressions.0));
    if let Some(comment) = rule.comment {
        // nft's user data: type 0 (comment), length, text with NUL.
        let mut data = vec![0, comment.len() as u8 + 1];
        data.extend(comment.bytes());
        data.push(0);
        to.bytes(7, &data);
    }
}

fn write_elements(to: &mut Attributes, table: &str, elements: &[Element], whole: bool) {
    to.text(1, table).text(2, elements.first().map_or("", |element| &element.set));
    to.nest(3, |list| {
        for element in elements {
            element.write(list, whole);
        }
    });
}
