//! Unpacks a layer's archive below a folder.
//!
//! Nobody else may write below the folder meanwhile. Later entries replace earlier ones of the same name, as in
//! every tar; folders keep what is in them. Folders get their times last, when nothing is made in them any more.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use boxship_oci::digest::Digest;
use boxship_sys::xattr;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::compression::{Compression, decoder};
use crate::contents;
use crate::hashing::hashed;
use crate::lower;
use crate::metadata::{self, of_sys};
use crate::remove;
use crate::resolve::{Folders, Inside};
use crate::tar::{Entry, Kind, Reader, Time, printable};
use crate::whiteout::{self, Meaning};
use crate::{Error, Limits, Result};

/// Bytes of folder names whose times are remembered until the end.
const MAX_FOLDER_NAMES: usize = 256 << 20;

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Digest of the whole uncompressed stream; `None` when [`Apply::hash`] was off and the stream not compressed.
    pub diff_id: Option<Digest>,
    /// Bytes in the regular files, hard links counted once.
    pub size: u64,
    /// Entries of the archive.
    pub entries: u64,
}

/// Finds the root folders of the layers below, topmost first; it may have to wait for them.
pub type FindLowers<'a> = dyn Fn() -> std::io::Result<Vec<OwnedFd>> + Sync + 'a;

/// The layers below the one being unpacked.
#[derive(Clone, Copy)]
pub enum Lowers<'a> {
    /// Their root folders, topmost first.
    Ready(&'a [BorrowedFd<'a>]),
    /// They may still be being unpacked: asked for once, when the archive first needs them (most archives do only at
    /// their end), so that several layers are unpacked at a time.
    Later(&'a FindLowers<'a>),
}

/// How to unpack an archive.
pub struct Apply<'a> {
    /// The layers below: folders that the archive only implies take their owner, mode and times from there.
    pub lowers: Lowers<'a>,
    /// Bounds on the archive.
    pub limits: &'a Limits,
    /// Whether to hash the stream (not needed when its digest was verified already).
    pub hash: bool,
    /// Whether the archive must end with an end mark. Needed where nothing else tells that it is whole; some tools
    /// make layers without.
    pub end_mark: bool,
}

/// Unpacks `archive` (plain, gzip or zstd) below `root`, with nothing below it.
pub fn apply(archive: &mut (dyn Read + Send), root: BorrowedFd<'_>, limits: &Limits) -> Result<Applied> {
    Apply { lowers: Lowers::Ready(&[]), limits, hash: true, end_mark: true }.run(archive, root)
}

impl Apply<'_> {
    /// Unpacks `archive` below `root`. On failure what was unpacked until then is the caller's to remove.
    pub fn run(&self, archive: &mut (dyn Read + Send), root: BorrowedFd<'_>) -> Result<Applied> {
        let mut stream = decoder(archive, self.limits)?;
        if self.hash || stream.compression() != Compression::None {
            let (applied, diff_id) = hashed(&mut stream, |stream| self.extract(stream, root))?;
            return Ok(Applied { diff_id: Some(diff_id), ..applied });
        }
        self.extract(&mut stream, root)
    }

    fn extract(&self, stream: &mut dyn Read, root: BorrowedFd<'_>) -> Result<Applied> {
        let mut reader = Reader::new(stream, self.limits).lenient(!self.end_mark);
        let mut extraction = Extraction::new(self, root).map_err(|e| failed("open", b"/", e))?;
        if matches!(self.lowers, Lowers::Ready(_)) {
            extraction.inherit_root(root)?;
        }
        while let Some(entry) = reader.next_entry()? {
            extraction.entry(&entry, &mut reader)?;
        }
        if matches!(self.lowers, Lowers::Later(_)) {
            extraction.inherit_root_late(root)?;
        }
        extraction.finish()?;
        reader.drain()?;
        Ok(Applied { diff_id: None, size: extraction.size, entries: reader.entries() })
    }
}

pub(crate) fn failed(operation: &'static str, name: &[u8], source: impl Into<std::io::Error>) -> Error {
    Error::Io { operation, name: printable(name), source: source.into() }
}

struct Extraction<'a> {
    how: &'a Apply<'a>,
    folders: Folders,
    /// The folders of [`Lowers::Later`], once asked for.
    found: OnceCell<Vec<OwnedFd>>,
    /// The archive's last entry for the root, to be applied again on what it inherits late.
    root_entry: Option<Entry>,
    /// Times of folders, to be set last.
    times: HashMap<Vec<u8>, Time>,
    names: usize,
    /// Looks into the layers below until now.
    lookups: u64,
    size: u64,
    /// Owner of what this process makes, unless a set-gid folder says otherwise.
    maker: (u32, u32),
    setgid: bool,
}

