//! Writes an archive: ustar headers, with PAX records for what does not fit them.
//!
//! The same entries give the same bytes: no time of writing, no names of users, no order but the caller's.

use std::io::Write;

use super::header::{BLOCK, Block, Kind, checksums, field};
use super::pax;
use super::reader::Entry;
use crate::{Error, Result};

/// Writes an archive to `out`.
pub struct Writer<W: Write> {
    out: W,
    left: u64,
    padding: usize,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Writer<W> {
        Writer { out, left: 0, padding: 0 }
    }

    /// Writes an entry's headers. A file's `size` bytes must follow by [`Writer::data`]; `sparse` is not written.
    pub fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.finish_entry()?;
        let mut records = Vec::new();
        let block = header(entry, &mut records);
        if !records.is_empty() {
            let block = extended_header(records.len() as u64);
            self.write(&block)?;
            self.write(&records)?;
            self.write(&[0; BLOCK][..padding(records.len() as u64)])?;
        }
        self.write(&block)?;
        if entry.kind == Kind::File {
            self.left = entry.size;
            self.padding = padding(entry.size);
        }
        Ok(())
    }

    /// Writes a piece of the current file.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| Error::Format("more data than the header says".to_owned()))?;
        self.write(bytes)
    }

    /// Writes a whole file.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let name = name.as_bytes().to_vec();
        self.entry(&Entry { name, mode: 0o644, size: bytes.len() as u64, ..Entry::default() })?;
        self.data(bytes)
    }

    /// Writes the end mark and gives the stream back.
    pub fn finish(mut self) -> Result<W> {
        self.finish_entry()?;
        self.write(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(Error::Write)?;
        Ok(self.out)
    }

    fn finish_entry(&mut self) -> Result<()> {
        if self.left > 0 {
            return Err(Error::Format("less data than the header says".to_owned()));
        }
        let padding = std::mem::take(&mut self.padding);
        self.write(&[0; BLOCK][..padding])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::Write)
    }
}

fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK as u64) - size) as usize
}

