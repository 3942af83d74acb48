//! The multiplexed stream of attach, logs and exec without a terminal: each frame is eight bytes of header (stream,
//! three zeros, big-endian length) and its payload. The decoder hands out payload as it comes and buffers at most a
//! header, so a hostile length costs nothing.

/// The content type of a multiplexed stream (1.42 and later).
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// The content type of a raw stream.
pub const RAW: &str = "application/vnd.docker.raw-stream";
/// The length of a frame's header.
pub const HEADER_LEN: usize = 8;

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Input, echoed.
    Stdin = 0,
    /// Output.
    Stdout = 1,
    /// Errors.
    Stderr = 2,
    /// An error of the daemon itself; the stream ends after it.
    System = 3,
}

impl Stream {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Stdin,
            1 => Self::Stdout,
            2 => Self::Stderr,
            3 => Self::System,
            _ => return None,
        })
    }
}

/// The header of a frame with `len` bytes of payload.
pub fn header(stream: Stream, len: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = len.to_be_bytes();
    [stream as u8, 0, 0, 0, a, b, c, d]
}

/// Appends `payload` to `out` as frames (one, unless it is longer than 4 GiB).
pub fn encode(stream: Stream, payload: &[u8], out: &mut Vec<u8>) {
    for chunk in payload.chunks(u32::MAX as usize) {
        out.extend_from_slice(&header(stream, chunk.len() as u32));
        out.extend_from_slice(chunk);
    }
}

/// A header names no known stream: this is no multiplexed stream, or it lost its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unrecognized input header: {0}")]
pub struct UnknownStream(pub u8);

/// Takes frames apart, however the bytes are cut: call [`Decoder::next`] until it gives `None`, then read more.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_LEN],
    have: usize,
    payload_left: usize,
}

impl Decoder {
    /// Takes the next piece of payload from the front of `input`; `None` when more input is needed.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<(Stream, &'a [u8])>, UnknownStream> {
        loop {
            if self.have < HEADER_LEN {
                let take = input.len().min(HEADER_LEN - self.have);
                let (head, rest) = input.split_at(take);
                self.header[self.have..self.have + take].copy_from_slice(head);
                (self.have, *input) = (self.have + take, rest);
                if self.have < HEADER_LEN {
                    return Ok(None);
                }
                let [.., a, b, c, d] = self.header;
                self.payload_left = u32::from_be_bytes([a, b, c, d]) as usize;
            }
            let stream = Stream::from_byte(self.header[0]).ok_or(UnknownStream(self.header[0]))?;
            if self.payload_left == 0 {
                self.have = 0;
                continue;
            }
            if input.is_empty() {
                return Ok(None);
            }
            let (payload, rest) = input.split_at(input.len().min(self.payload_left));
            *input = rest;
            self.payload_left -= payload.len();
            if self.payload_left == 0 {
                self.have = 0;
            }
            return Ok(Some((stream, payload)));
        }
    }

    /// Whether the stream may end here: no header or payload is cut.
    pub fn is_between_frames(&self) -> bool {
        self.have == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(bytes: &[u8], cut: usize) -> (Vec<u8>, Vec<u8>, bool) {
        let (mut out, mut err, mut decoder) = (Vec::new(), Vec::new(), Decoder::default());
        for mut piece in bytes.chunks(cut) {
            while let Some((stream, payload)) = decoder.next(&mut piece).unwrap() {
                match stream {
                    Stream::Stdout => out.extend_from_slice(payload),
                    _ => err.extend_from_slice(payload),
                }
            }
        }
        (out, err, decoder.is_between_frames())
    }

    #[test]
    fn frames_survive_any_cut() {
        let mut bytes = Vec::new();
        encode(Stream::Stdout, b"one", &mut bytes);
        bytes.extend_from_slice(&header(Stream::Stdout, 0));
        encode(Stream::Stderr, b"two", &mut bytes);
        encode(Stream::Stdout, b"three", &mut bytes);
        for cut in 1..=bytes.len() {
            assert_eq!(collect(&bytes, cut), (b"onethree".to_vec(), b"two".to_vec(), true), "{cut}");
        }
        assert!(!collect(&bytes[..bytes.len() - 1], 5).2);
    }

    #[test]
    fn unknown_streams_are_refused() {
        let mut input = &[9u8, 0, 0, 0, 0, 0, 0, 1, 0][..];
        assert_eq!(Decoder::default().next(&mut input), Err(UnknownStream(9)));
    }
}
