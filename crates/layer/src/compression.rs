//! What a stream is compressed with, and decompression within bounds.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Limits, Result};

const BUFFER: usize = 128 << 10;
/// The longest window a zstd stream may ask for: 128 MiB, as zstd's own programs.
const ZSTD_WINDOW_LOG: u32 = 27;

/// A way of compression that can be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    None,
    /// gzip (RFC 1952), perhaps of several members.
    Gzip,
    /// Zstandard (RFC 8878), perhaps of several frames.
    Zstd,
}

impl Compression {
    /// Tells from a stream's first bytes (six are enough).
    pub fn detect(start: &[u8]) -> Result<Compression> {
        const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
        match start {
            [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
            [0x50..=0x5f, rest @ ..] if rest.starts_with(&SKIPPABLE) => Ok(Compression::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Err(Error::Compression("bzip2")),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(Error::Compression("xz")),
            _ => Ok(Compression::None),
        }
    }
}

type Input<'a> = BufReader<Counted<'a>>;

/// The uncompressed stream; it fails when it grows out of proportion.
pub struct Decoder<'a> {
    inner: Inner<'a>,
    compression: Compression,
    out: u64,
    max_ratio: u64,
    ratio_from: u64,
}

enum Inner<'a> {
    Plain(Input<'a>),
    Gzip(Box<MultiGzDecoder<Input<'a>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Input<'a>>>),
}

/// Looks at a stream's first bytes and decompresses it accordingly.
pub fn decoder<'a>(input: &'a mut (dyn Read + Send), limits: &Limits) -> Result<Decoder<'a>> {
    let mut input = BufReader::with_capacity(BUFFER, Counted { input, count: 0 });
    let compression = Compression::detect(peek(&mut input)?)?;
    let inner = match compression {
        Compression::None => Inner::Plain(input),
        Compression::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(input))),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(Error::Read)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Error::Read)?;
            Inner::Zstd(Box::new(decoder))
        }
    };
    Ok(Decoder { inner, compression, out: 0, max_ratio: limits.max_ratio, ratio_from: limits.ratio_from })
}

/// The first bytes, as many as come with the first read that brings any.
fn peek<'b>(input: &'b mut Input<'_>) -> Result<&'b [u8]> {
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::from_read(e)),
        }
    }
    Ok(input.buffer())
}

impl Decoder<'_> {
    /// What the stream is compressed with.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    fn compressed(&self) -> u64 {
        let input = match &self.inner {
            Inner::Plain(input) => input,
            Inner::Gzip(decoder) => decoder.get_ref(),
            Inner::Zstd(decoder) => decoder.get_ref(),
        };
        input.get_ref().count
    }

    fn check_ratio(&self) -> io::Result<()> {
        if self.out <= self.ratio_from || self.out / self.max_ratio <= self.compressed() {
            return Ok(());
        }
        let limit = self.max_ratio;
        Err(io::Error::other(Error::Limit { what: "uncompressed bytes for each compressed one", limit }))
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            Inner::Plain(input) => return input.read(buffer),
            Inner::Gzip(decoder) => decoder.read(buffer)?,
            Inner::Zstd(decoder) => decoder.read(buffer)?,
        };
        self.out += count as u64;
        self.check_ratio()?;
        Ok(count)
    }
}

struct Counted<'a> {
    input: &'a mut (dyn Read + Send),
    count: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut input = bytes;
        decoder(&mut input, limits)?.read_to_end(&mut out).map_err(Error::from_read)?;
        Ok(out)
    }

    #[test]
    fn decompresses_what_it_recognises() {
        let limits = Limits::default();
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        for stream in [
            b"hello".to_vec(),
            gzip(b"hello"),
            [gzip(b"he"), gzip(b"llo")].concat(),
            zstd(b"hello"),
            [zstd(b"he"), zstd(b"llo")].concat(),
        ] {
            assert_eq!(decode(&stream, &limits).unwrap(), b"hello");
        }
        assert_eq!(decode(b"", &limits).unwrap(), b"");
        for (stream, name) in [(&b"BZh91AY"[..], "bzip2"), (b"\xfd7zXZ\0\0", "xz")] {
            assert!(matches!(decode(stream, &limits), Err(Error::Compression(found)) if found == name));
        }
    }

    #[test]
    fn truncation_is_an_error() {
        let limits = Limits::default();
        let (gz, zst) = (gzip(&[7; 100_000]), zstd::encode_all(&[7u8; 100_000][..], 1).unwrap());
        for stream in [&gz[..gz.len() - 4], &gz[..30], &zst[..zst.len() - 2]] {
            assert!(matches!(decode(stream, &limits), Err(Error::Truncated)));
        }
    }
}
