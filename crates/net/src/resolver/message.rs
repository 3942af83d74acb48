//! DNS messages (RFC 1035, EDNS of RFC 6891) as far as a forwarding server needs them: the header and the one question
//! of a query, answers of our own made of addresses and pointers, and whether a reply fits the question.
//!
//! Everything read here was written by a container or a server on the network: each step is bounded by the bytes that
//! are there, compression is never followed. What others answered is passed on as it came, never taken apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const HEADER: usize = 12;
/// What a client takes over UDP unless it says otherwise.
const PLAIN_SIZE: usize = 512;
/// The largest answer of our own over UDP, however much the client takes.
const EDNS_SIZE: usize = 4096;
/// Seconds an answer of our own may be kept: Docker's.
const TTL: u32 = 600;

/// Types of records that are answered here (RFC 1035, 3596).
pub(super) const A: u16 = 1;
pub(super) const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
pub(super) const ANY: u16 = 255;
const OPT: u16 = 41;
/// The Internet's class.
pub(super) const IN: u16 = 1;

/// Outcomes as answers tell them (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NotImplemented = 4,
    Refused = 5,
}

const RESPONSE: u8 = 0x80;
const TRUNCATED: u8 = 0x02;
const RECURSION_DESIRED: u8 = 0x01;
const RECURSION_AVAILABLE: u8 = 0x80;

/// Why bytes are no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not even a header, or an answer: saying anything could start an endless exchange.
    Ignored,
    /// A header, so that the sender can be told.
    Told(Code),
}

/// A query with one question.
#[derive(Debug)]
pub(super) struct Query<'a> {
    bytes: &'a [u8],
    /// Where the question ends.
    end: usize,
    /// The name asked for, lower case, no final dot; `None` when it isn't text, or a label has a dot of its own.
    pub(super) name: Option<String>,
    /// The type of records asked for.
    pub(super) kind: u16,
    /// Their class.
    pub(super) class: u16,
    /// How much the client takes over UDP, when it speaks EDNS.
    payload: Option<u16>,
}

impl<'a> Query<'a> {
    /// Reads a query.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < HEADER || bytes[2] & RESPONSE != 0 {
            return Err(Malformed::Ignored);
        }
        // Status, notifications and dynamic updates (RFC 1035, 1996, 2136) are nothing for a forwarder.
        if bytes[2] & 0x78 != 0 {
            return Err(Malformed::Told(Code::NotImplemented));
        }
        Self::parse_body(bytes).ok_or(Malformed::Told(Code::FormatError))
    }

    fn parse_body(bytes: &'a [u8]) -> Option<Self> {
        if count(bytes, 4) != 1 {
            return None;
        }
        let (name, after) = question_name(bytes)?;
        let (kind, class, end) = (u16_at(bytes, after)?, u16_at(bytes, after + 2)?, after + 4);
        let records = [6, 8, 10].map(|at| count(bytes, at)).iter().sum();
        let payload = extension(bytes, end, records)?;
        Some(Self { bytes, end, name, kind, class, payload })
    }

    /// The whole message, as it came.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The largest answer of our own that the client takes over UDP.
    pub(super) fn udp_limit(&self) -> usize {
        self.payload.map_or(PLAIN_SIZE, |size| usize::from(size).clamp(PLAIN_SIZE, EDNS_SIZE))
    }

    /// An answer that fits into `limit` bytes; records that don't are left out and the answer says so.
    pub(super) fn answer(&self, code: Code, records: &[Record], limit: usize) -> Vec<u8> {
        let mut out = self.bytes[..self.end].to_vec();
        let extension = if self.payload.is_some() { 11 } else { 0 };
        let mut written: u16 = 0;
        let mut truncated = false;
        for record in records {
            let before = out.len();
            record.write(&mut out);
            if out.len() + extension > limit || written == u16::MAX {
                out.truncate(before);
                truncated = true;
                break;
            }
            written += 1;
        }
        if self.payload.is_some() {
            // The root's name, OPT, our own size, no flags, no options.
            out.extend([0, 0, OPT as u8]);
            out.extend((EDNS_SIZE as u16).to_be_bytes());
            out.extend([0; 6]);
        }
        out[2] = RESPONSE | (self.bytes[2] & RECURSION_DESIRED) | if truncated { TRUNCATED } else { 0 };
        out[3] = RECURSION_AVAILABLE | code as u8;
        out[6..8].copy_from_slice(&written.to_be_bytes());
        out[8..10].fill(0);
        out[10..12].copy_from_slice(&u16::from(self.payload.is_some()).to_be_bytes());
        out
    }

    /// Whether a message is a reply to this query, sent under the identifier `id`.
    pub(super) fn is_answered_by(&self, reply: &[u8], id: [u8; 2]) -> bool {
        if reply.len() < HEADER || reply[..2] != id || reply[2] & RESPONSE == 0 {
            return false;
        }
        if count(reply, 4) == 0 {
            // Servers that understand nothing of a question leave it out.
            return reply[3] & 0xf != Code::NoError as u8;
        }
        // Upper and lower case are the same. Length bytes are below 64, where no letter is; type and class are made
        // equal or not by whole bytes, and a type that differs only in that bit is none that anybody asks for.
        count(reply, 4) == 1
            && reply.get(HEADER..self.end).is_some_and(|question| {
                let (name, rest) = question.split_at(question.len() - 4);
                let (asked, kind) = self.bytes[HEADER..self.end].split_at(name.len());
                name.eq_ignore_ascii_case(asked) && rest == kind
            })
    }
}