/// The entry's own header; what doesn't fit is appended to `records`.
fn header(entry: &Entry, records: &mut Vec<u8>) -> Block {
    let mut block = [0; BLOCK];
    put_name(&mut block, &entry.name, records);
    if !put_text(&mut block[field::LINK], &entry.link) {
        pax::append(records, b"linkpath", &entry.link);
    }
    let size = if entry.kind == Kind::File { entry.size } else { 0 };
    for (range, value, key) in [
        (field::UID, u64::from(entry.uid), &b"uid"[..]),
        (field::GID, u64::from(entry.gid), b"gid"),
        (field::SIZE, size, b"size"),
    ] {
        if !put_octal(&mut block[range], value) {
            pax::append(records, key, value.to_string().as_bytes());
        }
    }
    put_mtime(&mut block, entry, records);
    put_octal(&mut block[field::MODE], u64::from(entry.mode & 0o7777));
    if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
        put_device(&mut block, entry.device);
    }
    for (name, value) in &entry.xattrs {
        pax::append(records, &[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    block[field::TYPE] = flag(entry.kind);
    seal(&mut block);
    block
}

fn extended_header(size: u64) -> Block {
    let mut block = [0; BLOCK];
    put_text(&mut block[field::NAME], b"PaxHeaders.0");
    put_octal(&mut block[field::MODE], 0o644);
    for range in [field::UID, field::GID, field::MTIME] {
        put_octal(&mut block[range], 0);
    }
    put_octal(&mut block[field::SIZE], size);
    block[field::TYPE] = b'x';
    seal(&mut block);
    block
}

fn put_name(block: &mut Block, name: &[u8], records: &mut Vec<u8>) {
    if put_text(&mut block[field::NAME], name) {
        return;
    }
    // ustar can split a long name at a slash; otherwise PAX says it in full.
    let split =
        (1..name.len()).find(|&at| name[at] == b'/' && name.len() - at - 1 <= 100 && at + 1 < name.len());
    match split {
        Some(at) if at <= field::PREFIX.len() && name.is_ascii() => {
            put_text(&mut block[field::PREFIX], &name[..at]);
            put_text(&mut block[field::NAME], &name[at + 1..]);
        }
        _ => pax::append(records, b"path", name),
    }
}

/// Whole seconds that fit go into the header, the rest into a record.
fn put_mtime(block: &mut Block, entry: &Entry, records: &mut Vec<u8>) {
    let time = entry.mtime;
    let fits = u64::try_from(time.secs).is_ok_and(|secs| put_octal(&mut block[field::MTIME], secs));
    if !fits {
        put_octal(&mut block[field::MTIME], 0);
    }
    if !fits || time.nanos != 0 {
        pax::append(records, b"mtime", time_text(time.secs, time.nanos).as_bytes());
    }
}

fn time_text(secs: i64, nanos: u32) -> String {
    let (sign, secs, nanos) = match (secs < 0, nanos) {
        (true, 1..) => ("-", (secs + 1).unsigned_abs(), 1_000_000_000 - nanos),
        (true, 0) => ("-", secs.unsigned_abs(), 0),
        (false, nanos) => ("", secs.unsigned_abs(), nanos),
    };
    if nanos == 0 {
        return format!("{sign}{secs}");
    }
    format!("{sign}{secs}.{nanos:09}").trim_end_matches('0').to_owned()
}

/// Device numbers beyond octal's seven digits are written in base 256, which every reader knows.
fn put_device(block: &mut Block, (major, minor): (u32, u32)) {
    for (range, value) in [(field::MAJOR, major), (field::MINOR, minor)] {
        if !put_octal(&mut block[range.clone()], u64::from(value)) {
            let mut bytes = [0; 8];
            bytes[0] = 0x80;
            bytes[4..].copy_from_slice(&value.to_be_bytes());
            block[range].copy_from_slice(&bytes);
        }
    }
}

fn put_text(target: &mut [u8], text: &[u8]) -> bool {
    let fits = text.len() <= target.len();
    if fits {
        target[..text.len()].copy_from_slice(text);
    }
    fits
}

/// Octal digits, filled with zeros, and a NUL.
fn put_octal(target: &mut [u8], value: u64) -> bool {
    let digits = target.len() - 1;
    let text = format!("{value:0digits$o}");
    let fits = text.len() == digits;
    let text = if fits { text } else { "0".repeat(digits) };
    target[..digits].copy_from_slice(text.as_bytes());
    target[digits] = 0;
    fits
}

fn flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

fn seal(block: &mut Block) {
    block[field::MAGIC].copy_from_slice(b"ustar\x0000");
    let (sum, _) = checksums(block);
    block[field::CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::tar::{Reader, Time};

    fn round_trip(entry: &Entry) -> Entry {
        let mut writer = Writer::new(Vec::new());
        writer.entry(entry).unwrap();
        writer.data(&vec![7; entry.size as usize]).unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(bytes.len() % BLOCK, 0);
        let limits = Limits::default();
        let mut input = &bytes[..];
        let mut reader = Reader::new(&mut input, &limits);
        let found = reader.next_entry().unwrap().unwrap();
        assert!(reader.next_entry().unwrap().is_none());
        found
    }

    #[test]
    fn entries_round_trip() {
        let plain =
            Entry { name: b"a/b".to_vec(), mode: 0o4755, uid: 1, gid: 2, size: 700, ..Entry::default() };
        let with = |change: fn(&mut Entry)| {
            let mut entry = plain.clone();
            change(&mut entry);
            entry
        };
        for entry in [
            plain.clone(),
            with(|e| e.name = vec![b'x'; 300]),
            with(|e| e.name = [&[b'd'; 120][..], b"/", &[b'f'; 90]].concat()),
            with(|e| e.name = "ü\u{0}".trim_end_matches('\0').repeat(70).into_bytes()),
            with(|e| e.mtime = Time { secs: 5, nanos: 123_000_000 }),
            with(|e| e.mtime = Time { secs: -5, nanos: 500_000_000 }),
            with(|e| e.mtime = Time { secs: 1 << 40, nanos: 0 }),
            with(|e| (e.uid, e.gid) = (u32::MAX - 1, 3_000_000)),
            with(|e| e.xattrs = vec![(b"security.capability".to_vec(), vec![0, 1, b'\n', 255])]),
            with(|e| (e.kind, e.size, e.link) = (Kind::Symlink, 0, vec![b'l'; 200])),
            with(|e| (e.kind, e.size, e.device) = (Kind::CharDevice, 0, (5, 0xfff_fffe))),
            with(|e| (e.kind, e.size, e.name) = (Kind::Directory, 0, b"dir/".to_vec())),
        ] {
            assert_eq!(round_trip(&entry), entry);
        }
    }

    #[test]
    fn a_file_must_be_as_long_as_its_header_says() {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&Entry { name: b"a".to_vec(), size: 2, ..Entry::default() }).unwrap();
        assert!(writer.data(b"abc").is_err());
        writer.data(b"a").unwrap();
        assert!(writer.finish().is_err());
    }
}
