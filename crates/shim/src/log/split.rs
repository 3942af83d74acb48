//! Cuts a stream of output into records: lines, and parts of lines longer than 16 KiB, as Docker's copier does.

/// The longest part of a line in one record.
pub(super) const MAX_PART: usize = 16 * 1024;

/// A piece of output for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The bytes, without line feed.
    pub bytes: &'a [u8],
    /// Whether a line ends here.
    pub whole: bool,
    /// Whether this is one of several pieces of a line.
    pub continued: bool,
}

/// Remembers the unfinished line of one stream: never more than [`MAX_PART`] bytes.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    held: Vec<u8>,
    /// A part of the current line was given out already.
    continued: bool,
}

impl Splitter {
    /// Gives out all pieces that `chunk` completes.
    pub(super) fn push(&mut self, mut chunk: &[u8], mut give: impl FnMut(Piece<'_>)) {
        while !chunk.is_empty() {
            let room = MAX_PART - self.held.len();
            let window = &chunk[..chunk.len().min(room)];
            if let Some(end) = memchr::memchr(b'\n', window) {
                let continued = std::mem::take(&mut self.continued);
                self.emit(&chunk[..end], true, continued, &mut give);
                chunk = &chunk[end + 1..];
            } else if window.len() == room {
                self.emit(window, false, true, &mut give);
                self.continued = true;
                chunk = &chunk[room..];
            } else {
                self.held.extend_from_slice(chunk);
                return;
            }
        }
    }

    /// The stream has ended: an unfinished line is given out as a part.
    pub(super) fn end(&mut self, mut give: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            self.emit(&[], false, true, &mut give);
        }
        self.held = Vec::new();
        self.continued = false;
    }

    fn emit(&mut self, bytes: &[u8], whole: bool, continued: bool, give: &mut impl FnMut(Piece<'_>)) {
        if self.held.is_empty() {
            give(Piece { bytes, whole, continued });
            return;
        }
        self.held.extend_from_slice(bytes);
        give(Piece { bytes: &self.held, whole, continued });
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(usize, bool, bool)> {
        let mut splitter = Splitter::default();
        let mut pieces = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |piece| pieces.push((piece.bytes.len(), piece.whole, piece.continued)));
        }
        splitter.end(|piece| pieces.push((piece.bytes.len(), piece.whole, piece.continued)));
        pieces
    }

    #[test]
    fn as_docker_splits() {
        let long = vec![b'x'; MAX_PART * 2 + 5];
        for (chunks, expect) in [
            (&[&b"a\nbc\n\n"[..]][..], &[(1, true, false), (2, true, false), (0, true, false)][..]),
            (&[b"ab", b"c\nd"], &[(3, true, false), (1, false, true)]),
            (
                &[&long, b"\ny\n"],
                &[(MAX_PART, false, true), (MAX_PART, false, true), (5, true, true), (1, true, false)],
            ),
            (&[&long[..MAX_PART], b"\n"], &[(MAX_PART, false, true), (0, true, true)]),
            (&[&long[..MAX_PART - 1], b"\n"], &[(MAX_PART - 1, true, false)]),
            (&[b""], &[]),
        ] {
            assert_eq!(split(chunks), expect);
        }
    }
}