/// What was in the way of a new entry.
#[derive(PartialEq, Eq)]
enum Before {
    Removed,
    Whiteout,
    Folder,
}

impl<'a> Extraction<'a> {
    fn new(how: &'a Apply<'a>, root: BorrowedFd<'_>) -> std::io::Result<Extraction<'a>> {
        let stat = statat(root, "", AtFlags::EMPTY_PATH)?;
        let maker = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Ok(Extraction {
            how,
            folders: Folders::new(root)?,
            found: OnceCell::new(),
            root_entry: None,
            times: HashMap::new(),
            names: 0,
            lookups: 0,
            size: 0,
            maker,
            setgid: stat.st_mode & 0o2000 != 0,
        })
    }

    /// The root looks like the root below until an entry says otherwise.
    fn inherit_root(&mut self, root: BorrowedFd<'_>) -> Result<()> {
        let fail = |e| failed("set attributes of", b"/", e);
        let lowers = self.lowers().map_err(fail)?;
        let Some(lower) = lowers.first() else { return Ok(()) };
        let time = metadata::copy_folder(*lower, root).map_err(fail)?;
        self.remember_time(&[], time)
    }

    /// The same where the layers below were not there at the beginning: what the archive said wins again.
    fn inherit_root_late(&mut self, root: BorrowedFd<'_>) -> Result<()> {
        self.inherit_root(root)?;
        self.root_entry.take().map_or(Ok(()), |entry| self.root(&entry))
    }

    /// The folders of the layers below, topmost first.
    fn lowers(&self) -> std::io::Result<Vec<BorrowedFd<'_>>> {
        match self.how.lowers {
            Lowers::Ready(folders) => Ok(folders.to_vec()),
            Lowers::Later(find) => {
                if self.found.get().is_none() {
                    // Nobody else sets it: this runs on one thread.
                    let _ = self.found.set(find()?);
                }
                Ok(self.found.get().into_iter().flatten().map(AsFd::as_fd).collect())
            }
        }
    }

    fn entry(&mut self, entry: &Entry, reader: &mut Reader<'_>) -> Result<()> {
        if entry.uid == u32::MAX || entry.gid == u32::MAX {
            let reason = "its owner is out of range".to_owned();
            return Err(Error::Entry { name: printable(&entry.name), reason });
        }
        let path = Inside::clean(&entry.name, self.how.limits.max_depth)?;
        if path.is_root() {
            self.root_entry = Some(entry.clone());
            return self.root(entry);
        }
        let (folder_path, name) = path.split();
        let meaning = whiteout::meaning(folder_path, name)?;
        if meaning == Meaning::Nothing {
            return Ok(());
        }
        let folder = self.folder(folder_path)?;
        match meaning {
            Meaning::Opaque => self.opaque(folder.as_fd(), &entry.name),
            Meaning::Gone(gone) => self.gone(folder.as_fd(), gone, &entry.name),
            _ => self.make(entry, &path, &folder, name, reader),
        }
    }