/// What a message that is no query is told: its own header, nothing else.
pub(super) fn told(bytes: &[u8], code: Code) -> Vec<u8> {
    let mut out = bytes[..HEADER.min(bytes.len())].to_vec();
    out.resize(HEADER, 0);
    out[2] = RESPONSE | (out[2] & (0x78 | RECURSION_DESIRED));
    out[3] = RECURSION_AVAILABLE | code as u8;
    out[4..].fill(0);
    out
}

/// The outcome that a reply tells.
pub(super) fn code_of(reply: &[u8]) -> u8 {
    reply.get(3).map_or(Code::ServerFailure as u8, |byte| byte & 0xf)
}

/// A record of an answer of ours; its owner is the name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// An address.
    Address(IpAddr),
    /// A name, encoded.
    Pointer(Vec<u8>),
}

impl Record {
    /// A pointer to a name; `None` if no message can carry it.
    pub(super) fn pointer(name: &str) -> Option<Self> {
        let mut wire = Vec::with_capacity(name.len() + 2);
        for label in name.trim_end_matches('.').split('.') {
            let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
            wire.push(length);
            wire.extend(label.as_bytes());
        }
        wire.push(0);
        (wire.len() <= 255).then_some(Self::Pointer(wire))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut head = |kind: u16, length: usize| {
            // Compressed to where the question stands.
            out.extend([0xc0, HEADER as u8]);
            out.extend(kind.to_be_bytes());
            out.extend(IN.to_be_bytes());
            out.extend(TTL.to_be_bytes());
            out.extend((length as u16).to_be_bytes());
        };
        match self {
            Self::Address(IpAddr::V4(address)) => {
                head(A, 4);
                out.extend(address.octets());
            }
            Self::Address(IpAddr::V6(address)) => {
                head(AAAA, 16);
                out.extend(address.octets());
            }
            Self::Pointer(wire) => {
                head(PTR, wire.len());
                out.extend(wire);
            }
        }
    }
}

/// The address that a name below in-addr.arpa or ip6.arpa stands for.
pub(super) fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(rest) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = rest.rsplit('.').map(|octet| octet.parse().ok()).collect::<Option<_>>()?;
        return <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into());
    }
    let rest = name.strip_suffix(".ip6.arpa")?;
    let mut bits: u128 = 0;
    let mut digits = 0;
    for label in rest.rsplit('.') {
        let digit = Some(label)
            .filter(|label| label.len() == 1)
            .and_then(|label| u8::from_str_radix(label, 16).ok())?;
        digits += 1;
        if digits > 32 {
            return None;
        }
        bits = bits << 4 | u128::from(digit);
    }
    (digits == 32).then(|| Ipv6Addr::from(bits).into())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

/// One of the header's counts; the header is known to be there.
fn count(bytes: &[u8], at: usize) -> u32 {
    u16_at(bytes, at).map_or(0, u32::from)
}

