//! A log file with its rotated predecessors: `log`, `log.1`, `log.2` … or, compressed, `log.1.gz` …
//!
//! A write is whole or undone; a failed rotation never stops the container, it costs log lines at worst.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{Target, compress::Compression};
use crate::{Error, Result};

/// The current file and the rules of rotation.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    /// Absent after a rotation that could not make a new file.
    file: Option<File>,
    size: u64,
    max_size: Option<u64>,
    max_files: u32,
    compress: bool,
    compression: Option<Compression>,
}

/// The `index`-th rotated file, compressed or not.
pub(super) fn rotated(path: &Path, index: u32, compressed: bool) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{index}{}", if compressed { ".gz" } else { "" }));
    PathBuf::from(name)
}

impl RotatingFile {
    pub(super) fn open(target: &Target) -> Result<Self> {
        if let Some(folder) = target.path.parent() {
            fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        let file = open(&target.path).map_err(Error::file("open", &target.path))?;
        let size = file.metadata().map_err(Error::file("stat", &target.path))?.len();
        let mut this = Self {
            path: target.path.clone(),
            file: Some(file),
            size,
            max_size: target.max_size,
            max_files: target.max_files.max(1),
            compress: target.compress && target.max_files > 1,
            compression: None,
        };
        // A predecessor may have ended before it had compressed the last rotated file.
        this.start_compression();
        Ok(this)
    }

    /// How many bytes may still be appended before the file must be rotated.
    pub(super) fn room(&self) -> u64 {
        self.max_size.map_or(u64::MAX, |max| max.saturating_sub(self.size))
    }

    /// Appends all of `bytes` or nothing.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(open(&self.path)?);
            self.size = 0;
        }
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let before = self.size;
        match file.write_all(bytes) {
            Ok(()) => {
                self.size += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A record cut in two would spoil the next one as well. The file may be shorter than thought (truncated
                // by somebody), but then there is nothing of ours to cut.
                if file.metadata().is_ok_and(|found| found.len() > before) {
                    let _ = file.set_len(before);
                }
                Err(error)
            }
        }
    }

    /// Puts the current file aside and begins a new one, if it is really as long as thought.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        if let (Some(file), Some(max)) = (&self.file, self.max_size) {
            let real = file.metadata()?.len();
            if real < max {
                self.size = real;
                return Ok(());
            }
        }
        self.finish_compression();
        self.shift()?;
        self.file = None;
        self.size = 0;
        self.file = Some(open(&self.path)?);
        self.start_compression();
        Ok(())
    }

    fn shift(&self) -> io::Result<()> {
        if self.max_files < 2 {
            return absent_is_fine(fs::remove_file(&self.path));
        }
        absent_is_fine(fs::remove_file(rotated(&self.path, self.max_files - 1, self.compress)))?;
        for index in (1..self.max_files - 1).rev() {
            let from = rotated(&self.path, index, self.compress);
            absent_is_fine(fs::rename(from, rotated(&self.path, index + 1, self.compress)))?;
        }
        absent_is_fine(fs::rename(&self.path, rotated(&self.path, 1, false)))
    }

    fn start_compression(&mut self) {
        if self.compress {
            self.compression = Compression::start(&rotated(&self.path, 1, false));
        }
    }

    /// Compresses a little; tells whether there is more to do.
    pub(super) fn work(&mut self) -> bool {
        if self.compression.as_mut().is_some_and(|compression| !compression.step()) {
            return true;
        }
        self.compression = None;
        false
    }

    /// Whether [`Self::work`] has something to do.
    pub(super) fn has_work(&self) -> bool {
        self.compression.is_some()
    }

    fn finish_compression(&mut self) {
        while self.work() {}
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
