//! Links that macvlan and ipvlan networks sit on, where they are ours to make: a VLAN of another link, or a dummy that
//! leads nowhere. What is there already is used as it is.

use boxship_sys::Errno;

use super::Parent;
use crate::netlink::{Connection, Message};
use crate::rtnetlink::link::{self, IFLA_IFALIAS, IFLA_LINK};
use crate::{Error, Result};

const IFLA_VLAN_ID: u16 = 1;

/// What a link is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentKind {
    /// The tagged frames of another link.
    Vlan {
        /// That link.
        of: String,
        /// The tag, 1 to 4094.
        id: u16,
    },
    /// Nothing: what is sent there is lost.
    Dummy,
}

pub(super) fn ensure(connection: &Connection, parent: &Parent) -> Result<()> {
    link::check_name(&parent.name)?;
    match link::by_name(connection, &parent.name)? {
        Some(link) if link.alias == parent.alias && !link.up => {
            connection.order(link::change(&parent.name, Some(true)))
        }
        Some(_) => Ok(()),
        None => make(connection, parent),
    }
}

/// Made, marked and brought up in one datagram: the kernel reads it to the end, so that no death of ours leaves a link
/// without its mark.
fn make(connection: &Connection, parent: &Parent) -> Result<()> {
    let creation = match &parent.kind {
        ParentKind::Dummy => dummy(&parent.name),
        ParentKind::Vlan { of, id } => {
            let missing = || Error::Invalid(format!("-o parent interface was not found on the host: {of}"));
            vlan(&parent.name, link::by_name(connection, of)?.ok_or_else(missing)?.index, *id)
        }
    };
    let mut marked = link::change(&parent.name, Some(true));
    marked.bytes(IFLA_IFALIAS, parent.alias.as_bytes());
    let (at, error) = match connection.batch_indexed(&mut [creation, marked])? {
        None => return Ok(()),
        Some(failed) => failed,
    };
    match error.errno() {
        // Made meanwhile by somebody who wanted the same.
        Some(Errno::EXIST) if at == 0 => Ok(()),
        Some(Errno::OPNOTSUPP) if at == 0 => {
            Err(Error::Invalid(format!("kernel does not support {} interfaces", parent.kind.name())))
        }
        _ if at == 0 => Err(error),
        _ => {
            if let Err(error) = super::remove(connection, &parent.name) {
                tracing::warn!(interface = parent.name, %error, "half-made interface not removed");
            }
            Err(error)
        }
    }
}

impl ParentKind {
    /// The kernel's word for it.
    fn name(&self) -> &'static str {
        match self {
            Self::Vlan { .. } => "vlan",
            Self::Dummy => "dummy",
        }
    }
}

fn vlan(name: &str, of: u32, id: u16) -> Message {
    let mut message = link::create(name, "vlan", |data| {
        data.u16(IFLA_VLAN_ID, id);
    });
    message.u32(IFLA_LINK, of);
    message
}

