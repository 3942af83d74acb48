//! Docker's `json-file` records: `{"log":"…\n","stream":"stdout","attrs":{…},"time":"…"}`, one per line.
//!
//! Escaping is that of Docker's writer, byte for byte; it is written by hand because every byte of every container's
//! output passes here.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde::Deserialize;

use super::{Record, Stream, split::Piece, time};

/// Writes records with the same attributes.
#[derive(Debug)]
pub(super) struct Encoder {
    /// `","stream":"stdout",["attrs":{…},]"time":"`, for both streams.
    middle: [Vec<u8>; 2],
    /// Date and time to the second, of `second`.
    prefix: Vec<u8>,
    second: i64,
}

impl Encoder {
    pub(super) fn new(attributes: &BTreeMap<String, String>) -> Self {
        let middle = |stream: Stream| {
            let mut text = b"\",\"stream\":\"".to_vec();
            text.extend_from_slice(stream.as_str().as_bytes());
            text.extend_from_slice(b"\",");
            if !attributes.is_empty() {
                text.extend_from_slice(b"\"attrs\":{");
                for (index, (key, value)) in attributes.iter().enumerate() {
                    text.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
                    push_escaped(&mut text, key.as_bytes());
                    text.extend_from_slice(b"\":\"");
                    push_escaped(&mut text, value.as_bytes());
                    text.push(b'"');
                }
                text.extend_from_slice(b"},");
            }
            text.extend_from_slice(b"\"time\":\"");
            text
        };
        Self { middle: [middle(Stream::Stdout), middle(Stream::Stderr)], prefix: Vec::new(), second: -1 }
    }

    pub(super) fn push(&mut self, out: &mut Vec<u8>, stream: Stream, at: Timestamp, piece: Piece<'_>) {
        out.extend_from_slice(b"{\"log\":\"");
        push_escaped(out, piece.bytes);
        if piece.whole {
            out.extend_from_slice(b"\\n");
        }
        out.extend_from_slice(&self.middle[usize::from(stream.number() - 1)]);
        if at.as_second() != self.second {
            self.second = at.as_second();
            self.prefix.clear();
            time::push_seconds(&mut self.prefix, self.second);
        }
        out.extend_from_slice(&self.prefix);
        time::push_fraction_trimmed(out, at.subsec_nanosecond().unsigned_abs());
        out.extend_from_slice(b"Z\"}\n");
    }
}

/// What a byte needs: 0 nothing, 1 an escape, 2 a look at what follows (U+2028 and U+2029 begin with E2).
const NEEDS: [u8; 256] = {
    let mut needs = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        needs[byte] = 1;
        byte += 1;
    }
    needs[b'"' as usize] = 1;
    needs[b'\\' as usize] = 1;
    needs[b'<' as usize] = 1;
    needs[b'>' as usize] = 1;
    needs[b'&' as usize] = 1;
    needs[0xe2] = 2;
    needs
};

fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_ascii() {
        push_valid(out, bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        push_valid(out, chunk.valid().as_bytes());
        // Go replaces each byte for itself.
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// `bytes` is valid UTF-8.
fn push_valid(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let length = match NEEDS[usize::from(byte)] {
            0 => {
                at += 1;
                continue;
            }
            1 => 1,
            _ => match bytes.get(at + 1..at + 3) {
                Some([0x80, 0xa8 | 0xa9]) => 3,
                _ => {
                    at += 1;
                    continue;
                }
            },
        };
        out.extend_from_slice(&bytes[start..at]);
        push_escape(out, byte, bytes[at + length - 1]);
        at += length;
        start = at;
    }
    out.extend_from_slice(&bytes[start..]);
}

fn push_escape(out: &mut Vec<u8>, first: u8, last: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match first {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', first]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        0xe2 => out.extend_from_slice(if last == 0xa8 { b"\\u2028" } else { b"\\u2029" }),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(first >> 4)], HEX[usize::from(first & 15)]]);
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    time: Timestamp,
    #[serde(default)]
    attrs: Option<BTreeMap<String, String>>,
}

/// A record from its line (without line feed); `None` if it is none.
pub(super) fn decode(line: &[u8]) -> Option<Record> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some(Record {
        stream: if line.stream == "stderr" { Stream::Stderr } else { Stream::Stdout },
        time: line.time,
        line: line.log.into_owned().into_bytes(),
        attributes: line.attrs.unwrap_or_default().into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escape(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_escaped(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_as_docker() {
        for (bytes, expect) in [
            (&b"plain"[..], "plain"),
            (b"a\"b\\c", r#"a\"b\\c"#),
            (b"\t\r\x1b[0m\x7f", "\\u0009\\r\\u001b[0m\x7f"),
            (b"<a&b>", r"\u003ca\u0026b\u003e"),
            ("grüße €".as_bytes(), "grüße €"),
            ("\u{2028}x\u{2029}".as_bytes(), r"\u2028x\u2029"),
            (b"\xff\xe2\x82A", r"\ufffd\ufffd\ufffdA"),
            (b"\xe2\x80", r"\ufffd\ufffd"),
        ] {
            assert_eq!(escape(bytes), expect);
        }
    }

    #[test]
    fn whole_lines() {
        let at: Timestamp = "2026-01-02T03:04:05.1Z".parse().unwrap();
        let mut out = Vec::new();
        let piece = Piece { bytes: b"hi", whole: true, continued: false };
        Encoder::new(&BTreeMap::new()).push(&mut out, Stream::Stdout, at, piece);
        let attributes = BTreeMap::from([("k".into(), "v\"".into()), ("l".into(), String::new())]);
        let part = Piece { whole: false, ..piece };
        Encoder::new(&attributes).push(&mut out, Stream::Stderr, at, part);
        let lines: Vec<&str> = std::str::from_utf8(&out).unwrap().lines().collect();
        assert_eq!(lines[0], r#"{"log":"hi\n","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}"#);
        assert_eq!(
            lines[1],
            r#"{"log":"hi","stream":"stderr","attrs":{"k":"v\"","l":""},"time":"2026-01-02T03:04:05.1Z"}"#
        );
        let record = decode(lines[1].as_bytes()).unwrap();
        assert_eq!((record.stream, record.time, &*record.line), (Stream::Stderr, at, &b"hi"[..]));
        assert_eq!(record.attributes, [("k".into(), "v\"".into()), ("l".into(), String::new())]);
        assert!(decode(b"{\"log\":").is_none());
    }
}
