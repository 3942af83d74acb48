//! One 512-byte header block: its fields, its numbers, its checksum.

use crate::{Error, Result};

/// The size of a block: headers are one, data is padded to it.
pub const BLOCK: usize = 512;

/// A block's bytes.
pub(super) type Block = [u8; BLOCK];

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A regular file.
    #[default]
    File,
    /// Another name of a file that came before.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A point in time: seconds since 1970, perhaps negative, and nanoseconds forward from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Seconds.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

/// The dialect of a header, by its magic bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// Byte ranges of the fields (POSIX.1-2017 pax, "ustar Interchange Format").
pub(super) mod field {
    use std::ops::Range;
    pub const NAME: Range<usize> = 0..100;
    pub const MODE: Range<usize> = 100..108;
    pub const UID: Range<usize> = 108..116;
    pub const GID: Range<usize> = 116..124;
    pub const SIZE: Range<usize> = 124..136;
    pub const MTIME: Range<usize> = 136..148;
    pub const CHECKSUM: Range<usize> = 148..156;
    pub const TYPE: usize = 156;
    pub const LINK: Range<usize> = 157..257;
    pub const MAGIC: Range<usize> = 257..265;
    pub const MAJOR: Range<usize> = 329..337;
    pub const MINOR: Range<usize> = 337..345;
    pub const PREFIX: Range<usize> = 345..500;
    pub const STAR_PREFIX: Range<usize> = 345..476;
    pub const STAR_TRAILER: Range<usize> = 508..512;
    /// Old GNU: four (offset, length) pairs of 24 bytes, "more blocks follow", the logical size.
    pub const GNU_SPARSE: Range<usize> = 386..482;
    pub const GNU_EXTENDED: usize = 482;
    pub const GNU_REAL_SIZE: Range<usize> = 483..495;
}

/// Whether the block's checksum is right. Old tars summed signed bytes.
pub(super) fn checksum_matches(block: &Block) -> bool {
    let Ok(stored) = number(&block[field::CHECKSUM]) else { return false };
    let (unsigned, signed) = checksums(block);
    i128::from(unsigned) == stored || i128::from(signed) == stored
}

pub(super) fn checksums(block: &Block) -> (u32, i32) {
    let spaces = field::CHECKSUM.len() as u32 * u32::from(b' ');
    let outside = || block[..field::CHECKSUM.start].iter().chain(&block[field::CHECKSUM.end..]);
    let unsigned = outside().map(|&b| u32::from(b)).sum::<u32>() + spaces;
    let signed = outside().map(|&b| i32::from(b as i8)).sum::<i32>() + spaces as i32;
    (unsigned, signed)
}

pub(super) fn dialect(block: &Block) -> Dialect {
    match &block[field::MAGIC] {
        b"ustar\x0000" if &block[field::STAR_TRAILER] == b"tar\0" => Dialect::Star,
        b"ustar  \0" => Dialect::Gnu,
        magic if magic.starts_with(b"ustar\0") => Dialect::Ustar,
        _ => Dialect::V7,
    }
}

/// A number: octal text, or big-endian two's complement when the first bit is set (GNU, star).
pub(super) fn number(bytes: &[u8]) -> Result<i128> {
    match bytes.first() {
        Some(&first) if first & 0x80 != 0 => Ok(base256(bytes)),
        _ => octal(bytes),
    }
}

fn base256(bytes: &[u8]) -> i128 {
    // The marker bit is no part of the number; the next one is its sign. At most 12 bytes: no overflow.
    let first = bytes[0] & 0x7f;
    let start = if first & 0x40 != 0 { i128::from(first) - 0x80 } else { i128::from(first) };
    bytes[1..].iter().fold(start, |value, &byte| (value << 8) | i128::from(byte))
}

fn octal(bytes: &[u8]) -> Result<i128> {
    let text = bytes.split(|&b| b == 0).next().unwrap_or_default().trim_ascii();
    text.iter().try_fold(0i128, |value, &byte| match byte {
        b'0'..=b'7' => Ok(value * 8 + i128::from(byte - b'0')),
        _ => Err(Error::Format("a header has a malformed number".to_owned())),
    })
}

/// A number that must fit `T`.
pub(super) fn number_as<T: TryFrom<i128>>(bytes: &[u8], what: &str) -> Result<T> {
    T::try_from(number(bytes)?).map_err(|_| Error::Format(format!("a header's {what} is out of range")))
}

/// Text up to the first NUL.
pub(super) fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (bytes, expect) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"00000000000\0", Some(0)),
            (b"\0\0\0\0", Some(0)),
            (b"77777777777 ", Some(0o77777777777)),
            (b"\x80\0\0\0\0\0\0\x01", Some(1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\0\0\0\x01\0\0\0\0", Some(1 << 32)),
            (b"12345678", None),
            (b"-1\0", None),
        ] {
            assert_eq!(number(bytes).ok(), expect, "{bytes:?}");
        }
    }
}
