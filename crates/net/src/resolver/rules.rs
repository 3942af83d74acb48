//! The rules inside a container's namespace that bring port 53 of 127.0.0.11 to the resolver's own sockets.
//!
//! One table with one chain. Answers need no rule of their own: the kernel remembers each exchange for longer than the
//! resolver ever takes, and gives the answer the address that was asked.

use boxship_sys::netlink::Protocol;

use super::{ADDRESS, PORT};
use crate::Result;
use crate::netlink::{Connection, Message};
use crate::nft::attribute::Attributes;
use crate::nft::batch::{Batch, SUBSYSTEM};
use crate::nft::object::{Base, Chain, Change, Hook, Kind, TableFamily};
use crate::nft::rule::{Family, Field, Rule};

/// The table for the usual port, which is the same in every namespace and after every restart.
const USUAL: &str = "boxship-names";
/// The table for any other port.
const UNUSUAL: &str = "boxship-names-moved";
const CHAIN: &str = "output";
/// nft's `dstnat`.
const BEFORE_FILTERS: i32 = -100;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DOMAIN: u16 = 53;

/// Makes them in the namespace of the calling thread, in place of those of a resolver before.
///
/// The kernel takes many milliseconds over whatever is deleted, and over a change that it refuses. So it is asked
/// first: in a new namespace there is nothing to delete, and after a restart all is as it should be.
pub(super) fn redirect(udp: u16, tcp: u16) -> Result<()> {
    let connection = Connection::open(Protocol::Netfilter)?;
    let usual = (udp, tcp) == (PORT, PORT);
    let kept = usual && exists(&connection, USUAL)?;
    for table in [USUAL, UNUSUAL] {
        if !(kept && table == USUAL) && exists(&connection, table)? {
            delete(&connection, table)?;
        }
    }
    if kept { Ok(()) } else { make(&connection, if usual { USUAL } else { UNUSUAL }, &chain(udp, tcp)) }
}

fn exists(connection: &Connection, table: &str) -> Result<bool> {
    const GET_TABLE: u16 = 1;
    const NAME: u16 = 1;
    let mut name = Attributes::default();
    name.text(NAME, table);
    let mut question = Message::new("find", format!("table ip {table}"), SUBSYSTEM << 8 | GET_TABLE, 0);
    question.raw(&[TableFamily::Ip as u8, 0, 0, 0]).raw(&name.0);
    Ok(connection.ask(&question, |_| Some(()))?.is_some())
}

fn delete(connection: &Connection, table: &str) -> Result<()> {
    let mut batch = Batch::new(TableFamily::Ip, table);
    batch.change(&Change::DeleteTable);
    batch.commit(connection)
}

fn make(connection: &Connection, table: &str, chain: &Chain) -> Result<()> {
    let mut batch = Batch::new(TableFamily::Ip, table);
    batch.change(&Change::AddTable);
    batch.change(&Change::AddChain(chain));
    for rule in &chain.rules {
        batch.change(&Change::AddRule(CHAIN, rule));
    }
    batch.commit(connection)
}

fn chain(udp: u16, tcp: u16) -> Chain {
    let base = Base { kind: Kind::Nat, hook: Hook::Output, priority: BEFORE_FILTERS };
    Chain { name: CHAIN, base: Some(base), rules: vec![rule(UDP, udp), rule(TCP, tcp)] }
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
        let ports = [(1053, 2053), (1054, 2054), (PORT, PORT), (PORT, PORT), (1055, 2055)];
        let listed = std::thread::spawn(move || {
            boxship_sys::namespace::unshare(boxship_sys::namespace::Kind::Network.flag()).unwrap();
            ports.map(|(udp, tcp)| {
                redirect(udp, tcp).unwrap();
                let output = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
                String::from_utf8(output.stdout).unwrap()
            })
        });
        for ((udp, tcp), listed) in ports.into_iter().zip(listed.join().unwrap()) {
            let table = if udp == PORT { USUAL } else { UNUSUAL };
            let wanted = format!(
                "table ip {table} {{\n\tchain output {{\n\t\ttype nat hook output priority -100; policy accept;\n\
                 \t\tip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:{udp}\n\
                 \t\tip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:{tcp}\n\t}}\n}}\n"
            );
            assert_eq!(listed, wanted);
        }
    }
}
