//! One directory of a cgroup file system and the kernel's small text files in it.
//!
//! Every error names the file. Values are written with one `write` each, as the kernel demands; a file is never
//! created, so that a misspelt knob is an error and not an empty file on a tmpfs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Error, Result};

/// A directory of a cgroup file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    /// Writes one value.
    pub(super) fn write(&self, file: &str, value: impl AsRef<str>) -> Result<()> {
        self.write_all(file, [value])
    }

    /// Writes several values to the same file, each with its own `write`.
    pub(super) fn write_all<S: AsRef<str>>(
        &self,
        file: &str,
        values: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        let path = self.path.join(file);
        let mut values = values.into_iter().peekable();
        let Some(first) = values.peek() else { return Ok(()) };
        let mut open = match fs::OpenOptions::new().write(true).open(&path) {
            Ok(open) => open,
            Err(source) => return Err(Error::Write { value: first.as_ref().to_owned(), path, source }),
        };
        for value in values {
            let value = value.as_ref();
            if let Err(source) = write_once(&mut open, value) {
                return Err(Error::Write { value: value.to_owned(), path, source });
            }
        }
        Ok(())
    }

    /// Reads a whole file, without the white space around it.
    pub(super) fn read(&self, file: &str) -> Result<String> {
        let path = self.path.join(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(source) => Err(Error::File { action: "read", path, source }),
        }
    }

    /// As [`Self::read`]; a file that isn't there is `None` (knobs come and go with kernel versions).
    pub(super) fn read_optional(&self, file: &str) -> Result<Option<String>> {
        match self.read(file) {
            Err(error) if error.is_absent() => Ok(None),
            other => other.map(Some),
        }
    }

    /// A number; `max` is `u64::MAX`, and so is the −1 that some v1 files hold.
    pub(super) fn number(&self, file: &str) -> Result<u64> {
        let text = self.read(file)?;
        parse_number(&text).ok_or_else(|| self.unexpected(file, &text))
    }

    pub(super) fn number_optional(&self, file: &str) -> Result<Option<u64>> {
        match self.number(file) {
            Err(error) if error.is_absent() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The value after `key` in a file of `key value` lines; a missing key is zero.
    pub(super) fn keyed(&self, file: &str, key: &str) -> Result<u64> {
        Ok(self.table(file)?.into_iter().find(|(name, _)| name == key).map_or(0, |(_, value)| value))
    }

    /// All lines of a file of `key value` lines. Lines of another form are skipped.
    pub(super) fn table(&self, file: &str) -> Result<Vec<(String, u64)>> {
        let text = self.read(file)?;
        Ok(text
            .lines()
            .filter_map(|line| {
                let (key, value) = line.split_once(' ')?;
                Some((key.to_owned(), parse_number(value.trim())?))
            })
            .collect())
    }

    pub(super) fn unexpected(&self, file: &str, text: &str) -> Error {
        Error::Parse { path: self.path.join(file), text: text.chars().take(80).collect() }
    }

    /// Makes the directory and its missing parents; tells whether it was made now.
    pub(super) fn make(&self) -> Result<bool> {
        let error = match fs::create_dir(&self.path) {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(false),
            io::ErrorKind::NotFound => {
                if let Some(parent) = self.path.parent() {
                    Directory::new(parent).make()?;
                }
                match fs::create_dir(&self.path) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    Err(source) => Err(self.failed("create cgroup", source)),
                }
            }
            _ => Err(self.failed("create cgroup", error)),
        }
    }

    /// Removes the directory and the cgroups below it. A cgroup whose last process is just leaving answers EBUSY
    /// for a moment, longer on a busy machine: it is tried again for up to eight seconds.
    pub(super) fn remove(&self) -> Result<()> {
        match remove_tree(&self.path, 15) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove cgroup", source))
            }
            _ => Ok(()),
        }
    }

    /// The processes in this cgroup alone.
    pub(super) fn own_pids(&self) -> Result<Vec<i32>> {
        let text = match self.read_optional("cgroup.procs") {
            // A threaded cgroup shows threads only.
            Err(error) if error.raw() == Some(libc_enotsup()) => self.read_optional("cgroup.threads")?,
            other => other?,
        };
        let text = text.unwrap_or_default();
        text.lines().map(|line| line.parse().map_err(|_| self.unexpected("cgroup.procs", line))).collect()
    }

    /// The processes in this cgroup and all below it.
    pub(super) fn all_pids(&self) -> Result<Vec<i32>> {
        let mut pids = self.own_pids()?;
        for child in self.children()? {
            pids.extend(child.all_pids()?);
        }
        Ok(pids)
    }

    pub(super) fn children(&self) -> Result<Vec<Directory>> {
        match child_directories(&self.path) {
            Ok(paths) => Ok(paths.into_iter().map(Directory::new).collect()),
            Err(error) if gone(&error) => Ok(Vec::new()),
            Err(source) => Err(self.failed("list cgroup", source)),
        }
    }

    /// Moves a process here. EINVAL can mean that the kernel is still making the process: tried again.
    pub(super) fn add(&self, pid: i32) -> Result<()> {
        let value = pid.to_string();
        let mut last = self.write("cgroup.procs", &value);
        for _ in 0..4 {
            match &last {
                Err(error) if error.raw() == Some(22) => {
                    std::thread::sleep(Duration::from_millis(30));
                    last = self.write("cgroup.procs", &value);
                }
                _ => break,
            }
        }
        last
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::File { action, path: self.path.clone(), source }
    }
}

impl Error {
    /// The errno of the kernel's answer.
    pub(super) fn raw(&self) -> Option<i32> {
        match self {
            Self::File { source, .. } | Self::Write { source, .. } | Self::Call { source, .. } => {
                source.raw_os_error()
            }
            _ => None,
        }
    }

    /// Whether the file or the whole cgroup isn't there (or was removed while being read: ENODEV).
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::File { source, .. } | Self::Write { source, .. } if gone(source))
    }
}

fn gone(error: &io::Error) -> bool {
    const ENODEV: i32 = 19;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENODEV)
}

const fn libc_enotsup() -> i32 {
    95
}

fn write_once(file: &mut fs::File, value: &str) -> io::Result<()> {
    loop {
        match file.write(value.as_bytes()) {
            Ok(count) if count == value.len() => return Ok(()),
            Ok(_) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn parse_number(text: &str) -> Option<u64> {
    match text {
        "max" => Some(u64::MAX),
        _ => text.parse().ok().or_else(|| (text.parse::<i64>().ok()? < 0).then_some(u64::MAX)),
    }
}

fn child_directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove_tree(path: &Path, tries: u32) -> io::Result<()> {
    const EBUSY: i32 = 16;
    match fs::remove_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if gone(&error) => return Ok(()),
        Err(error) if error.raw_os_error() != Some(EBUSY) => return Err(error),
        Err(_) => {}
    }
    for child in child_directories(path)? {
        remove_tree(&child, tries)?;
    }
    let mut wait = Duration::from_micros(250);
    for _ in 0..tries {
        match fs::remove_dir(path) {
            Err(error) if error.raw_os_error() == Some(EBUSY) => std::thread::sleep(wait),
            Err(error) if gone(&error) => return Ok(()),
            other => return other,
        }
        wait *= 2;
    }
    fs::remove_dir(path)
}
