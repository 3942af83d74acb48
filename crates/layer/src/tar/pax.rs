//! PAX extended headers: `length key=value\n` records.

use std::collections::HashMap;

use super::header::Time;
use crate::{Error, Result};

/// Linux lists at most 64 KiB of names for a file: none can have more attributes than this.
const MAX_XATTRS: usize = 16_384;

/// What PAX records say about the entry that follows.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: PaxSparse,
    /// Where in `xattrs` an attribute is: to look through them for each new one would take quadratic time.
    places: HashMap<Vec<u8>, usize>,
}

/// The records of GNU's sparse formats 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    pub name: Option<Vec<u8>>,
    pub real_size: Option<u64>,
    pub version: (Option<u64>, Option<u64>),
    /// 0.0: each offset and length as a record; 0.1: all in one.
    pub map: Option<Vec<u64>>,
}

impl PaxSparse {
    /// Whether the map is at the beginning of the data (format 1.0).
    pub fn map_in_data(&self) -> bool {
        matches!(self.version, (Some(1), Some(0)))
    }

    /// Whether the entry is a sparse file at all.
    pub fn is_sparse(&self) -> bool {
        self.map.is_some() || self.map_in_data()
    }
}

fn malformed(reason: &str) -> Error {
    Error::Format(format!("a PAX header {reason}"))
}

impl Pax {
    /// Reads all records of one extended header.
    pub fn parse(mut bytes: &[u8]) -> Result<Pax> {
        let mut pax = Pax::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes)?;
            pax.set(key, value)?;
            bytes = rest;
        }
        Ok(pax)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.set_xattr(name, value);
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.set(key, value);
        }
        match key {
            b"path" => self.path = name(value)?,
            b"linkpath" => self.link = name(value)?,
            b"size" => self.size = integer(value)?,
            b"uid" => self.uid = id(value)?,
            b"gid" => self.gid = id(value)?,
            b"mtime" => self.mtime = time(value)?,
            // atime, ctime, uname, gname, comment…: nothing of them is kept in a folder.
            _ => {}
        }
        Ok(())
    }

    fn set_xattr(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        if name.is_empty() || name.contains(&0) {
            return Err(malformed("has an extended attribute without a proper name"));
        }
        match self.places.get(name) {
            // The last word counts.
            Some(&place) => self.xattrs[place].1 = value.to_vec(),
            None if self.xattrs.len() == MAX_XATTRS => {
                return Err(malformed("has too many extended attributes"));
            }
            None => {
                self.places.insert(name.to_vec(), self.xattrs.len());
                self.xattrs.push((name.to_vec(), value.to_vec()));
            }
        }
        Ok(())
    }
}

impl PaxSparse {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"name" => self.name = name(value)?,
            b"size" | b"realsize" => self.real_size = integer(value)?,
            b"major" => self.version.0 = integer(value)?,
            b"minor" => self.version.1 = integer(value)?,
            b"offset" | b"numbytes" => {
                let number = integer(value)?.ok_or_else(|| malformed("has an empty sparse map"))?;
                let map = self.map.get_or_insert_default();
                if map.len().is_multiple_of(2) != (key == b"offset") {
                    return Err(malformed("has a sparse map out of order"));
                }
                map.push(number);
            }
            b"map" => self.map = Some(map(value)?),
            _ => {}
        }
        Ok(())
    }
}

fn map(value: &[u8]) -> Result<Vec<u64>> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    value
        .split(|&b| b == b',')
        .map(|n| integer(n)?.ok_or_else(|| malformed("has a malformed sparse map")))
        .collect()
}

/// Splits off the first record: key, value and what follows.
fn record(bytes: &[u8]) -> Result<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|&b| b == b' ').ok_or_else(|| malformed("is malformed"))?;
    let length = integer(&bytes[..space])?.unwrap_or(0);
    let length = usize::try_from(length).map_err(|_| malformed("has a record of absurd length"))?;
    if length < space + 3 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return Err(malformed("has a record of wrong length"));
    }
    let body = &bytes[space + 1..length - 1];
    let equals =
        body.iter().position(|&b| b == b'=').ok_or_else(|| malformed("has a record without value"))?;
    Ok((&body[..equals], &body[equals + 1..], &bytes[length..]))
}

