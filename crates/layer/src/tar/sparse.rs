//! Sparse files: where the stored bytes belong.
//!
//! Old GNU keeps the map in headers, PAX 0.0 and 0.1 in records, PAX 1.0 in front of the data.

use super::header::{Block, field, number_as, text};
use crate::{Error, Result};

/// One stretch of stored bytes: offset in the file and length.
pub(super) type Stretch = (u64, u64);

fn malformed(reason: &str) -> Error {
    Error::Format(format!("a sparse file's map {reason}"))
}

/// The pairs of an old GNU header or its extension block.
pub(super) fn gnu_pairs(bytes: &[u8]) -> Result<Vec<Stretch>> {
    let mut pairs = Vec::new();
    for pair in bytes.chunks_exact(24) {
        if text(pair).is_empty() {
            break;
        }
        let offset = number_as(&pair[..12], "sparse offset")?;
        let length = number_as(&pair[12..], "sparse length")?;
        pairs.push((offset, length));
    }
    Ok(pairs)
}

/// The pairs of an extension block, and whether another one follows.
pub(super) fn gnu_extension(block: &Block) -> Result<(Vec<Stretch>, bool)> {
    Ok((gnu_pairs(&block[..504])?, block[504] != 0))
}

/// The pairs of the header, the logical size, and whether an extension block follows.
pub(super) fn gnu_header(block: &Block) -> Result<(Vec<Stretch>, u64, bool)> {
    let pairs = gnu_pairs(&block[field::GNU_SPARSE])?;
    let size = number_as(&block[field::GNU_REAL_SIZE], "size")?;
    Ok((pairs, size, block[field::GNU_EXTENDED] != 0))
}

/// Pairs from the flat numbers of PAX records.
pub(super) fn pairs(numbers: &[u64]) -> Result<Vec<Stretch>> {
    if !numbers.len().is_multiple_of(2) {
        return Err(malformed("has an offset without a length"));
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Checks that the stretches ascend without overlap, lie inside the file, and are `stored` bytes together.
pub(super) fn check(map: &[Stretch], stored: u64, size: u64) -> Result<()> {
    let (mut end, mut sum) = (0u64, 0u64);
    for &(offset, length) in map {
        let next = offset.checked_add(length).filter(|&next| next <= size && offset >= end);
        end = next.ok_or_else(|| malformed("overlaps or leaves the file"))?;
        sum += length;
    }
    if sum != stored { Err(malformed("doesn't match the stored bytes")) } else { Ok(()) }
}

/// The map in front of the data of format 1.0: decimal numbers, one per line, beginning with the count of pairs.
pub(super) struct MapLines {
    numbers: Vec<u64>,
    current: Option<u64>,
    wanted: Option<u64>,
    max: u64,
}

impl MapLines {
    /// Takes at most `max` pairs.
    pub fn new(max: u64) -> MapLines {
        MapLines { numbers: Vec::new(), current: None, wanted: None, max }
    }

    /// Takes one block; `true` when the map is complete (the rest of the block is padding).
    pub fn feed(&mut self, block: &Block) -> Result<bool> {
        for &byte in block {
            match byte {
                b'0'..=b'9' => self.digit(byte - b'0')?,
                b'\n' => self.line()?,
                _ => return Err(malformed("is malformed")),
            }
            if self.wanted.is_some_and(|pairs| self.numbers.len() as u64 == pairs * 2) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn digit(&mut self, digit: u8) -> Result<()> {
        let value = self.current.unwrap_or(0).checked_mul(10).and_then(|v| v.checked_add(u64::from(digit)));
        self.current = Some(value.ok_or_else(|| malformed("has a number out of range"))?);
        Ok(())
    }

    fn line(&mut self) -> Result<()> {
        let number = self.current.take().ok_or_else(|| malformed("has an empty line"))?;
        match self.wanted {
            None if number > self.max => Err(malformed("is too long")),
            None => {
                self.wanted = Some(number);
                Ok(())
            }
            Some(_) => {
                self.numbers.push(number);
                Ok(())
            }
        }
    }

    /// The pairs.
    pub fn finish(self) -> Result<Vec<Stretch>> {
        pairs(&self.numbers)
    }
}
