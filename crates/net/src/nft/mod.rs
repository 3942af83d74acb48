//! nftables over netlink: tables, chains, rules, sets and their elements, written as the kernel reads them, and enough
//! of a reader to see what is there. `nft` is never called; it is the oracle of the tests.
//!
//! It knows the kernel's format and nothing of containers: what the table should hold is [`crate::firewall`]'s.

pub(crate) mod attribute;
pub(crate) mod batch;
mod family;
pub(crate) mod object;
pub(crate) mod read;
pub(crate) mod rule;
pub(crate) mod set;