fn dummy(name: &str) -> Message {
    link::create(name, "dummy", |_| {})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Links, Parent};
    use super::*;
    use crate::netlink::{Received, attributes, messages};
    use crate::scratch::{in_namespace, ip};

    /// What `ip link add link eth0 name eth0.50 type vlan id 50` of iproute2 6.1 sends where eth0 has the index 3.
    const IPROUTE2_VLAN: &str = "4c00000010000506000000000000000000000000000000000000000000000000\
        0800050003000000\
        0c00030065746830 2e353000\
        18001200 08000100766c616e 0c000200 0600010032000000";
    /// `ip link add name dm-0123456789ab type dummy`.
    const IPROUTE2_DUMMY: &str = "4400000010000506000000000000000000000000000000000000000000000000\
        14000300646d2d303132333435363738396162 00\
        10001200 0900010064756d6d79000000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    /// A message's attributes, however they are ordered: the kernel looks them up by kind. Bits that say that one
    /// nests, and the zero at the end of a text, are as good left out.
    fn meaning(message: &Received<'_>) -> BTreeMap<Vec<u16>, Vec<u8>> {
        let mut told = BTreeMap::new();
        for attribute in message.attributes(16) {
            match attribute.kind {
                18 => {
                    for inner in attribute.nested() {
                        match inner.kind {
                            2 => told.extend(
                                attributes(inner.payload).map(|a| (vec![18, 2, a.kind], a.payload.to_vec())),
                            ),
                            kind => drop(told.insert(vec![18, kind], text(inner.payload))),
                        }
                    }
                }
                kind => drop(told.insert(vec![kind], text(attribute.payload))),
            }
        }
        told
    }

    fn text(payload: &[u8]) -> Vec<u8> {
        payload
            .strip_suffix(&[0])
            .filter(|text| text.is_ascii() && text.len() > 3)
            .unwrap_or(payload)
            .to_vec()
    }

    #[test]
    fn links_are_asked_for_as_the_usual_tool_does() {
        for (ours, theirs) in [
            (vlan("eth0.50", 3, 50).encoded(), bytes(IPROUTE2_VLAN)),
            (dummy("dm-0123456789ab").encoded(), bytes(IPROUTE2_DUMMY)),
        ] {
            let mut ours = messages(&ours);
            let (ours, theirs) = (ours.next().unwrap(), messages(&theirs).next().unwrap());
            // It asks for an acknowledgement at once, we do when it is sent.
            assert_eq!((ours.kind, ours.flags | 4), (theirs.kind, theirs.flags));
            assert_eq!(ours.payload[..16], theirs.payload[..16]);
            assert_eq!(meaning(&ours), meaning(&theirs));
            assert!(meaning(&ours).len() >= 2);
        }
    }

    fn parent(name: &str, kind: ParentKind) -> Parent {
        Parent { name: name.into(), alias: format!("boxship:test:parent:{name}"), kind }
    }

    /// Not every kernel has these kinds: then nothing is left, and it is said.
    #[test]
    fn parents_are_made_whole_or_not_at_all() {
        in_namespace(|| {
            let links = Links::open().unwrap();
            ip("link add up0 type veth peer name up1");
            ip("link set up0 up");
            for wanted in [
                parent("up0.50", ParentKind::Vlan { of: "up0".into(), id: 50 }),
                parent("dm-0123456789ab", ParentKind::Dummy),
            ] {
                match links.ensure_parent(&wanted) {
                    Ok(()) => {
                        links.ensure_parent(&wanted).unwrap();
                        assert_eq!(links.mark(&wanted.name).unwrap(), Some(wanted.alias.clone()));
                        let told = ip(&format!("-d link show {}", wanted.name));
                        assert!(told.contains(wanted.kind.name()) && told.contains("UP"), "{told}");
                    }
                    Err(error) => {
                        let expect = format!("kernel does not support {} interfaces", wanted.kind.name());
                        assert_eq!(error.to_string(), expect);
                        assert!(!links.exists(&wanted.name).unwrap());
                    }
                }
            }
            let lost = parent("up7.50", ParentKind::Vlan { of: "up7".into(), id: 50 });
            let error = links.ensure_parent(&lost).unwrap_err();
            assert_eq!(error.to_string(), "-o parent interface was not found on the host: up7");
        });
    }

    #[test]
    fn a_link_that_is_there_is_used_as_it_is() {
        in_namespace(|| {
            let links = Links::open().unwrap();
            // The names are all that matters here.
            ip("link add up0.50 type bridge");
            ip("link add up0.51 type bridge");
            let vlan = |id| parent(&format!("up0.{id}"), ParentKind::Vlan { of: "up0".into(), id });
            links.ensure_parent(&vlan(50)).unwrap();
            assert_eq!(links.mark("up0.50").unwrap().as_deref(), Some(""));
            ip("link set up0.51 alias boxship:test:parent:up0.51");
            links.ensure_parent(&vlan(51)).unwrap();
            let up = |name: &str| links.interfaces().unwrap().iter().any(|link| link.name == name && link.up);
            assert!(!up("up0.50"), "the administrator's");
            assert!(up("up0.51"), "ours is brought up again");
        });
    }
}
