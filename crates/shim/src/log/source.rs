//! One file of a log, read record by record, and the search for its last records from behind.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
};

use flate2::read::MultiGzDecoder;

use super::{Driver, Record, json_file, local};

/// How much is read at a time.
const BLOCK: usize = 64 * 1024;
/// The longest JSON line taken: 16 KiB of output, each byte escaped, and generous attributes.
const MAX_LINE: usize = 4 << 20;

/// A file being read from front to back.
#[derive(Debug)]
pub(super) struct Source {
    driver: Driver,
    input: Input,
    buffer: Vec<u8>,
    start: usize,
    /// Records still to be left out.
    skip: u64,
}

#[derive(Debug)]
enum Input {
    /// `offset` to `limit`.
    Plain {
        file: File,
        offset: u64,
        limit: u64,
    },
    Compressed(Box<MultiGzDecoder<File>>),
}

impl Source {
    pub(super) fn plain(driver: Driver, file: File, offset: u64, limit: u64) -> Self {
        Self { driver, input: Input::Plain { file, offset, limit }, buffer: Vec::new(), start: 0, skip: 0 }
    }

    /// A compressed file without its first `skip` records.
    pub(super) fn compressed(driver: Driver, file: File, skip: u64) -> Self {
        let input = Input::Compressed(Box::new(MultiGzDecoder::new(file)));
        Self { driver, input, buffer: Vec::new(), start: 0, skip }
    }

    /// How many records follow.
    pub(super) fn count(mut self) -> io::Result<u64> {
        let mut records = 0;
        while self.next()?.is_some() {
            records += 1;
        }
        Ok(records)
    }

    /// The inode of an uncompressed file.
    pub(super) fn inode(&self) -> Option<u64> {
        match &self.input {
            Input::Plain { file, .. } => file.metadata().ok().map(|found| found.ino()),
            Input::Compressed(_) => None,
        }
    }

    /// Whether the file became shorter than what was read of it; then it is read from its beginning.
    pub(super) fn rewind_if_truncated(&mut self) -> bool {
        let Input::Plain { file, offset, .. } = &mut self.input else { return false };
        if file.metadata().is_ok_and(|found| found.len() < *offset) {
            *offset = 0;
            self.buffer.clear();
            self.start = 0;
            return true;
        }
        false
    }

    /// The next record; `None` when all that is there was read. What isn't a record is skipped.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            match self.cut() {
                Cut::Record(_) if self.skip > 0 => self.skip -= 1,
                Cut::Record(record) => return Ok(Some(record)),
                Cut::Garbage => {}
                Cut::Broken => return Ok(None),
                Cut::Incomplete => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn cut(&mut self) -> Cut {
        let rest = &self.buffer[self.start..];
        let (entry, length) = match self.driver {
            Driver::Local => match local_entry(rest) {
                Frame::Entry(entry) => (entry, entry.len() + 2 * local::FRAME),
                Frame::Incomplete => return Cut::Incomplete,
                Frame::Broken => return Cut::Broken,
            },
            Driver::JsonFile | Driver::None => match memchr::memchr(b'\n', rest) {
                Some(end) => (&rest[..end], end + 1),
                None if rest.len() > MAX_LINE => return Cut::Broken,
                None => return Cut::Incomplete,
            },
        };
        let record = match self.driver {
            Driver::Local => local::decode(entry),
            Driver::JsonFile | Driver::None => json_file::decode(entry),
        };
        self.start += length;
        record.map_or(Cut::Garbage, Cut::Record)
    }

    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + BLOCK, 0);
        let result = self.input.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + result.as_ref().copied().unwrap_or(0));
        result.map(|length| length > 0)
    }
}

enum Cut {
    Record(Record),
    /// Something that isn't a record.
    Garbage,
    /// More bytes are needed.
    Incomplete,
    /// From here on nothing can be made out.
    Broken,
}

impl Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain { file, offset, limit } => {
                let most =
                    usize::try_from(limit.saturating_sub(*offset)).unwrap_or(usize::MAX).min(into.len());
                let length = file.read_at(&mut into[..most], *offset)?;
                *offset += length as u64;
                Ok(length)
            }
            // A compressed file that is being written, or was cut off, ends where it ends.
            Self::Compressed(decoder) => match decoder.read(into) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) =>
                {
                    Ok(0)
                }
                other => other,
            },
        }
    }
}

enum Frame<'a> {
    Entry(&'a [u8]),
    Incomplete,
    Broken,
}

fn local_entry(bytes: &[u8]) -> Frame<'_> {
    let Some((head, rest)) = bytes.split_first_chunk::<{ local::FRAME }>() else { return Frame::Incomplete };
    let length = u32::from_be_bytes(*head) as usize;
    if length > local::MAX_RECORD {
        return Frame::Broken;
    }
    match (rest.get(..length), rest.get(length..length + local::FRAME)) {
        (Some(entry), Some(tail)) if tail == head => Frame::Entry(entry),
        (Some(_), Some(_)) => Frame::Broken,
        _ => Frame::Incomplete,
    }
}

/// Where the last `wanted` records of `file`'s first `size` bytes begin, and how many there are.
pub(super) fn find_tail(driver: Driver, file: &File, size: u64, wanted: u64) -> io::Result<(u64, u64)> {
    match driver {
        Driver::Local => find_tail_local(file, size, wanted),
        Driver::JsonFile | Driver::None => find_tail_json(file, size, wanted),
    }
}

fn find_tail_json(file: &File, size: u64, wanted: u64) -> io::Result<(u64, u64)> {
    let mut block = vec![0; BLOCK];
    let mut end = size;
    let mut found = 0;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let bytes = &mut block[..(end - start) as usize];
        file.read_exact_at(bytes, start)?;
        for at in memchr::memrchr_iter(b'\n', bytes) {
            let line = start + at as u64 + 1;
            // The line feed that ends the last line begins none.
            if line == size {
                continue;
            }
            found += 1;
            if found == wanted {
                return Ok((line, found));
            }
        }
        end = start;
    }
    Ok((0, found + u64::from(size > 0)))
}

fn find_tail_local(file: &File, size: u64, wanted: u64) -> io::Result<(u64, u64)> {
    let mut offset = size;
    let mut found = 0;
    while offset > 2 * local::FRAME as u64 && found < wanted {
        let mut tail = [0; local::FRAME];
        file.read_exact_at(&mut tail, offset - local::FRAME as u64)?;
        let length = u64::from(u32::from_be_bytes(tail)) + 2 * local::FRAME as u64;
        let mut head = [0; local::FRAME];
        let Some(start) = offset.checked_sub(length) else { break };
        file.read_exact_at(&mut head, start)?;
        if head != tail {
            break;
        }
        offset = start;
        found += 1;
    }
    Ok((offset, found))
}
