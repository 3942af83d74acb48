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

use super::table::ADMITTED;
use crate::nft::batch::Batch;
use crate::nft::object::{Base, Chain, Change, Hook, Kind, TableFamily};
use crate::nft::rule::{Family, Rule};

/// Behind every filter (0) and source translation (100) of the host, before connection tracking confirms.
pub(super) const PRIORITY: i32 = 1000;
/// Any address will do to name the way out: the link alone decides. Both are link-local.
const VIA4: [u8; 4] = [169, 254, 0, 1];
const VIA6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

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
