//! Writing a netlink message: header, the family's fixed part, attributes that may nest. Numbers are the machine's
//! own byte order unless a method says big-endian (nftables wants that nearly everywhere).

/// Flags of a message's header.
#[allow(missing_docs)] // the kernel's own names: NLM_F_*
pub mod flags {
    pub const REQUEST: u16 = 0x1;
    pub const ACK: u16 = 0x4;
    pub const DUMP_INTR: u16 = 0x10;
    pub const ROOT: u16 = 0x100;
    pub const MATCH: u16 = 0x200;
    pub const DUMP: u16 = ROOT | MATCH;
    pub const REPLACE: u16 = 0x100;
    pub const EXCL: u16 = 0x200;
    pub const CREATE: u16 = 0x400;
    pub const APPEND: u16 = 0x800;
    /// In an error of the kernel: the request is not repeated in it.
    pub const CAPPED: u16 = 0x100;
    /// In an error of the kernel: attributes with its words follow.
    pub const ACK_TLVS: u16 = 0x200;
}

/// Length of a message's header.
pub(super) const HEADER: usize = 16;
/// Bit of an attribute's kind: its payload is attributes.
const NESTED: u16 = 0x8000;

/// A message for the kernel, with the words an error about it is told in.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    overlong: bool,
    pub(super) operation: &'static str,
    pub(super) object: String,
}

impl Message {
    /// A message of a kind (`RTM_*`, or subsystem and `NFT_MSG_*`) with flags; `REQUEST` is added. `operation` (a
    /// verb) and `object` are for errors: "add address" "10.0.0.1/24 to eth0".
    pub fn new(operation: &'static str, object: impl Into<String>, kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend([0; 4]); // the length, filled in when it is sent
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | flags::REQUEST).to_ne_bytes());
        bytes.extend([0; 8]); // the sequence number, filled in when it is sent; the port, which the kernel knows
        Self { bytes, overlong: false, operation, object: object.into() }
    }

    /// Appends bytes as they are, padded to four: the fixed part of a family's messages.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.nest_raw(kind, |message| message.bytes.extend(value))
    }

    /// Appends an attribute without a value.
    pub fn flag(&mut self, kind: u16) -> &mut Self {
        self.bytes(kind, &[])
    }

    /// Appends a number.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends a number.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number.
    pub fn u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a big-endian number.
    pub fn be16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a big-endian number.
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a big-endian number.
    pub fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a text with its final zero.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.nest_raw(kind, |message| {
            message.bytes.extend(value.as_bytes());
            message.bytes.push(0);
        })
    }

    /// Appends an attribute that `fill` fills with attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_raw(kind | NESTED, fill)
    }

    /// Like [`nest`](Self::nest) without the flag of nesting: a few families put a fixed part before the attributes
    /// (the peer of a veth) or never learned of the flag.
    pub fn nest_raw(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => self.overlong = true,
        }
        self.pad();
        self
    }

    /// Its length so far.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether an attribute is longer than the 65,535 bytes that its header can tell; it is not sent then.
    pub fn is_overlong(&self) -> bool {
        self.overlong
    }

    /// What it is about, for errors.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Whether it asks for an acknowledgement.
    pub(super) fn wants_ack(&self) -> bool {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) & flags::ACK != 0
    }

    /// Adds flags to those it has.
    pub(crate) fn add_flags(&mut self, flags: u16) {
        let had = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]);
        self.bytes[6..8].copy_from_slice(&(had | flags).to_ne_bytes());
    }

    /// Writes it with its length and a sequence number.
    pub(super) fn write(&self, sequence: u32, out: &mut Vec<u8>) {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let start = out.len();
        out.extend(&self.bytes);
        out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        out[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
    }

    /// As it would be sent, for tests of what is written.
    #[cfg(test)]
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(0, &mut bytes);
        bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{attributes, messages};
    use super::*;

    #[test]
    fn what_was_written_can_be_read() {
        let mut message = Message::new("do", "it", 16, flags::CREATE);
        message.raw(&[1, 2, 3, 4, 5]).u8(1, 7).text(2, "eth0").nest(3, |inner| {
            inner.u32(1, 0x0102_0304).be16(2, 80).nest(9, |deepest| {
                deepest.flag(4);
            });
        });
        message.add_flags(flags::ACK);
        let mut bytes = Vec::new();
        message.write(9, &mut bytes);
        message.write(10, &mut bytes);
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].kind, read[0].sequence, read[1].sequence), (16, 9, 10));
        assert_eq!(read[0].flags, flags::REQUEST | flags::CREATE | flags::ACK);
        assert_eq!(read[0].payload[..8], [1, 2, 3, 4, 5, 0, 0, 0]);
        let found = read[0].attributes(8);
        assert_eq!(found.find(1).unwrap().u8(), Some(7));
        assert_eq!(found.find(2).unwrap().text(), Some("eth0"));
        let inner = found.find(3).unwrap();
        assert_eq!(inner.nested().find(1).unwrap().u32(), Some(0x0102_0304));
        assert_eq!(inner.nested().find(2).unwrap().be16(), Some(80));
        assert_eq!(attributes(inner.nested().find(9).unwrap().payload).count(), 1);
        assert!(found.find(4).is_none());
    }

    #[test]
    fn too_long_an_attribute_is_noticed() {
        let mut message = Message::new("do", "it", 16, 0);
        message.bytes(1, &[0; 65531]);
        assert!(!message.is_overlong());
        message.bytes(1, &[0; 65532]);
        assert!(message.is_overlong());
    }
}
