//! A rule: a list of expressions that load registers, compare them, and act. Methods are named after nft's words; each
//! writes what `nft` would write for them, so that a listing reads like the rule one would have typed.

use super::attribute::Attributes;
pub(crate) use super::family::Family;

/// Bit of `ct state`: belongs to nothing known.
pub(crate) const INVALID: u32 = 1;
/// Bit of `ct state`: the first packet of a flow.
pub(crate) const NEW: u32 = 8;
/// Bits of `ct state`: established or related.
pub(crate) const KNOWN: u32 = 2 | 4;
/// Bit of `ct status`: the destination was translated.
pub(crate) const DNAT: u32 = 0x20;

/// A piece of a packet or its circumstances: what is compared or looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    InIndex,
    InName,
    OutName,
    InKind,
    OutKind,
    Nfproto,
    L4proto,
    CtState,
    CtStatus,
    Mark,
    PacketType,
    DestinationKind,
    Source(Family),
    Destination(Family),
    DestinationPort,
}

impl Field {
    const fn bytes(self) -> u32 {
        match self {
            Field::InName | Field::OutName | Field::InKind | Field::OutKind => 16,
            Field::Nfproto | Field::L4proto | Field::PacketType => 1,
            Field::InIndex | Field::Mark | Field::DestinationKind | Field::CtState | Field::CtStatus => 4,
            Field::Source(family) | Field::Destination(family) => family.bytes(),
            Field::DestinationPort => 2,
        }
    }
}

/// Where a packet goes when a rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    Drop,
    Accept,
    Return,
    Jump(&'a str),
    /// A jump that does not come back.
    Goto(&'a str),
}

const VERDICT_REGISTER: u32 = 0;
const FIRST: u32 = 1;
/// The first of the 4-byte registers; they share their bytes with the 16-byte ones, whose first is `FIRST`.
const REGISTER32: u32 = 8;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

/// `NFT_META_PRIORITY`.
pub(crate) const META_PRIORITY: u32 = 2;
const META_MARK: u32 = 3;
const META_IIF: u32 = 4;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const META_PKTTYPE: u32 = 19;
const META_IIFKIND: u32 = 26;
const META_OIFKIND: u32 = 27;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const CT_ZONE: u32 = 17;
const PAYLOAD_NETWORK: u32 = 1;
const PAYLOAD_TRANSPORT: u32 = 2;
const RTN_LOCAL: u32 = 2;

/// A rule being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) expressions: Attributes,
    pub(crate) comment: Option<&'static str>,
}

impl Rule {
    /// One that matches everything.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One for a family of addresses only.
    pub(crate) fn of(family: Family) -> Self {
        Self::new().equals(Field::Nfproto, &[family.number()])
    }

    /// What it is there for, shown in listings.
    pub(crate) fn comment(mut self, comment: &'static str) -> Self {
        self.comment = Some(comment);
        self
    }

    /// `FIELD VALUE`, the value with the field's length.
    pub(crate) fn equals(self, field: Field, value: &[u8]) -> Self {
        self.load(&[field]).compare(EQUAL, value)
    }

    /// `FIELD ADDRESS/PREFIX`.
    pub(crate) fn prefixed(self, field: Field, address: &[u8], prefix: u32) -> Self {
        self.load_prefix(field, prefix).compare(EQUAL, address)
    }

    /// `FIELD != ADDRESS/PREFIX`.
    pub(crate) fn not_prefixed(self, field: Field, address: &[u8], prefix: u32) -> Self {
        self.load_prefix(field, prefix).compare(NOT_EQUAL, address)
    }

    fn load_prefix(self, field: Field, prefix: u32) -> Self {
        self.load(&[field]).mask(field, prefix, FIRST)
    }

    fn mask(self, field: Field, prefix: u32, register: u32) -> Self {
        let mask: Vec<u8> = (0..field.bytes()).map(|byte| mask_byte(prefix, byte)).collect();
        self.bitwise_at(register, &mask, &vec![0; mask.len()])
    }

    /// `FIELD . FIELD & MASK @SET`: only so many bits of the last one count.
    pub(crate) fn within_prefix(self, fields: &[Field], prefix: u32, set: &str) -> Self {
        let Some((last, before)) = fields.split_last() else { return self };
        let at = register(before.iter().map(|field| field.bytes().next_multiple_of(4)).sum());
        self.load(fields).mask(*last, prefix, at).look_up(set, false)
    }

