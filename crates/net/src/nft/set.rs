//! Sets and maps: their types, and elements in the kernel's form.

use super::attribute::Attributes;
use super::rule::{Family, interface_name, value_of};

/// What a part of a key or value is. The numbers are nft's own: the kernel only keeps them for listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Interface,
    Address(Family),
    L4proto,
    Port,
}

impl Part {
    const fn number(self) -> u32 {
        match self {
            Part::Interface => 41,
            Part::Address(Family::V4) => 7,
            Part::Address(Family::V6) => 8,
            Part::L4proto => 12,
            Part::Port => 13,
        }
    }

    const fn bytes(self) -> u32 {
        match self {
            Part::Interface => 16,
            Part::Address(family) => family.bytes(),
            Part::L4proto => 1,
            Part::Port => 2,
        }
    }
}

/// A set, or a map when it has values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) key: Vec<Part>,
    /// Parts of the value; none: it is a set.
    pub(crate) value: Vec<Part>,
    /// Keys are ranges.
    pub(crate) interval: bool,
}

/// One element: a key, the end of its range in interval sets, a value in maps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Element {
    pub(crate) set: String,
    pub(crate) key: Vec<u8>,
    /// The last key of the range; where the key is one part only it is the first *after* the range, `None` for a range
    /// that reaches the end.
    pub(crate) end: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
}

/// nft packs the types of a concatenation in one number, six bits each.
fn type_of(parts: &[Part]) -> u32 {
    parts.iter().fold(0, |number, part| number << 6 | part.number())
}

fn length_of(parts: &[Part]) -> u32 {
    match parts {
        [one] => one.bytes(),
        many => many.iter().map(|part| part.bytes().next_multiple_of(4)).sum(),
    }
}

impl Set {
    const INTERVAL: u32 = 1 << 2;
    const MAP: u32 = 1 << 3;
    const CONCATENATION: u32 = 1 << 7;

    fn flags(&self) -> u32 {
        let interval = if self.interval { Self::INTERVAL } else { 0 };
        let map = if self.value.is_empty() { 0 } else { Self::MAP };
        let concatenation = if self.interval && self.key.len() > 1 { Self::CONCATENATION } else { 0 };
        interval | map | concatenation
    }

    /// Writes the attributes of NFT_MSG_NEWSET; `id` names the set within its transaction.
    pub(crate) fn write(&self, to: &mut Attributes, table: &str, id: u32) {
        to.text(1, table).text(2, &self.name).number(3, self.flags());
        to.number(4, type_of(&self.key)).number(5, length_of(&self.key));
        if !self.value.is_empty() {
            to.number(6, type_of(&self.value)).number(7, length_of(&self.value));
        }
        if self.interval && self.key.len() > 1 {
            to.nest(9, |description| {
                description.nest(2, |fields| {
                    for part in &self.key {
                        fields.nest(1, |field| {
                            field.number(1, part.bytes());
                        });
                    }
                });
            });
        }
        to.number(10, id);
        if self.key == [Part::Interface] {
            // Listings need to be told that names are not in network order: type, length, value of nft's user data.
            let mut host_order = vec![0_u8, 4];
            host_order.extend(1_u32.to_ne_bytes());
            to.bytes(13, &host_order);
        }
    }
}

impl Element {
    /// A member of a plain set.
    pub(crate) fn new(set: impl Into<String>, key: Vec<u8>) -> Self {
        Self { set: set.into(), key, end: None, value: Vec::new() }
    }

    /// Writes it as an item of NFTA_SET_ELEM_LIST_ELEMENTS. `whole`: with its value (an addition).
    /// A range of a one-part key is two items for the kernel.
    pub(crate) fn write(&self, list: &mut Attributes, whole: bool) {
        list.nest(1, |item| {
            item.nest(1, |key| value_of(key, &self.key));
            if whole && !self.value.is_empty() {
                item.nest(2, |value| value_of(value, &self.value));
            }
            if let Some(end) = self.end.as_ref().filter(|_| !self.is_one_address()) {
                item.nest(10, |key| value_of(key, end));
            }
        });
        if let Some(end) = self.end.as_ref().filter(|_| self.is_one_address()) {
            list.nest(1, |item| {
                item.nest(1, |key| value_of(key, end)).number(3, 1);
            });
        }
    }

    /// Whether the key is a bare address; of the house's interval sets only these have one part.
    fn is_one_address(&self) -> bool {
        matches!(self.key.len(), 4 | 16)
    }
}

/// Joins the parts of a concatenated key or value: each padded to four bytes.
#[derive(Debug, Default)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a part.
    pub(crate) fn part(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an interface's name.
    pub(crate) fn interface(self, name: &str) -> Self {
        self.part(&interface_name(name))
    }

    /// Adds a port.
    pub(crate) fn port(self, port: u16) -> Self {
        self.part(&port.to_be_bytes())
    }

    /// The bytes.
    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_padded_and_types_packed() {
        assert_eq!(Key::new().part(&[6]).port(80).done(), [6, 0, 0, 0, 0, 80, 0, 0]);
        assert_eq!(type_of(&[Part::L4proto, Part::Port]), 12 << 6 | 13);
        assert_eq!(length_of(&[Part::L4proto, Part::Port]), 8);
        assert_eq!(length_of(&[Part::Port]), 2);
        assert_eq!(length_of(&[Part::Interface, Part::Address(Family::V6)]), 32);
    }
}
