//! The rules inside a container's namespace that bring port 53 of 127.0.0.11 to the resolver's own sockets.
//!
//! One table of one chain. Answers need no rule of their own: the kernel remembers each exchange for longer than the
//! resolver ever takes, and gives the answer the address that was asked.

use boxship_sys::netlink::Protocol;

use super::ADDRESS;
use crate::Result;
use crate::netlink::Connection;
use crate::nft::batch::Batch;
use crate::nft::object::{Base, Chain, Change, Hook, Kind, TableFamily};
use crate::nft::rule::{Family, Field, Rule};

const TABLE: &str = "boxship-names";
const CHAIN: &str = "output";
/// nft's `dstnat`.
const BEFORE_FILTERS: i32 = -100;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DOMAIN: u16 = 53;

/// Makes them in the namespace of the calling thread, in place of those of a resolver before.
pub(super) fn redirect(udp: u16, tcp: u16) -> Result<()> {
    let base = Base { kind: Kind::Nat, hook: Hook::Output, priority: BEFORE_FILTERS };
    let rules = vec![rule(UDP, udp), rule(TCP, tcp)];
    let chain = Chain { name: CHAIN, base: Some(base), rules };
    let mut batch = Batch::new(TableFamily::Ip, TABLE);
    // It can only be deleted when it is there: adding it first makes sure.
    for change in [Change::AddTable, Change::DeleteTable, Change::AddTable, Change::AddChain(&chain)] {
        batch.change(&change);
    }
    for rule in &chain.rules {
        batch.change(&Change::AddRule(CHAIN, rule));
    }
    batch.commit(&Connection::open(Protocol::Netfilter)?)
}

fn rule(protocol: u8, port: u16) -> Rule {
    Rule::new()
        .equals(Field::Destination(Family::V4), &ADDRESS.octets())
        .equals(Field::L4proto, &[protocol])
        .equals(Field::DestinationPort, &DOMAIN.to_be_bytes())
        .dnat_to_port(Family::V4, &ADDRESS.octets(), port)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// In a namespace of its own, listed by nft.
    #[test]
    fn rules_replace_those_before() {
        let listed = std::thread::spawn(|| {
            boxship_sys::namespace::unshare(boxship_sys::namespace::Kind::Network.flag()).unwrap();
            redirect(1, 2).unwrap();
            redirect(1053, 2053).unwrap();
            let output = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        });
        assert_eq!(
            listed.join().unwrap(),
            "table ip boxship-names {\n\tchain output {\n\t\ttype nat hook output priority -100; policy accept;\n\
             \t\tip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:1053\n\
             \t\tip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:2053\n\t}\n}\n"
        );
    }
}