    /// `iif "lo"`: its index is the same in every network namespace.
    pub(crate) fn by_loopback(self) -> Self {
        const LOOPBACK: u32 = 1;
        self.equals(Field::InIndex, &LOOPBACK.to_ne_bytes())
    }

    /// `iifname "NAME"`.
    pub(crate) fn arrived_by(self, name: &str) -> Self {
        self.equals(Field::InName, &interface_name(name))
    }

    /// `oifname "NAME"`.
    pub(crate) fn departs_by(self, name: &str) -> Self {
        self.equals(Field::OutName, &interface_name(name))
    }

    /// `iifkind != "none"`, a word that is no kind: the link has one. Hardware has none, and then no comparison holds.
    pub(crate) fn has_kind(self, field: Field) -> Self {
        self.load(&[field]).compare(NOT_EQUAL, &interface_name("none"))
    }

    /// `FIELD . FIELD @SET`.
    pub(crate) fn within(self, fields: &[Field], set: &str) -> Self {
        self.load(fields).look_up(set, false)
    }

    /// `fib daddr type local`.
    pub(crate) fn destined_here(self) -> Self {
        self.equals(Field::DestinationKind, &RTN_LOCAL.to_ne_bytes())
    }

    /// `ct state BITS`.
    pub(crate) fn state(self, bits: u32) -> Self {
        self.any_bit(Field::CtState, bits)
    }

    /// `ct status BITS`.
    pub(crate) fn status(self, bits: u32) -> Self {
        self.any_bit(Field::CtStatus, bits)
    }

    fn any_bit(self, field: Field, bits: u32) -> Self {
        self.load(&[field]).bitwise(&bits.to_ne_bytes(), &[0; 4]).compare(NOT_EQUAL, &[0; 4])
    }

    /// `meta mark & BIT != 0`.
    pub(crate) fn marked(self, bit: u32) -> Self {
        self.any_bit(Field::Mark, bit)
    }

    /// `meta mark set meta mark | BIT`: no other bit changes.
    pub(crate) fn set_mark(self, bit: u32) -> Self {
        self.change_mark(!bit, bit)
    }

    /// `meta mark set meta mark & ~BIT`.
    pub(crate) fn clear_mark(self, bit: u32) -> Self {
        self.change_mark(!bit, 0)
    }

    fn change_mark(self, mask: u32, xor: u32) -> Self {
        self.load(&[Field::Mark]).bitwise(&mask.to_ne_bytes(), &xor.to_ne_bytes()).set_meta(META_MARK)
    }

    /// `meta priority set PRIORITY`.
    pub(crate) fn set_priority(self, priority: u32) -> Self {
        self.immediate(FIRST, &priority.to_ne_bytes()).set_meta(META_PRIORITY)
    }

    /// `meta pkttype set TYPE`.
    pub(crate) fn set_packet_type(self, packet_type: u8) -> Self {
        self.immediate(FIRST, &[packet_type]).set_meta(META_PKTTYPE)
    }

    fn set_meta(self, key: u32) -> Self {
        const KEY: u16 = 2;
        const SREG: u16 = 3;
        self.push("meta", |data| {
            data.number(KEY, key).number(SREG, FIRST);
        })
    }

    /// `dnat to FIELD . FIELD map @MAP`, the map giving an address and, if `port`, a port after it.
    pub(crate) fn dnat_by(self, family: Family, fields: &[Field], map: &str, port: bool) -> Self {
        let port = port.then(|| register(family.bytes()));
        self.load(fields).look_up(map, true).dnat(family, FIRST, port)
    }

    /// `dnat to ADDRESS:PORT`.
    pub(crate) fn dnat_to_port(self, family: Family, address: &[u8], port: u16) -> Self {
        let second = register(family.bytes());
        self.immediate(FIRST, address).immediate(second, &port.to_be_bytes()).dnat(
            family,
            FIRST,
            Some(second),
        )
    }

    /// `dnat to ADDRESS`, the port left as it is.
    pub(crate) fn dnat_to(self, family: Family, address: &[u8]) -> Self {
        self.immediate(FIRST, address).dnat(family, FIRST, None)
    }

    /// `snat to ADDRESS`.
    pub(crate) fn snat_to(self, family: Family, address: &[u8]) -> Self {
        const SOURCE: u32 = 0;
        self.immediate(FIRST, address).nat(SOURCE, family, FIRST, None)
    }