    /// An entry for the root itself: only a folder makes sense.
    fn root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            let reason = "the root can only be a folder".to_owned();
            return Err(Error::Entry { name: printable(&entry.name), reason });
        }
        let root = self.folder(&[])?;
        metadata::set_on_name(root.as_fd(), b".", entry, false)
            .map_err(|e| failed("set attributes of", b"/", e))?;
        self.setgid |= entry.mode & 0o2000 != 0;
        self.remember_time(&[], entry.mtime)
    }

    fn remember_time(&mut self, path: &[u8], time: Time) -> Result<()> {
        if self.times.insert(path.to_vec(), time).is_none() {
            self.names += path.len() + size_of::<(Vec<u8>, Time)>();
        }
        let limit = MAX_FOLDER_NAMES as u64;
        if self.names > MAX_FOLDER_NAMES {
            Err(Error::Limit { what: "bytes of folder names", limit })
        } else {
            Ok(())
        }
    }

    /// Opens a folder, making what the archive only implied.
    fn folder(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>> {
        if let Some(folder) = self.folders.open(path).map_err(|e| failed("open folder", path, e))? {
            return Ok(folder);
        }
        let implied = Inside::clean(path, u32::MAX)?;
        let (parent_path, name) = implied.split();
        let parent = self.folder(parent_path)?;
        mkdirat(&parent, name, Mode::from_raw_mode(0o755)).map_err(|e| failed("create folder", path, e))?;
        let folder = self.folders.open(path).map_err(|e| failed("open folder", path, e))?;
        let folder = folder.ok_or_else(|| failed("open folder", path, Errno::NOENT))?;
        self.count_lookups(path)?;
        self.imply(path, &parent, name, &folder).map_err(|e| failed("set attributes of", path, e))?;
        Ok(folder)
    }

    fn count_lookups(&mut self, path: &[u8]) -> Result<()> {
        let depth = 1 + path.iter().filter(|&&b| b == b'/').count();
        let lowers = self.lowers().map_err(|e| failed("look below for", path, e))?.len();
        self.lookups += (depth * lowers) as u64;
        let limit = self.how.limits.max_lookups;
        if self.lookups > limit { Err(Error::Limit { what: "implied folders", limit }) } else { Ok(()) }
    }

    /// An implied folder looks as it does below, else like root's own.
    fn imply(
        &mut self,
        path: &[u8],
        parent: &OwnedFd,
        name: &[u8],
        folder: &OwnedFd,
    ) -> std::result::Result<(), std::io::Error> {
        let lower = lower::find_folder(&self.lowers()?, path)?;
        let Some(lower) = lower else {
            let plain = Entry { kind: Kind::Directory, mode: 0o755, ..Entry::default() };
            return metadata::set_on_name(parent.as_fd(), name, &plain, false);
        };
        let time = metadata::copy_folder(lower.as_fd(), folder.as_fd())?;
        self.setgid = true;
        self.remember_time(path, time).map_err(std::io::Error::other)
    }

    fn opaque(&mut self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        xattr::set(folder, whiteout::OPAQUE_KEY, whiteout::OPAQUE_VALUE)
            .map_err(|e| failed("mark as opaque", name, of_sys(e)))
    }

    /// A whiteout hides only what is below. Something of the same name in this very archive stays; if it is a
    /// folder, the lower one's content must not show through.
    fn gone(&mut self, folder: BorrowedFd<'_>, gone: &[u8], name: &[u8]) -> Result<()> {
        match whiteout::make(folder, gone) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                let stat =
                    statat(folder, gone, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| failed("stat", name, e))?;
                if !metadata::is_folder(&stat) {
                    return Ok(());
                }
                xattr::set_at(folder, gone, whiteout::OPAQUE_KEY, whiteout::OPAQUE_VALUE)
                    .map_err(|e| failed("mark as opaque", name, of_sys(e)))
            }
            Err(errno) => Err(failed("create whiteout", name, errno)),
        }
    }

    fn make(
        &mut self,
        entry: &Entry,
        path: &Inside,
        folder: &Rc<OwnedFd>,
        name: &[u8],
        reader: &mut Reader<'_>,
    ) -> Result<()> {
        let fail = |operation| move |e: std::io::Error| failed(operation, &entry.name, e);
        let folder = folder.as_fd();
        match entry.kind {
            Kind::File => return self.file(entry, folder, name, reader),
            Kind::Directory => return self.directory(entry, path, folder, name),
            Kind::HardLink => return self.hard_link(entry, folder, name),
            Kind::Symlink => {
                self.replacing(folder, name, || symlinkat(&entry.link[..], folder, name))
                    .map_err(fail("create link"))?;
            }
            Kind::CharDevice => self.node(entry, folder, name, FileType::CharacterDevice)?,
            Kind::BlockDevice => self.node(entry, folder, name, FileType::BlockDevice)?,
            Kind::Fifo => self.node(entry, folder, name, FileType::Fifo)?,
        }
        metadata::set_on_name(folder, name, entry, self.as_made(entry)).map_err(fail("set attributes of"))?;
        metadata::set_time(folder, name, entry.mtime).map_err(|e| failed("set times of", &entry.name, e))
    }

    fn as_made(&self, entry: &Entry) -> bool {
        !self.setgid && (entry.uid, entry.gid) == self.maker
    }

    fn node(&mut self, entry: &Entry, folder: BorrowedFd<'_>, name: &[u8], kind: FileType) -> Result<()> {
        let device = makedev(entry.device.0, entry.device.1);
        self.replacing(folder, name, || mknodat(folder, name, kind, Mode::from_raw_mode(0o600), device))
            .map_err(|e| failed("create", &entry.name, e))?;
        Ok(())
    }

    fn file(
        &mut self,
        entry: &Entry,
        folder: BorrowedFd<'_>,
        name: &[u8],
        reader: &mut Reader<'_>,
    ) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (file, _) = self
            .replacing(folder, name, || openat(folder, name, flags, Mode::from_raw_mode(0o600)))
            .map_err(|e| failed("create", &entry.name, e))?;
        contents::write(&file, entry, reader)?;
        self.size += entry.size;
        let as_made = self.as_made(entry);
        metadata::set_on_file(&file, entry, as_made).map_err(|e| failed("set attributes of", &entry.name, e))
    }

    fn directory(&mut self, entry: &Entry, path: &Inside, folder: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let fail = |operation| move |e: std::io::Error| failed(operation, &entry.name, e);
        let mut as_made = self.as_made(entry);
        if let Err(errno) = mkdirat(folder, name, Mode::from_raw_mode(0o700)) {
            if errno != Errno::EXIST {
                return Err(failed("create folder", &entry.name, errno));
            }
            as_made = false;
            let before = self.clear(folder, name, true).map_err(fail("replace"))?;
            if before != Before::Folder {
                mkdirat(folder, name, Mode::from_raw_mode(0o700))
                    .map_err(|e| failed("create folder", &entry.name, e))?;
            }
            if before == Before::Whiteout {
                let key = whiteout::OPAQUE_KEY;
                let marked = xattr::set_at(folder, name, key, whiteout::OPAQUE_VALUE);
                marked.map_err(|e| failed("mark as opaque", &entry.name, of_sys(e)))?;
            }
        }
        metadata::set_on_name(folder, name, entry, as_made).map_err(fail("set attributes of"))?;
        self.setgid |= entry.mode & 0o2000 != 0;
        self.remember_time(path.as_bytes(), entry.mtime)
    }

    /// Another name for a file of this layer; the file's folder is resolved inside the root like any other.
    fn hard_link(&mut self, entry: &Entry, folder: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let target = Inside::clean(&entry.link, self.how.limits.max_depth)?;
        let (target_path, target_name) = target.split();
        let link_failed = |e: std::io::Error| failed("link", &entry.name, e);
        let missing = || Error::Entry {
            name: printable(&entry.name),
            reason: format!("it is a hard link to {:?}, which is not in this layer", printable(&entry.link)),
        };
        let found = self.folders.open(target_path).map_err(|e| link_failed(e.into()))?;
        let target_folder = found.ok_or_else(missing)?;
        let stat = match statat(&target_folder, target_name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Err(missing()),
            other => other.map_err(|e| link_failed(e.into()))?,
        };
        if metadata::is_folder(&stat) {
            let reason = "it is a hard link to a folder".to_owned();
            return Err(Error::Entry { name: printable(&entry.name), reason });
        }
        if let Ok(present) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            && (present.st_dev, present.st_ino) == (stat.st_dev, stat.st_ino)
        {
            return Ok(());
        }
        let link = || linkat(&target_folder, target_name, folder, name, AtFlags::empty());
        self.replacing(folder, name, link).map(drop).map_err(link_failed)
    }

    /// Makes something that must not exist; what is in the way is removed first.
    fn replacing<T>(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> std::io::Result<(T, Option<Before>)> {
        match make() {
            Ok(made) => Ok((made, None)),
            Err(Errno::EXIST) => {
                let before = self.clear(folder, name, false)?;
                Ok((make()?, Some(before)))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes what an earlier entry made under this name; a folder may stay.
    fn clear(&mut self, folder: BorrowedFd<'_>, name: &[u8], keep_folder: bool) -> std::io::Result<Before> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if whiteout::is(&stat) {
            unlinkat(folder, name, AtFlags::empty())?;
            return Ok(Before::Whiteout);
        }
        if metadata::is_folder(&stat) {
            if keep_folder {
                return Ok(Before::Folder);
            }
            remove::tree(folder, name)?;
            self.folders.forget();
            return Ok(Before::Removed);
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            self.folders.forget();
        } else if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1 {
            self.size = self.size.saturating_sub(stat.st_size as u64);
        }
        unlinkat(folder, name, AtFlags::empty())?;
        Ok(Before::Removed)
    }

    /// Gives folders their times.
    fn finish(&mut self) -> Result<()> {
        // Sorted, so that the folders of one parent follow each other and its descriptor is at hand.
        let mut times: Vec<_> = std::mem::take(&mut self.times).into_iter().collect();
        times.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (path, time) in times {
            match self.folders.open(&path) {
                Ok(Some(folder)) => metadata::set_time(folder.as_fd(), b".", time)
                    .map_err(|e| failed("set times of", &path, e))?,
                // A later entry put something else in its place.
                Ok(None) | Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(failed("open folder", &path, errno)),
            }
        }
        Ok(())
    }
}
