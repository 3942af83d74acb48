//! The bytes of a regular file, from the archive to the disk; holes stay holes.

use std::os::fd::OwnedFd;

use rustix::fs::ftruncate;
use rustix::io::{Errno, pwrite, write as write_some};

use crate::apply::failed;
use crate::tar::{Entry, Reader};
use crate::{Error, Result};

/// Writes an entry's bytes into its new file.
pub(crate) fn write(file: &OwnedFd, entry: &Entry, reader: &mut Reader<'_>) -> Result<()> {
    match &entry.sparse {
        None => write_all(file, entry, reader),
        Some(map) => write_stretches(file, entry, map, reader),
    }
}

fn write_all(file: &OwnedFd, entry: &Entry, reader: &mut Reader<'_>) -> Result<()> {
    loop {
        let mut piece = reader.data(u64::MAX)?;
        if piece.is_empty() {
            return Ok(());
        }
        while !piece.is_empty() {
            let count = retry(|| write_some(file, piece)).map_err(|e| failed("write", &entry.name, e))?;
            piece = &piece[count..];
        }
    }
}

/// Writes only what is stored: the rest of the file are holes.
fn write_stretches(file: &OwnedFd, entry: &Entry, map: &[(u64, u64)], reader: &mut Reader<'_>) -> Result<()> {
    for &(offset, length) in map {
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let piece = reader.data(end - at)?;
            if piece.is_empty() {
                return Err(Error::Truncated);
            }
            let count = retry(|| pwrite(file, piece, at)).map_err(|e| failed("write", &entry.name, e))?;
            // A short write is rare: write the rest of the piece at once.
            let mut done = count;
            while done < piece.len() {
                let offset = at + done as u64;
                done += retry(|| pwrite(file, &piece[done..], offset))
                    .map_err(|e| failed("write", &entry.name, e))?;
            }
            at += piece.len() as u64;
        }
    }
    ftruncate(file, entry.size).map_err(|e| failed("write", &entry.name, e))
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
