//! Detach keys: parsed as Docker writes them, and watched for in what a client types. Pure.

use crate::{Error, Result};

/// `ctrl-p,ctrl-q`.
const DEFAULT: [u8; 2] = [16, 17];

/// Watches input for a sequence of keys; a beginning of it is held back until it is one or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl Default for DetachKeys {
    fn default() -> Self {
        Self { keys: DEFAULT.to_vec(), matched: 0 }
    }
}

impl DetachKeys {
    /// Parses `ctrl-a,b,ctrl-\`; the empty text is the default. `what` names it in the error.
    pub(super) fn parse(text: &str, what: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let keys = text.split(',').map(key).collect::<Option<Vec<u8>>>();
        let keys = keys.ok_or_else(|| Error::invalid(format!("Invalid {what} keys ({text}) provided")))?;
        Ok(Self { keys, matched: 0 })
    }

    /// Passes input on to `out`; true when the sequence is complete (nothing after it is passed).
    pub(super) fn pass(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        for &byte in input {
            if byte != self.keys[self.matched] {
                out.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return true;
                }
            } else {
                out.push(byte);
            }
        }
        false
    }
}

fn key(text: &str) -> Option<u8> {
    let mut bytes = text.bytes();
    match (text.strip_prefix("ctrl-"), bytes.next(), bytes.next()) {
        (Some(control), ..) => match control.as_bytes() {
            [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
            b"@" => Some(0),
            b"[" => Some(27),
            b"\\" => Some(28),
            b"]" => Some(29),
            b"^" => Some(30),
            b"_" => Some(31),
            _ => None,
        },
        (None, Some(only), None) if only.is_ascii() => Some(only),
        _ if text == "DEL" => Some(127),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_found_however_they_are_cut() {
        for (pieces, expect, detached) in [
            (&["ab"][..], "ab", false),
            (&["a\x10\x11b"], "a", true),
            (&["a\x10", "\x11"], "a", true),
            (&["\x10", "x"], "\x10x", false),
            (&["\x10\x10\x11"], "\x10", true),
        ] {
            let (mut keys, mut out) = (DetachKeys::default(), Vec::new());
            let found = pieces.iter().any(|piece| keys.pass(piece.as_bytes(), &mut out));
            assert_eq!((found, String::from_utf8(out).unwrap().as_str()), (detached, expect), "{pieces:?}");
        }
    }

    #[test]
    fn texts() {
        for (text, keys) in [
            ("", vec![16, 17]),
            ("ctrl-a,b", vec![1, b'b']),
            ("ctrl-@,ctrl-[,ctrl-_", vec![0, 27, 31]),
            ("DEL", vec![127]),
        ] {
            assert_eq!(DetachKeys::parse(text, "detach").unwrap().keys, keys, "{text}");
        }
        for bad in ["ctrl-", "ctrl-A1", "ab", "ctrl-a,"] {
            let error = DetachKeys::parse(bad, "detach").unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid detach keys ({bad}) provided"));
        }
    }
}