/// The question's name as text, and where it ends. A question has nothing before it that it could be compressed to.
fn question_name(bytes: &[u8]) -> Option<(Option<String>, usize)> {
    let mut text = Some(String::new());
    let mut at = HEADER;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((text, at));
        }
        // A whole name has 255 bytes at most (RFC 1035, 2.3.4).
        if length > 63 || at + length - HEADER >= 255 {
            return None;
        }
        let label = bytes.get(at..at + length)?;
        at += length;
        text = text.and_then(|text| joined(text, label));
    }
}

fn joined(mut text: String, label: &[u8]) -> Option<String> {
    let label = std::str::from_utf8(label).ok().filter(|label| !label.contains('.'))?;
    if !text.is_empty() {
        text.push('.');
    }
    text.extend(label.chars().map(|char| char.to_ascii_lowercase()));
    Some(text)
}

/// Looks through the records after the question for EDNS's: its size if it is there; `None` if the bytes aren't what
/// the counts promise.
fn extension(bytes: &[u8], mut at: usize, records: u32) -> Option<Option<u16>> {
    let mut payload = None;
    for _ in 0..records {
        at = skip_name(bytes, at)?;
        let (kind, class) = (u16_at(bytes, at)?, u16_at(bytes, at + 2)?);
        let length = usize::from(u16_at(bytes, at + 8)?);
        at += 10 + length;
        if at > bytes.len() {
            return None;
        }
        if kind == OPT {
            payload = Some(class);
        }
    }
    Some(payload)
}

fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + length,
            // Compressed: the name ends here, wherever it goes on.
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A query as a client sends it.
    pub(crate) fn query(name: &str, kind: u16, payload: Option<u16>) -> Vec<u8> {
        let mut out = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(payload.is_some())];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            out.push(label.len() as u8);
            out.extend(label.as_bytes());
        }
        out.push(0);
        out.extend(kind.to_be_bytes());
        out.extend(IN.to_be_bytes());
        if let Some(payload) = payload {
            out.extend([0, 0, 41]);
            out.extend(payload.to_be_bytes());
            out.extend([0; 6]);
        }
        out
    }

    fn addresses(count: u32) -> Vec<Record> {
        (0..count).map(|host| Record::Address(Ipv4Addr::from(0x0a00_0000 + host).into())).collect()
    }

    #[test]
    fn queries() {
        let bytes = query("Web.MyNet", AAAA, None);
        let parsed = Query::parse(&bytes).unwrap();
        assert_eq!((parsed.name.as_deref(), parsed.kind, parsed.class), (Some("web.mynet"), AAAA, IN));
        assert_eq!(parsed.udp_limit(), 512);
        for (payload, limit) in [(0, 512), (100, 512), (1232, 1232), (65535, 4096)] {
            let bytes = query("a", A, Some(payload));
            assert_eq!(Query::parse(&bytes).unwrap().udp_limit(), limit);
        }
        let root = query("", 2, None);
        assert_eq!(Query::parse(&root).unwrap().name.as_deref(), Some(""));
        let mut dotted = query("a.b", A, None);
        dotted[HEADER] = 3; // one label "a\x01b"
        assert_eq!(Query::parse(&dotted).unwrap().name.as_deref(), Some("a\u{1}b"));
        dotted[HEADER + 2] = b'.';
        assert_eq!(Query::parse(&dotted).unwrap().name, None);
    }

    #[test]
    fn malformed() {
        let good = query("web", A, Some(1232));
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Query::parse(&bytes).map(|query| query.end).unwrap_err()
        };
        assert_eq!(Query::parse(&good[..11]).unwrap_err(), Malformed::Ignored);
        assert_eq!(changed(2, 0x81), Malformed::Ignored);
        assert_eq!(changed(2, 0x28), Malformed::Told(Code::NotImplemented));
        for (at, byte) in [(5, 0), (5, 2), (11, 2), (7, 1), (12, 0xc0), (12, 64), (12, 200)] {
            assert_eq!(changed(at, byte), Malformed::Told(Code::FormatError), "{at} {byte}");
        }
        for cut in HEADER..good.len() {
            assert_eq!(Query::parse(&good[..cut]).unwrap_err(), Malformed::Told(Code::FormatError), "{cut}");
        }
        let long = query(&vec!["x".repeat(63); 4].join("."), A, None);
        assert_eq!(Query::parse(&long).unwrap_err(), Malformed::Told(Code::FormatError));
        assert_eq!(told(&good, Code::Refused), [0xab, 0xcd, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn answers() {
        let bytes = query("web", A, None);
        let answer = Query::parse(&bytes).unwrap().answer(Code::NoError, &addresses(1), 512);
        assert_eq!(answer[..12], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..21], bytes[12..]);
        assert_eq!(answer[21..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 0]);
        let bytes = query("web", A, Some(1232));
        let query = Query::parse(&bytes).unwrap();
        let answer = query.answer(Code::NoError, &[], 512);
        assert_eq!(answer[10..12], [0, 1]);
        assert_eq!(answer[21..], [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        let whole = query.answer(Code::NoError, &addresses(30), 512);
        assert_eq!((whole[2] & TRUNCATED, whole[7]), (0, 30));
        let cut = query.answer(Code::NoError, &addresses(31), 512);
        assert_eq!((cut[2] & TRUNCATED, cut[7], cut.len()), (TRUNCATED, 30, 512));
    }

    #[test]
    fn replies() {
        let bytes = query("web", A, None);
        let query = Query::parse(&bytes).unwrap();
        let good = query.answer(Code::NoError, &addresses(1), 512);
        let id = [0xab, 0xcd];
        assert!(query.is_answered_by(&good, id));
        assert!(!query.is_answered_by(&good, [0xab, 0xce]));
        assert!(!query.is_answered_by(&bytes, id));
        let with = |at: usize, byte: u8| {
            let mut reply = good.clone();
            reply[at] = byte;
            query.is_answered_by(&reply, id)
        };
        assert!(with(13, b'W'));
        for (at, byte) in [(13, b'v'), (12, 4), (18, 28), (20, 3), (5, 2)] {
            assert!(!with(at, byte), "{at}");
        }
        assert!(!query.is_answered_by(&good[..20], id));
        assert!(query.is_answered_by(&told(&bytes, Code::FormatError), id));
        assert!(!query.is_answered_by(&told(&bytes, Code::NoError), id));
    }

    #[test]
    fn reversed_names() {
        for (name, address) in [
            ("2.0.18.172.in-addr.arpa", Some("172.18.0.2")),
            ("0.18.172.in-addr.arpa", None),
            ("1.2.0.18.172.in-addr.arpa", None),
            ("256.0.18.172.in-addr.arpa", None),
            ("in-addr.arpa", None),
            ("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", Some("2001:db8::2")),
            ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", None),
            ("+.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", None),
            ("web.mynet", None),
        ] {
            assert_eq!(reversed(name), address.map(|address| address.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn pointers() {
        assert_eq!(Record::pointer("web.net"), Some(Record::Pointer(b"\x03web\x03net\0".to_vec())));
        assert_eq!(Record::pointer("web..net"), None);
        assert_eq!(Record::pointer(&"x".repeat(64)), None);
        assert_eq!(Record::pointer(&vec!["x".repeat(63); 4].join(".")), None);
    }

    proptest! {
        /// Whatever comes: no panic, and never an answer larger than was asked for.
        #[test]
        fn hostile(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), records in 0u32..400) {
            let _ = told(&bytes, Code::FormatError);
            if let Some(byte) = bytes.get_mut(2) {
                *byte &= 7;
            }
            if let Ok(query) = Query::parse(&bytes) {
                let limit = query.udp_limit();
                prop_assert!(query.answer(Code::NoError, &addresses(records), limit).len() <= limit);
            }
        }

        /// Damage to a good query.
        #[test]
        fn damaged(at in 0usize..60, byte: u8, payload in proptest::option::of(any::<u16>()), records in 0u32..400) {
            let mut bytes = query("some.name.of.a.network", A, payload);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            if let Ok(query) = Query::parse(&bytes) {
                let limit = query.udp_limit();
                let answer = query.answer(Code::NoError, &addresses(records), limit);
                prop_assert!(answer.len() <= limit);
                prop_assert!(query.is_answered_by(&answer, [bytes[0], bytes[1]]));
            }
        }

        /// What a server on the network may send.
        #[test]
        fn foreign_replies(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let asked = query("web", A, None);
            let _ = Query::parse(&asked).unwrap().is_answered_by(&bytes, [0, 0]);
            let _ = code_of(&bytes);
        }
    }
}