    fn dnat(self, family: Family, address: u32, port: Option<u32>) -> Self {
        const DESTINATION: u32 = 1;
        self.nat(DESTINATION, family, address, port)
    }

    fn nat(self, kind: u32, family: Family, address: u32, port: Option<u32>) -> Self {
        const TYPE: u16 = 1;
        const FAMILY: u16 = 2;
        const ADDRESS: u16 = 3;
        const PORT: u16 = 5;
        self.push("nat", |data| {
            data.number(TYPE, kind).number(FAMILY, family.number().into()).number(ADDRESS, address);
            if let Some(port) = port {
                data.number(PORT, port);
            }
        })
    }

    /// `ct original zone set ZONE`: the answers are looked for in no zone.
    pub(crate) fn set_original_zone(self, zone: u16) -> Self {
        const KEY: u16 = 2;
        const DIRECTION: u16 = 3;
        const SREG: u16 = 4;
        const ORIGINAL: u8 = 0;
        self.immediate(FIRST, &zone.to_ne_bytes()).push("ct", |data| {
            data.number(KEY, CT_ZONE).bytes(DIRECTION, &[ORIGINAL]).number(SREG, FIRST);
        })
    }

    /// `masquerade`.
    pub(crate) fn masquerade(self) -> Self {
        self.push("masq", |_| ())
    }

    /// `dup to ADDRESS device INDEX`.
    pub(crate) fn dup(self, address: &[u8], device: u32) -> Self {
        const SREG_ADDR: u16 = 1;
        const SREG_DEV: u16 = 2;
        let second = register(address.len() as u32);
        self.immediate(FIRST, address).immediate(second, &device.to_ne_bytes()).push("dup", |data| {
            data.number(SREG_ADDR, FIRST).number(SREG_DEV, second);
        })
    }

    /// `meta pkttype TYPE`.
    pub(crate) fn packet_type(self, packet_type: u8) -> Self {
        self.equals(Field::PacketType, &[packet_type])
    }

