//! The files of a log as they are found at one moment, though the shim may be rotating them.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::file::rotated;
use crate::{Error, Result};

/// One file, open.
#[derive(Debug)]
pub(super) struct Found {
    pub file: File,
    pub compressed: bool,
    pub size: u64,
    pub inode: u64,
    modified: SystemTime,
}

/// All files of a log, newest first. If it was rotated meanwhile, the search is begun again.
pub(super) fn find(path: &Path, max_files: u32) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for _ in 0..16 {
        let before = inode(path);
        found = find_once(path, max_files)?;
        if inode(path) == before {
            break;
        }
    }
    Ok(found)
}

/// The inode of the file at `path`.
pub(super) fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.ino())
}

fn find_once(path: &Path, max_files: u32) -> Result<Vec<Found>> {
    let mut all: Vec<Found> = Vec::new();
    let mut gap = 0;
    for index in 0..max_files.max(1) {
        match find_at(path, index)? {
            // Moved on by one between two looks.
            Some(found) if all.iter().any(|known| known.inode == found.inode) => {}
            Some(found) => {
                all.push(found);
                gap = 0;
            }
            // One may be missing while the files are being renamed.
            None if gap > 0 => break,
            None => gap += 1,
        }
    }
    Ok(all)
}

fn find_at(path: &Path, index: u32) -> Result<Option<Found>> {
    if index == 0 {
        return Found::open(path.to_owned(), false);
    }
    match Found::open(rotated(path, index, false), false)? {
        Some(found) => Ok(Some(found)),
        None => Found::open(rotated(path, index, true), true),
    }
}

impl Found {
    fn open(path: PathBuf, compressed: bool) -> Result<Option<Self>> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { action: "open", path, source }),
        };
        let about: Metadata = file.metadata().map_err(Error::file("stat", &path))?;
        let modified = about.modified().map_err(Error::file("stat", &path))?;
        Ok(Some(Self { file, compressed, size: about.len(), inode: about.ino(), modified }))
    }

    /// Whether everything in it is certainly older than `time`. (The kernel stamps files by a clock that lags some
    /// milliseconds behind.)
    pub(super) fn is_older_than(&self, time: Timestamp) -> bool {
        self.modified + Duration::from_secs(1) < SystemTime::from(time)
    }
}
