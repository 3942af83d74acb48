//! Reads an archive entry by entry, in one pass and in bounded memory.
//!
//! What headers of all dialects say about one entry is merged before it is handed out. PAX global headers are
//! read and ignored, as Docker does. Links, devices, directories and pipes never have data, whatever their size
//! field says (as in Go's reader, so that both see the same archive).

use std::io::Read;

use super::header::{BLOCK, Block, Dialect, Kind, Time, checksum_matches, dialect, field, number_as, text};
use super::pax::Pax;
use super::sparse::{self, MapLines, Stretch};
use crate::{Error, Limits, Result};

const BUFFER: usize = 256 << 10;

/// One entry, complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as it stands in the archive.
    pub name: Vec<u8>,
    /// What a link points at.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length of the file, holes included.
    pub size: u64,
    /// When it was modified.
    pub mtime: Time,
    /// A device's numbers.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the stored bytes belong, when the file has holes: offset and length.
    pub sparse: Option<Vec<(u64, u64)>>,
}

/// Reads an archive.
pub struct Reader<'a> {
    input: &'a mut dyn Read,
    limits: &'a Limits,
    /// Whether the two zero blocks at the end may be missing (old tools forget them).
    lenient: bool,
    buffer: Box<[u8]>,
    at: usize,
    filled: usize,
    /// Stored bytes of the current entry that were not read yet, and the padding behind them.
    left: u64,
    padding: u64,
    bytes: u64,
    entries: u64,
    ended: bool,
}

/// What long-name and extended headers said before the entry's own.
#[derive(Default)]
struct Extended {
    pax: Pax,
    gnu_name: Option<Vec<u8>>,
    gnu_link: Option<Vec<u8>>,
    bytes: u64,
    /// Whether the entry they belong to must still come.
    dangling: bool,
}

