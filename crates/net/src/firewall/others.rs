//! Whom a host that forwarded nothing before us goes on not forwarding for: links that were there when we turned
//! forwarding on.
//!
//! Links that programs make later (another container engine's bridge, a VPN's tunnel) are their makers' business: they
//! find forwarding on and count on it. Hardware that comes later is guarded too: the rule tells it by its kind, see
//! [`super::table`].

use std::collections::{BTreeMap, BTreeSet};

use boxship_sys::Errno;

use super::table::{self, BRIDGED, GUARDED, of};
use crate::Result;
use crate::link::{self, Interface};
use crate::netlink::Connection;
use crate::nft::object::TableFamily;
use crate::nft::read;
use crate::nft::rule::Family;
use crate::nft::set::{Element, Key};

/// Beginning of the alias that links of every daemon of this kind bear: they have guards of their own.
const MARK: &str = "boxship:";

/// What is guarded, for each family that was not forwarded before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    /// Links among which nothing is forwarded.
    links: BTreeMap<Family, BTreeSet<String>>,
    /// Those of them that are bridges: frames among their own ports come by the forward hook too (br_netfilter).
    bridges: BTreeSet<String>,
}

impl Others {
    /// What an earlier daemon left in its table.
    pub(super) fn read(netfilter: &Connection, table: &str) -> Result<Self> {
        let mut others = Self::default();
        let Some(parts) = read::fixed_parts(netfilter, TableFamily::Inet, table)? else { return Ok(others) };
        let names = |set: &str| -> Result<BTreeSet<String>> {
            let items = read::items(netfilter, TableFamily::Inet, table, set)?;
            Ok(items.iter().filter_map(|(key, ..)| name_of(key)).collect())
        };
        let read = |others: &mut Self| -> Result<()> {
            for family in table::guarded(&parts) {
                others.links.insert(family, names(&of(GUARDED, family))?);
            }
            if others.any() {
                others.bridges = names(BRIDGED)?;
            }
            Ok(())
        };
        match read(&mut others) {
            // Another version's table: ours takes its place, whatever it held.
            Err(error) if error.errno() == Some(Errno::NOENT) => Ok(Self::default()),
            done => done.map(|()| others),
        }
    }

    /// Begins to guard a family, if it isn't guarded yet: all links but those that are ours.
    pub(super) fn guard(
        &mut self,
        family: Family,
        links: &Connection,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<()> {
        if self.links.contains_key(&family) {
            return Ok(());
        }
        let marked = |link: &Interface| link.alias.starts_with(MARK);
        let mut there = link::interfaces(links)?;
        there.retain(|link| link.name != "lo" && !is_ours(&link.name) && !marked(link));
        self.bridges.extend(there.iter().filter(|link| link.kind == "bridge").map(|link| link.name.clone()));
        self.links.insert(family, there.into_iter().map(|link| link.name).collect());
        Ok(())
    }

    /// The guarded families.
    pub(super) fn families(&self) -> BTreeSet<Family> {
        self.links.keys().copied().collect()
    }

    /// Whether anything is guarded.
    pub(super) fn any(&self) -> bool {
        !self.links.is_empty()
    }

    /// The elements that say so.
    pub(super) fn elements(&self) -> Vec<Element> {
        let link = |name: &String| Key::new().interface(name);
        let of_family = |(family, names): (&Family, &BTreeSet<String>)| -> Vec<Element> {
            let set = of(GUARDED, *family);
            names.iter().map(|name| Element::new(&*set, link(name).done())).collect()
        };
        let mut elements: Vec<Element> = self.links.iter().flat_map(of_family).collect();
        let pair = |name: &String| Element::new(BRIDGED, link(name).interface(name).done());
        elements.extend(self.bridges.iter().map(pair));
        elements
    }
}

/// The first name in a key.
fn name_of(key: &[u8]) -> Option<String> {
    let name = key.get(..16)?.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        for name in ["eth0", "a-name-of-15-by"] {
            assert_eq!(name_of(&Key::new().interface(name).done()).as_deref(), Some(name));
            assert_eq!(name_of(&Key::new().interface(name).interface("x").done()).as_deref(), Some(name));
        }
        for garbage in [&[][..], &[0; 16], b"short", &[0xff; 16]] {
            assert_eq!(name_of(garbage), None);
        }
    }
}