    /// Ends the rule with a verdict.
    pub(crate) fn verdict(self, verdict: Verdict<'_>) -> Self {
        const DREG: u16 = 1;
        const DATA: u16 = 2;
        const DATA_VERDICT: u16 = 2;
        const CODE: u16 = 1;
        const CHAIN: u16 = 2;
        let (code, chain) = match verdict {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Return => (-5, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
            Verdict::Goto(chain) => (-4, Some(chain)),
        };
        self.push("immediate", |data| {
            data.number(DREG, VERDICT_REGISTER).nest(DATA, |data| {
                data.nest(DATA_VERDICT, |verdict| {
                    verdict.bytes(CODE, &i32::to_be_bytes(code));
                    if let Some(chain) = chain {
                        verdict.text(CHAIN, chain);
                    }
                });
            });
        })
    }

    /// `drop`.
    pub(crate) fn drop(self) -> Self {
        self.verdict(Verdict::Drop)
    }

    /// `accept`.
    pub(crate) fn accept(self) -> Self {
        self.verdict(Verdict::Accept)
    }

    /// Loads fields one after the other, as the kernel wants the key of a concatenation: each begins a new register.
    fn load(self, fields: &[Field]) -> Self {
        let mut offset = 0;
        fields.iter().fold(self, |rule, field| {
            let to = register(offset);
            offset += field.bytes().next_multiple_of(4);
            rule.load_one(*field, to)
        })
    }

    fn load_one(self, field: Field, to: u32) -> Self {
        match field {
            Field::InIndex => self.key("meta", META_IIF, to),
            Field::InName => self.key("meta", META_IIFNAME, to),
            Field::OutName => self.key("meta", META_OIFNAME, to),
            Field::InKind => self.key("meta", META_IIFKIND, to),
            Field::OutKind => self.key("meta", META_OIFKIND, to),
            Field::Nfproto => self.key("meta", META_NFPROTO, to),
            Field::L4proto => self.key("meta", META_L4PROTO, to),
            Field::Mark => self.key("meta", META_MARK, to),
            Field::PacketType => self.key("meta", META_PKTTYPE, to),
            Field::CtState => self.key("ct", CT_STATE, to),
            Field::CtStatus => self.key("ct", CT_STATUS, to),
            Field::DestinationKind => self.fib_destination_kind(to),
            Field::Source(family) => {
                self.payload(PAYLOAD_NETWORK, family.source_offset(), family.bytes(), to)
            }
            Field::Destination(family) => {
                let offset = family.source_offset() + family.bytes();
                self.payload(PAYLOAD_NETWORK, offset, family.bytes(), to)
            }
            Field::DestinationPort => self.payload(PAYLOAD_TRANSPORT, 2, 2, to),
        }
    }

    /// `meta` and `ct` have the same shape: a key into a register.
    fn key(self, expression: &str, key: u32, to: u32) -> Self {
        const DREG: u16 = 1;
        const KEY: u16 = 2;
        self.push(expression, |data| {
            data.number(DREG, to).number(KEY, key);
        })
    }

    fn payload(self, base: u32, offset: u32, length: u32, to: u32) -> Self {
        const DREG: u16 = 1;
        const BASE: u16 = 2;
        const OFFSET: u16 = 3;
        const LENGTH: u16 = 4;
        self.push("payload", |data| {
            data.number(DREG, to).number(BASE, base).number(OFFSET, offset).number(LENGTH, length);
        })
    }

    fn fib_destination_kind(self, to: u32) -> Self {
        const DREG: u16 = 1;
        const RESULT: u16 = 2;
        const FLAGS: u16 = 3;
        const ADDRESS_TYPE: u32 = 3;
        const DADDR: u32 = 2;
        self.push("fib", |data| {
            data.number(DREG, to).number(RESULT, ADDRESS_TYPE).number(FLAGS, DADDR);
        })
    }

    fn compare(self, operation: u32, value: &[u8]) -> Self {
        const SREG: u16 = 1;
        const OP: u16 = 2;
        const DATA: u16 = 3;
        self.push("cmp", |data| {
            data.number(SREG, FIRST).number(OP, operation).nest(DATA, |data| value_of(data, value));
        })
    }

    fn bitwise(self, mask: &[u8], xor: &[u8]) -> Self {
        self.bitwise_at(FIRST, mask, xor)
    }

    fn bitwise_at(self, register: u32, mask: &[u8], xor: &[u8]) -> Self {
        const SREG: u16 = 1;
        const DREG: u16 = 2;
        const LENGTH: u16 = 3;
        const MASK: u16 = 4;
        const XOR: u16 = 5;
        self.push("bitwise", |data| {
            data.number(SREG, register).number(DREG, register).number(LENGTH, mask.len() as u32);
            data.nest(MASK, |data| value_of(data, mask)).nest(XOR, |data| value_of(data, xor));
        })
    }

    fn immediate(self, to: u32, value: &[u8]) -> Self {
        const DREG: u16 = 1;
        const DATA: u16 = 2;
        self.push("immediate", |data| {
            data.number(DREG, to).nest(DATA, |data| value_of(data, value));
        })
    }

    fn look_up(self, set: &str, map: bool) -> Self {
        const SET: u16 = 1;
        const SREG: u16 = 2;
        const DREG: u16 = 3;
        self.push("lookup", |data| {
            data.text(SET, set).number(SREG, FIRST);
            if map {
                data.number(DREG, FIRST);
            }
        })
    }

    fn push(mut self, name: &str, write: impl FnOnce(&mut Attributes)) -> Self {
        const LIST_ELEMENT: u16 = 1;
        const NAME: u16 = 1;
        const DATA: u16 = 2;
        self.expressions.nest(LIST_ELEMENT, |element| {
            element.text(NAME, name).nest(DATA, write);
        });
        self
    }
}

/// Writes NFTA_DATA_VALUE.
pub(super) fn value_of(data: &mut Attributes, value: &[u8]) {
    data.bytes(1, value);
}

/// The register whose bytes begin at `offset`.
fn register(offset: u32) -> u32 {
    if offset == 0 { FIRST } else { REGISTER32 + offset.div_ceil(4) }
}

fn mask_byte(prefix: u32, byte: u32) -> u8 {
    let bits = prefix.saturating_sub(byte * 8).min(8);
    (0xff00_u16 >> bits) as u8
}

/// An interface's name as the kernel compares it: 16 bytes, filled with NUL.
pub(crate) fn interface_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    // The last byte stays NUL, as in every name of the kernel.
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_prefixes() {
        for (prefix, expect) in
            [(0, [0, 0, 0, 0]), (8, [255, 0, 0, 0]), (10, [255, 0xc0, 0, 0]), (32, [255, 255, 255, 255])]
        {
            let mask: Vec<u8> = (0..4).map(|byte| mask_byte(prefix, byte)).collect();
            assert_eq!(mask, expect, "/{prefix}");
        }
    }
}
