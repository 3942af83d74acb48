//! Pieces of nftables messages that are made before their message: lists of attributes as nfnetlink wants them, numbers
//! in network byte order, text with its NUL, nesting flagged.

const NESTED: u16 = 1 << 15;
const HEADER: usize = 4;

/// A list of attributes being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(pub(crate) Vec<u8>);

impl Attributes {
    /// Adds one with these bytes. The callers' values are bounded far below the 64 KiB that a length can tell.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = (HEADER + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.pad();
        self
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds text.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Adds a list of attributes.
    pub(crate) fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Attributes)) -> &mut Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind | NESTED).to_ne_bytes());
        write(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attributes;

    #[test]
    fn what_was_written_is_read() {
        let mut written = Attributes::default();
        written.text(1, "abc").number(2, 7).nest(3, |inner| {
            inner.bytes(1, &[1, 2, 3, 4, 5]);
        });
        let read = attributes(&written.0);
        assert_eq!(read.find(1).unwrap().text(), Some("abc"));
        assert_eq!(read.find(2).unwrap().be32(), Some(7));
        assert_eq!(read.find(3).unwrap().nested().find(1).unwrap().payload, [1, 2, 3, 4, 5]);
    }
}