impl<'a> Reader<'a> {
    /// A reader of an uncompressed archive whose end must be marked.
    pub fn new(input: &'a mut dyn Read, limits: &'a Limits) -> Reader<'a> {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Reader {
            input,
            limits,
            lenient: false,
            buffer,
            at: 0,
            filled: 0,
            left: 0,
            padding: 0,
            bytes: 0,
            entries: 0,
            ended: false,
        }
    }

    /// Lets the archive end between two entries without an end mark: for streams whose digest is verified.
    #[must_use]
    pub fn lenient(mut self, lenient: bool) -> Reader<'a> {
        self.lenient = lenient;
        self
    }

    /// Entries handed out until now.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry; what was not read of the one before is skipped. `None` at the archive's end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.skip()?;
        let mut extended = Extended::default();
        loop {
            let Some(block) = self.header_block()? else {
                return if extended.dangling { Err(Error::Truncated) } else { Ok(None) };
            };
            self.count_entry()?;
            extended.dangling |= matches!(block[field::TYPE], b'x' | b'X' | b'L' | b'K');
            match block[field::TYPE] {
                b'x' | b'X' => extended.pax = Pax::parse(&self.extended_data(&block, &mut extended.bytes)?)?,
                b'g' => drop(self.extended_data(&block, &mut extended.bytes)?),
                b'L' => extended.gnu_name = Some(self.gnu_long(&block, &mut extended.bytes)?),
                b'K' => extended.gnu_link = Some(self.gnu_long(&block, &mut extended.bytes)?),
                b'V' => self.skip_label(&block)?,
                _ => return self.entry(&block, extended).map(Some),
            }
        }
    }

    fn count_entry(&mut self) -> Result<()> {
        self.entries += 1;
        let limit = self.limits.max_entries;
        if self.entries > limit { Err(Error::Limit { what: "entries", limit }) } else { Ok(()) }
    }

    /// The next piece of the current entry's stored bytes, at most `max` long; empty when there is no more.
    pub fn data(&mut self, max: u64) -> Result<&[u8]> {
        let wanted = self.left.min(max).min(BUFFER as u64) as usize;
        if wanted == 0 {
            return Ok(&[]);
        }
        if self.at == self.filled {
            self.fill()?;
            if self.filled == 0 {
                return Err(Error::Truncated);
            }
        }
        let taken = wanted.min(self.filled - self.at);
        let start = self.at;
        self.at += taken;
        self.left -= taken as u64;
        Ok(&self.buffer[start..start + taken])
    }

    /// Reads what follows the archive's end mark, so that the whole stream was seen (and hashed).
    pub fn drain(&mut self) -> Result<()> {
        loop {
            self.fill()?;
            if self.filled == 0 {
                return Ok(());
            }
        }
    }

    fn skip(&mut self) -> Result<()> {
        while self.left > 0 {
            self.data(u64::MAX)?;
        }
        self.left = std::mem::take(&mut self.padding);
        while self.left > 0 {
            self.data(u64::MAX)?;
        }
        Ok(())
    }

    /// Replaces the (used up) buffer by what comes next; empty at the end of the stream.
    fn fill(&mut self) -> Result<()> {
        self.at = 0;
        self.filled = 0;
        self.filled = read_some(self.input, &mut self.buffer)?;
        self.bytes += self.filled as u64;
        let limit = self.limits.max_bytes;
        if self.bytes > limit { Err(Error::Limit { what: "bytes", limit }) } else { Ok(()) }
    }

    /// A whole block; `None` when the stream ends before its first byte.
    fn block(&mut self) -> Result<Option<Block>> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            if self.at == self.filled {
                self.fill()?;
                if self.filled == 0 {
                    return if have == 0 { Ok(None) } else { Err(Error::Truncated) };
                }
            }
            let taken = (BLOCK - have).min(self.filled - self.at);
            block[have..have + taken].copy_from_slice(&self.buffer[self.at..self.at + taken]);
            have += taken;
            self.at += taken;
        }
        Ok(Some(block))
    }

    /// The next header; `None` at the end mark.
    fn header_block(&mut self) -> Result<Option<Block>> {
        if self.ended {
            return Ok(None);
        }
        let Some(block) = self.block()? else {
            self.ended = true;
            // An empty stream is an empty archive for nobody but a lenient reader.
            return if self.lenient { Ok(None) } else { Err(Error::Truncated) };
        };
        if block.iter().all(|&b| b == 0) {
            self.ended = true;
            return match self.block()? {
                Some(second) if second.iter().any(|&b| b != 0) => {
                    Err(Error::Format("data follows a zero block".to_owned()))
                }
                _ => Ok(None),
            };
        }
        if !checksum_matches(&block) {
            return Err(Error::Format("a header's checksum is wrong".to_owned()));
        }
        Ok(Some(block))
    }

    fn begin_data(&mut self, size: u64) -> Result<()> {
        let limit = self.limits.max_bytes;
        if size > limit {
            return Err(Error::Limit { what: "bytes", limit });
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    /// The data of an extended header, bounded.
    fn extended_data(&mut self, block: &Block, sum: &mut u64) -> Result<Vec<u8>> {
        let size: u64 = number_as(&block[field::SIZE], "size")?;
        *sum = sum.saturating_add(size).saturating_add(1);
        let limit = self.limits.max_header;
        if *sum > limit {
            return Err(Error::Limit { what: "bytes of extended headers", limit });
        }
        self.begin_data(size)?;
        let mut bytes = Vec::with_capacity(size as usize);
        while (bytes.len() as u64) < size {
            bytes.extend_from_slice(self.data(u64::MAX)?);
        }
        self.skip()?;
        Ok(bytes)
    }

    fn gnu_long(&mut self, block: &Block, sum: &mut u64) -> Result<Vec<u8>> {
        let bytes = self.extended_data(block, sum)?;
        Ok(text(&bytes).to_vec())
    }

    /// A volume label tells nothing about files.
    fn skip_label(&mut self, block: &Block) -> Result<()> {
        self.begin_data(number_as(&block[field::SIZE], "size")?)?;
        self.skip()
    }

    /// Merges an entry's own header with what came before it, and finds where its data begins.
    fn entry(&mut self, block: &Block, extended: Extended) -> Result<Entry> {
        let Extended { mut pax, gnu_name, gnu_link, .. } = extended;
        let stored: u64 = match pax.size {
            Some(size) => size,
            None => number_as(&block[field::SIZE], "size")?,
        };
        let mut entry = Entry {
            name: pax.path.take().or(gnu_name).unwrap_or_else(|| header_name(block)),
            link: pax.link.take().or(gnu_link).unwrap_or_else(|| text(&block[field::LINK]).to_vec()),
            mode: number_as::<i64>(&block[field::MODE], "mode")? as u32 & 0o7777,
            uid: pax.uid.map_or_else(|| number_as(&block[field::UID], "uid"), Ok)?,
            gid: pax.gid.map_or_else(|| number_as(&block[field::GID], "gid"), Ok)?,
            mtime: pax.mtime.map_or_else(|| header_time(block), Ok)?,
            xattrs: std::mem::take(&mut pax.xattrs),
            ..Entry::default()
        };
        entry.kind = kind(block[field::TYPE], &entry.name)?;
        if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
            let major = number_as(&block[field::MAJOR], "device number")?;
            entry.device = (major, number_as(&block[field::MINOR], "device number")?);
        }
        if entry.kind == Kind::File {
            self.file_data(block, &mut entry, pax, stored)?;
        }
        Ok(entry)
    }

    /// Finds the file's length and, if it has holes, its map.
    fn file_data(&mut self, block: &Block, entry: &mut Entry, pax: Pax, stored: u64) -> Result<()> {
        entry.size = stored;
        if block[field::TYPE] == b'S' {
            let (map, size) = self.gnu_map(block)?;
            self.begin_data(stored)?;
            self.set_sparse(entry, map, size)?;
        } else if pax.sparse.is_sparse() {
            self.begin_data(stored)?;
            if let Some(name) = pax.sparse.name {
                entry.name = name;
            }
            let map = match pax.sparse.map {
                Some(numbers) if !matches!(pax.sparse.version, (Some(1), _)) => sparse::pairs(&numbers)?,
                _ => self.map_in_data()?,
            };
            let size = pax.sparse.real_size;
            let size = size.ok_or_else(|| Error::Format("a sparse file has no length".to_owned()))?;
            self.set_sparse(entry, map, size)?;
        } else {
            self.begin_data(stored)?;
        }
        let limit = self.limits.max_file;
        if entry.size > limit { Err(Error::Limit { what: "bytes of one file", limit }) } else { Ok(()) }
    }

    fn set_sparse(&self, entry: &mut Entry, map: Vec<Stretch>, size: u64) -> Result<()> {
        sparse::check(&map, self.left, size)?;
        entry.size = size;
        entry.sparse = Some(map);
        Ok(())
    }

    /// Old GNU: the map of the header and of the extension blocks behind it.
    fn gnu_map(&mut self, block: &Block) -> Result<(Vec<Stretch>, u64)> {
        let (mut map, size, mut more) = sparse::gnu_header(block)?;
        let mut bytes = 0;
        while more {
            bytes += BLOCK as u64;
            let limit = self.limits.max_header;
            if bytes > limit {
                return Err(Error::Limit { what: "bytes of extended headers", limit });
            }
            let extension = self.block()?.ok_or(Error::Truncated)?;
            let (pairs, next) = sparse::gnu_extension(&extension)?;
            map.extend(pairs);
            more = next;
        }
        Ok((map, size))
    }

    /// PAX 1.0: the map in the first blocks of the data.
    fn map_in_data(&mut self) -> Result<Vec<Stretch>> {
        let mut lines = MapLines::new(self.limits.max_header / 16);
        let mut bytes = 0;
        loop {
            let limit = self.limits.max_header;
            if bytes > limit {
                return Err(Error::Limit { what: "bytes of extended headers", limit });
            }
            if self.left < BLOCK as u64 {
                return Err(Error::Format("a sparse file's map is incomplete".to_owned()));
            }
            let block = self.block()?.ok_or(Error::Truncated)?;
            self.left -= BLOCK as u64;
            bytes += BLOCK as u64;
            if lines.feed(&block)? {
                return lines.finish();
            }
        }
    }
}

fn read_some(input: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match input.read(buffer) {
            Ok(count) => return Ok(count),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::from_read(e)),
        }
    }
}

fn header_name(block: &Block) -> Vec<u8> {
    let name = text(&block[field::NAME]);
    let prefix = match dialect(block) {
        Dialect::Ustar => text(&block[field::PREFIX]),
        Dialect::Star => text(&block[field::STAR_PREFIX]),
        Dialect::Gnu | Dialect::V7 => &[],
    };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

fn header_time(block: &Block) -> Result<Time> {
    Ok(Time { secs: number_as(&block[field::MTIME], "time")?, nanos: 0 })
}

fn kind(flag: u8, name: &[u8]) -> Result<Kind> {
    Ok(match flag {
        b'0' | b'\0' | b'7' if name.ends_with(b"/") => Kind::Directory,
        b'0' | b'\0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            let flag = char::from(other).escape_default().to_string();
            return Err(Error::Entry { name: printable(name), reason: format!("unknown type '{flag}'") });
        }
    })
}

/// A name as it can be shown in a message.
pub(crate) fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(512)]).into_owned()
}
