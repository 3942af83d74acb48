//! One record of a log, and its form on the wire of `logs`.

use jiff::Timestamp;

/// Which stream a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, and all of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name as logged.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The number in Docker's stream frames.
    pub const fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }
}

/// One line of output, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it came from.
    pub stream: Stream,
    /// When.
    pub time: Timestamp,
    /// The bytes, with the line feed unless it is a part.
    pub line: Vec<u8>,
    /// Attributes chosen by the log options, sorted by key.
    pub attributes: Vec<(String, String)>,
}

impl Record {
    /// The text for `logs`: time and attributes, as asked, before the line.
    pub fn render(&self, timestamps: bool, details: bool) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.line.len() + 40);
        if timestamps {
            super::time::push_fixed(&mut text, self.time);
            text.push(b' ');
        }
        if details {
            for (index, (key, value)) in self.attributes.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                push_query_escaped(&mut text, key);
                text.push(b'=');
                push_query_escaped(&mut text, value);
            }
            text.push(b' ');
        }
        text.extend_from_slice(&self.line);
        text
    }
}

/// As Go's `url.QueryEscape`.
fn push_query_escaped(text: &mut Vec<u8>, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(byte),
            b' ' => text.push(b'+'),
            _ => text.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders() {
        let record = Record {
            stream: Stream::Stdout,
            time: "2026-01-02T03:04:05.5Z".parse().unwrap(),
            line: b"hi\n".to_vec(),
            attributes: vec![("a b".into(), "c&d".into()), ("e".into(), String::new())],
        };
        for (timestamps, details, expect) in [
            (false, false, "hi\n"),
            (true, false, "2026-01-02T03:04:05.500000000Z hi\n"),
            (false, true, "a+b=c%26d,e= hi\n"),
            (true, true, "2026-01-02T03:04:05.500000000Z a+b=c%26d,e= hi\n"),
        ] {
            assert_eq!(String::from_utf8(record.render(timestamps, details)).unwrap(), expect);
        }
    }
}