/// An empty value takes back what was said before.
fn name(value: &[u8]) -> Result<Option<Vec<u8>>> {
    if value.contains(&0) {
        return Err(malformed("has a name with a NUL"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn integer(value: &[u8]) -> Result<Option<u64>> {
    if value.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(value).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    text.and_then(|t| t.parse().ok()).map(Some).ok_or_else(|| malformed("has a malformed number"))
}

fn id(value: &[u8]) -> Result<Option<u32>> {
    let wide = integer(value)?;
    wide.map(|id| u32::try_from(id).map_err(|_| malformed("has a user or group id out of range"))).transpose()
}

/// `[-]seconds[.fraction]`.
fn time(value: &[u8]) -> Result<Option<Time>> {
    if value.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(value).map_err(|_| malformed("has a malformed time"))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let valid = !digits.is_empty() && digits.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    let secs: i64 =
        if valid { whole.parse().ok() } else { None }.ok_or_else(|| malformed("has a malformed time"))?;
    let nanos =
        fraction.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |n, b| n * 10 + u32::from(b - b'0'));
    // Minus one and a half is half a second after minus two.
    Ok(Some(if negative && nanos > 0 {
        let secs = secs.checked_sub(1).ok_or_else(|| malformed("has a time out of range"))?;
        Time { secs, nanos: 1_000_000_000 - nanos }
    } else {
        Time { secs, nanos }
    }))
}

/// Appends one record, whose length counts itself.
pub(super) fn append(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + decimal_digits(length) {
        length = rest + decimal_digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn decimal_digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        for length in [0, 1, 80, 88, 89, 90, 91, 979, 980, 981, 982, 9970, 9980] {
            let mut bytes = Vec::new();
            append(&mut bytes, b"path", &vec![b'x'; length]);
            append(&mut bytes, b"SCHILY.xattr.user.a", b"1=\n\0");
            let pax = Pax::parse(&bytes).unwrap();
            assert_eq!(pax.path.map_or(0, |p| p.len()), length);
            assert_eq!(pax.xattrs, [(b"user.a".to_vec(), b"1=\n\0".to_vec())]);
        }
    }

    #[test]
    fn attributes_said_again_and_without_end() {
        let mut bytes = Vec::new();
        for value in [b"1", b"2"] {
            append(&mut bytes, b"SCHILY.xattr.user.a", value);
            append(&mut bytes, b"SCHILY.xattr.user.b", value);
        }
        let pax = Pax::parse(&bytes).unwrap();
        assert_eq!(pax.xattrs, [(b"user.a".to_vec(), b"2".to_vec()), (b"user.b".to_vec(), b"2".to_vec())]);
        for number in 0..=MAX_XATTRS {
            append(&mut bytes, format!("SCHILY.xattr.user.{number}").as_bytes(), b"");
        }
        assert!(Pax::parse(&bytes).is_err());
    }

    #[test]
    fn times() {
        for (text, expect) in [
            ("0", Some((0, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-1", Some((-1, 0))),
            ("1.0000000019", Some((1, 1))),
            ("1.", Some((1, 0))),
            (".5", None),
            ("x", None),
            ("1.-5", None),
            ("99999999999999999999", None),
        ] {
            let found = time(text.as_bytes()).ok().flatten().map(|t| (t.secs, t.nanos));
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn refuses() {
        for bad in [
            &b"x"[..],
            b"9 a=b\n",
            b"99999999999999999999 a=b\n",
            b"6 ab\n\n",
            b"5 a=b",
            b"12 path=a\0b\n",
            b"12 size=-10\n",
        ] {
            assert!(Pax::parse(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
        assert!(Pax::parse(b"25 GNU.sparse.numbytes=1\n").is_err());
    }
}
