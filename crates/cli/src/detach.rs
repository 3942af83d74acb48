//! The keys that detach from a terminal: held back here, so that neither the daemon nor the container sees them.

/// ctrl-p ctrl-q.
const DEFAULT: &[u8] = &[16, 17];

/// Looks for the sequence in what is typed.
#[derive(Debug, Clone)]
pub struct Keys {
    sequence: Vec<u8>,
    matched: usize,
}

impl Keys {
    /// Reads `ctrl-p,ctrl-q` or `a,b`; text that is none is the default (the daemon says what is wrong with it).
    pub fn new(text: Option<&str>) -> Keys {
        let sequence: Option<Vec<u8>> =
            text.filter(|text| !text.is_empty()).and_then(|text| text.split(',').map(key).collect());
        Keys { sequence: sequence.unwrap_or_else(|| DEFAULT.to_vec()), matched: 0 }
    }

    /// What of `typed` goes on to the container, and whether the sequence was completed. A beginning of the sequence
    /// is held back until it is clear that it is none.
    pub fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for &byte in typed {
            if byte != self.sequence[self.matched] {
                passed.extend_from_slice(&self.sequence[..self.matched]);
                self.matched = 0;
            }
            if byte != self.sequence[self.matched] {
                passed.push(byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.sequence.len() {
                self.matched = 0;
                return (passed, true);
            }
        }
        (passed, false)
    }
}

/// `a`, `ctrl-a`, `ctrl-@`, `ctrl-[`, `ctrl-\`, `ctrl-]`, `ctrl-^`, `ctrl-_`.
fn key(text: &str) -> Option<u8> {
    let name = text.strip_prefix("ctrl-").unwrap_or(text);
    let &[letter] = name.as_bytes() else { return None };
    match (text.len() > 1, letter) {
        (false, _) => Some(letter),
        (true, b'a'..=b'z') => Some(letter - b'a' + 1),
        (true, b'@') => Some(0),
        (true, b'['..=b'_') => Some(letter - b'[' + 27),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_found_over_any_cut_and_nothing_else_is_lost() {
        let mut keys = Keys::new(None);
        assert_eq!(keys.filter(b"ls\n"), (b"ls\n".to_vec(), false));
        assert_eq!(keys.filter(&[b'x', 16]), (b"x".to_vec(), false));
        assert_eq!(keys.filter(&[16, b'y']), (vec![16, 16, b'y'], false));
        assert_eq!(keys.filter(&[16]), (vec![], false));
        assert_eq!(keys.filter(&[17]), (vec![], true));
        let mut keys = Keys::new(Some("ctrl-a,d,ctrl-]"));
        assert_eq!(keys.filter(&[b'z', 1, b'd', 29, b'q']), (b"z".to_vec(), true));
        assert_eq!(Keys::new(Some("nonsense")).sequence, DEFAULT);
    }
}
