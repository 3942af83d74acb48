//! Docker's `local` records: a protocol buffer (`LogEntry`) between two copies of its length, big-endian.
//!
//! `LogEntry`: 1 source, 2 time_nano, 3 line, 4 partial, 5 partial_log_metadata {1 last, 2 id, 3 ordinal},
//! 6 attrs {1 key, 2 value} repeated.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Record, Stream, split::Piece};

/// The length of the numbers around a record.
pub(super) const FRAME: usize = 4;
/// The longest record taken (Docker's limit).
pub(super) const MAX_RECORD: usize = 1_000_000;

/// Writes records with the same attributes.
#[derive(Debug)]
pub(super) struct Encoder {
    attributes: Vec<u8>,
    /// For both streams: what the parts of the current line have in common, and the number of the last part.
    parts: [(String, u32); 2],
}

impl Encoder {
    pub(super) fn new(attributes: &BTreeMap<String, String>) -> Self {
        let mut encoded = Vec::new();
        for (key, value) in attributes {
            let mut pair = Vec::new();
            push_bytes(&mut pair, 1, key.as_bytes());
            push_bytes(&mut pair, 2, value.as_bytes());
            push_bytes(&mut encoded, 6, &pair);
        }
        Self { attributes: encoded, parts: Default::default() }
    }

    pub(super) fn push(&mut self, out: &mut Vec<u8>, stream: Stream, at: Timestamp, piece: Piece<'_>) {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME]);
        push_bytes(out, 1, stream.as_str().as_bytes());
        push_varint(out, 2 << 3);
        push_varint(out, i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX).unsigned_abs());
        if !piece.bytes.is_empty() {
            push_bytes(out, 3, piece.bytes);
        }
        if piece.continued {
            self.push_part(out, stream, at, piece.whole);
        }
        out.extend_from_slice(&self.attributes);
        let length = u32::try_from(out.len() - start - FRAME).unwrap_or(u32::MAX).to_be_bytes();
        out[start..start + FRAME].copy_from_slice(&length);
        out.extend_from_slice(&length);
    }

    /// A line's parts are told to belong together by an id; the time of the first is as good as a random one.
    fn push_part(&mut self, out: &mut Vec<u8>, stream: Stream, at: Timestamp, last: bool) {
        let (id, ordinal) = &mut self.parts[usize::from(stream.number() - 1)];
        if *ordinal == 0 {
            *id = format!("{:064x}", at.as_nanosecond());
        }
        *ordinal += 1;
        let mut metadata = Vec::new();
        if last {
            metadata.extend_from_slice(&[1 << 3, 1]);
        }
        push_bytes(&mut metadata, 2, id.as_bytes());
        push_varint(&mut metadata, 3 << 3);
        push_varint(&mut metadata, u64::from(*ordinal));
        out.extend_from_slice(&[4 << 3, 1]);
        push_bytes(out, 5, &metadata);
        if last {
            *ordinal = 0;
        }
    }
}

fn push_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    push_varint(out, field << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One field of a protocol buffer.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads fields in their order; ends at the first that is malformed.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            5 => Field::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// A record from its protocol buffer.
pub(super) fn decode(entry: &[u8]) -> Option<Record> {
    let mut record = Record {
        stream: Stream::Stdout,
        time: Timestamp::UNIX_EPOCH,
        line: Vec::new(),
        attributes: Vec::new(),
    };
    let (mut partial, mut last) = (false, false);
    for (number, field) in Fields(entry) {
        match (number, field) {
            (1, Field::Bytes(source)) if source == b"stderr" => record.stream = Stream::Stderr,
            (2, Field::Number(nanoseconds)) => {
                record.time = Timestamp::from_nanosecond(i128::from(nanoseconds.cast_signed())).ok()?;
            }
            (3, Field::Bytes(line)) => record.line = line.to_vec(),
            (4, Field::Number(value)) => partial = value != 0,
            (5, Field::Bytes(metadata)) => {
                last = Fields(metadata).any(|field| matches!(field, (1, Field::Number(value)) if value != 0));
            }
            (6, Field::Bytes(pair)) => record.attributes.push(decode_pair(pair)),
            _ => {}
        }
    }
    if !partial || last {
        record.line.push(b'\n');
    }
    Some(record)
}

fn decode_pair(pair: &[u8]) -> (String, String) {
    let (mut key, mut value) = (String::new(), String::new());
    for (number, field) in Fields(pair) {
        match (number, field) {
            (1, Field::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (2, Field::Bytes(text)) => value = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    (key, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_bytes() {
        let at = Timestamp::from_nanosecond(1).unwrap();
        let mut out = Vec::new();
        let whole = Piece { bytes: b"hi", whole: true, continued: false };
        Encoder::new(&BTreeMap::new()).push(&mut out, Stream::Stdout, at, whole);
        assert_eq!(out, b"\0\0\0\x0e\x0a\x06stdout\x10\x01\x1a\x02hi\0\0\0\x0e");

        let attributes = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        let mut encoder = Encoder::new(&attributes);
        for (piece, text) in [
            (Piece { whole: false, continued: true, ..whole }, &b"hi"[..]),
            (Piece { continued: true, ..whole }, b"hi\n"),
            (whole, b"hi\n"),
        ] {
            out.clear();
            encoder.push(&mut out, Stream::Stderr, at, piece);
            let record = decode(&out[FRAME..out.len() - FRAME]).unwrap();
            assert_eq!((record.stream, record.time, &*record.line), (Stream::Stderr, at, text));
            assert_eq!(record.attributes, [("k".into(), "v".into())]);
        }
    }

    #[test]
    fn hostile_bytes_do_no_harm() {
        for bytes in [&b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"[..], b"\xff", b"\x0f", b"\x10"] {
            assert!(decode(bytes).is_some());
        }
    }
}
