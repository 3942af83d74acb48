//! Compression of a rotated log, a little at a time: the shim has one thread and a container to serve.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use flate2::{Compression as Level, GzBuilder, write::GzEncoder};

/// How much is compressed in one go: about a millisecond's work.
const STEP: usize = 64 * 1024;

/// A compression under way. The original is removed only when the copy is whole, so a reader finds one or the other.
#[derive(Debug)]
pub(super) struct Compression {
    source: File,
    target: GzEncoder<File>,
    from: PathBuf,
    to: PathBuf,
}

impl Compression {
    /// Starts to compress `from` into `from.gz`; `None` if there is nothing to do or it can't be done (the file then
    /// stays as it is, which readers understand too).
    pub(super) fn start(from: &Path) -> Option<Self> {
        let source = File::open(from).ok()?;
        let mut name = from.as_os_str().to_owned();
        name.push(".gz");
        let to = PathBuf::from(name);
        // As closed to others as what it is made from.
        let mode = source.metadata().ok()?.mode() & 0o777;
        let target = File::options().write(true).create(true).truncate(true).mode(mode).open(&to).ok()?;
        let target = GzBuilder::new().write(target, Level::fast());
        Some(Self { source, target, from: from.to_owned(), to })
    }

    /// Does a little; true when it is over.
    pub(super) fn step(&mut self) -> bool {
        match self.advance() {
            Ok(over) => over,
            Err(_) => {
                // Disk full, most likely: better an uncompressed log than half a compressed one.
                let _ = fs::remove_file(&self.to);
                true
            }
        }
    }

    fn advance(&mut self) -> io::Result<bool> {
        let copied = io::copy(&mut Read::by_ref(&mut self.source).take(STEP as u64), &mut self.target)?;
        if copied > 0 {
            return Ok(false);
        }
        self.target.try_finish()?;
        self.target.get_mut().flush()?;
        fs::remove_file(&self.from)?;
        Ok(true)
    }
}
