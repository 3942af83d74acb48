//! Reading what the kernel sent: messages of a datagram, attributes of a message, values of attributes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::HEADER;

/// A message of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// Its kind.
    pub kind: u16,
    /// Its flags.
    pub flags: u16,
    /// The sequence number of the question it answers.
    pub sequence: u32,
    /// All after the header.
    pub payload: &'a [u8],
}

impl<'a> Received<'a> {
    /// The attributes after a fixed part of so many bytes.
    pub fn attributes(&self, fixed: usize) -> Attributes<'a> {
        attributes(self.payload.get(fixed..).unwrap_or_default())
    }

    /// The bytes of the fixed part, if they are all there.
    pub fn fixed<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.payload.first_chunk()
    }
}

/// The messages of a datagram.
#[derive(Debug, Clone)]
pub struct Messages<'a>(&'a [u8]);

/// The messages of a datagram.
pub fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages(datagram)
}

impl<'a> Iterator for Messages<'a> {
    type Item = Received<'a>;

    fn next(&mut self) -> Option<Received<'a>> {
        let header: &[u8; HEADER] = self.0.first_chunk()?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let payload = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Received {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }
}

/// Attributes in a row; cheap to copy, so that it can be searched several times.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

/// The attributes in these bytes.
pub fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes(bytes)
}

impl<'a> Attributes<'a> {
    /// The first attribute of a kind.
    pub fn find(mut self, kind: u16) -> Option<Attribute<'a>> {
        Iterator::find(&mut self, |attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let header: &[u8; 4] = self.0.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let payload = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        // The two highest bits tell of nesting and byte order, which the reader knows anyway.
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        Some(Attribute { kind, payload })
    }
}

/// One attribute. Its readers answer `None` when it has another length than such a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its kind, without the flags.
    pub kind: u16,
    /// Its value.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// A number.
    pub fn u8(&self) -> Option<u8> {
        self.array().map(u8::from_ne_bytes)
    }

    /// A number.
    pub fn u16(&self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    /// A number.
    pub fn u32(&self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    /// A number.
    pub fn u64(&self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    /// A big-endian number.
    pub fn be16(&self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian number.
    pub fn be32(&self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian number.
    pub fn be64(&self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A text, up to its first zero.
    pub fn text(&self) -> Option<&'a str> {
        let text = self.payload.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).ok()
    }

    /// An address of either family, told by its length.
    pub fn address(&self) -> Option<IpAddr> {
        match self.payload.len() {
            4 => self.array::<4>().map(|octets| Ipv4Addr::from(octets).into()),
            16 => self.array::<16>().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }

    /// The bytes, when there are exactly so many.
    pub fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.payload.try_into().ok()
    }

    /// The attributes in it.
    pub fn nested(&self) -> Attributes<'a> {
        Attributes(self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Goes through everything that can be read out of bytes.
    fn read_all(bytes: &[u8], depth: usize) -> usize {
        let mut count = 0;
        for attribute in attributes(bytes) {
            count += 1;
            let _ = (attribute.u8(), attribute.u16(), attribute.u32(), attribute.u64());
            let _ = (attribute.be16(), attribute.be32(), attribute.be64());
            let _ = (attribute.text(), attribute.address());
            if depth < 4 {
                count += read_all(attribute.payload, depth + 1);
            }
        }
        count
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            for message in messages(&bytes) {
                let _ = message.fixed::<12>();
                read_all(message.payload, 0);
                message.attributes(16).for_each(drop);
            }
            read_all(&bytes, 0);
        }

        // Short lengths make random bytes look like attributes far more often.
        #[test]
        fn likely_garbage_never_panics(bytes in proptest::collection::vec(0_u8..24, 0..512)) {
            messages(&bytes).for_each(|message| { read_all(message.payload, 0); });
            read_all(&bytes, 0);
        }
    }

    #[test]
    fn wrong_lengths_end_the_reading() {
        let cases: [&[u8]; 5] =
            [&[], &[4, 0, 1], &[3, 0, 1, 0], &[0, 0, 1, 0, 9, 9, 9, 9], &[9, 0, 1, 0, 5, 5, 5, 5]];
        for bytes in cases {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
            assert_eq!(messages(bytes).count(), 0, "{bytes:?}");
        }
        let odd = [6, 0, 0x01, 0x80, 1, 2];
        assert_eq!(attributes(&odd).next(), Some(Attribute { kind: 1, payload: &[1, 2] }));
    }
}
