//! A folder becomes an archive: names in byte order, hard links found, attributes kept, nothing of the moment.
//!
//! The folder may be changing (a running container's): a file that shrinks while it is read is filled up with
//! zeros, one that vanishes is left out. Sockets are left out, as in every tar.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};

use boxship_sys::xattr;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, major, minor, openat, readlinkat};
use rustix::io::{Errno, read};

use crate::metadata::{mtime, of_sys};
use crate::tar::{Entry, Kind, Writer, printable};
use crate::walk::{Visit, walk};
use crate::{Error, Result, whiteout};

const BUFFER: usize = 256 << 10;

/// Packs an overlay's upper folder as a layer: overlayfs's whiteouts become `.wh.` names. Returns the bytes of
/// regular files.
pub fn diff(upper: BorrowedFd<'_>, archive: &mut dyn Write) -> Result<u64> {
    Packer::new(archive, true).run(upper)
}

/// Packs a folder as it is. Returns the bytes of regular files.
pub fn pack(root: BorrowedFd<'_>, archive: &mut dyn Write) -> Result<u64> {
    Packer::new(archive, false).run(root)
}

struct Packer<'a> {
    writer: Writer<&'a mut dyn Write>,
    as_layer: bool,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    size: u64,
    buffer: Vec<u8>,
}

impl<'a> Packer<'a> {
    fn new(archive: &'a mut dyn Write, as_layer: bool) -> Packer<'a> {
        Packer {
            writer: Writer::new(archive),
            as_layer,
            links: HashMap::new(),
            size: 0,
            buffer: vec![0; BUFFER],
        }
    }

    fn run(mut self, root: BorrowedFd<'_>) -> Result<u64> {
        walk(root, |visit| self.entry(visit))?;
        self.writer.finish()?;
        Ok(self.size)
    }

    fn entry(&mut self, visit: &Visit<'_>) -> Result<()> {
        let fail = |operation| move |source| Error::Io { operation, name: printable(visit.path), source };
        if self.as_layer && whiteout::is(visit.stat) {
            return self.whiteout(visit);
        }
        let Some(kind) = kind(visit.stat) else { return Ok(()) };
        let mut entry = describe(visit, kind).map_err(fail("read attributes of"))?;
        if kind != Kind::Directory && visit.stat.st_nlink > 1 && self.known(visit, &mut entry) {
            return self.writer.entry(&entry);
        }
        match kind {
            Kind::File => self.file(visit, &mut entry),
            Kind::Symlink => match readlinkat(visit.folder, visit.name, Vec::new()) {
                Ok(target) => {
                    entry.link = target.into_bytes();
                    self.writer.entry(&entry)
                }
                Err(Errno::NOENT | Errno::INVAL) => Ok(()),
                Err(errno) => Err(fail("read link")(errno.into())),
            },
            Kind::Directory => {
                entry.name.push(b'/');
                self.writer.entry(&entry)?;
                self.opaque(visit)
                    .map_err(fail("read attributes of"))?
                    .map_or(Ok(()), |mark| self.writer.entry(&mark))
            }
            _ => self.writer.entry(&entry),
        }
    }

    /// A file whose other name was packed already becomes a link to it.
    fn known(&mut self, visit: &Visit<'_>, entry: &mut Entry) -> bool {
        let key = (visit.stat.st_dev, visit.stat.st_ino);
        match self.links.get(&key) {
            Some(first) => {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                entry.size = 0;
                entry.xattrs.clear();
                true
            }
            None => {
                self.links.insert(key, visit.path.to_vec());
                false
            }
        }
    }

    fn whiteout(&mut self, visit: &Visit<'_>) -> Result<()> {
        let folder = &visit.path[..visit.path.len() - visit.name.len()];
        let name = [folder, whiteout::PREFIX, visit.name].concat();
        self.writer.entry(&Entry { name, mtime: mtime(visit.stat), ..Entry::default() })
    }

    fn opaque(&self, visit: &Visit<'_>) -> std::io::Result<Option<Entry>> {
        if !self.as_layer {
            return Ok(None);
        }
        let value = xattr::get_at(visit.folder, visit.name, whiteout::OPAQUE_KEY).map_err(of_sys)?;
        let name = [visit.path, b"/", whiteout::OPAQUE].concat();
        let mark = Entry { name, mtime: mtime(visit.stat), ..Entry::default() };
        Ok((value.as_deref() == Some(whiteout::OPAQUE_VALUE)).then_some(mark))
    }

    fn file(&mut self, visit: &Visit<'_>, entry: &mut Entry) -> Result<()> {
        let fail = |source: Errno| Error::Io {
            operation: "read",
            name: printable(visit.path),
            source: source.into(),
        };
        // Not blocking: a pipe may have taken the file's place.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(visit.folder, visit.name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(()),
            Err(errno) => return Err(fail(errno)),
        };
        let stat = fstat(&file).map_err(fail)?;
        if kind(&stat) != Some(Kind::File) {
            return Ok(());
        }
        entry.size = stat.st_size as u64;
        self.size += entry.size;
        self.writer.entry(entry)?;
        self.data(&file, entry.size).map_err(|e| match e {
            Failed::Read(errno) => fail(errno),
            Failed::Write(error) => error,
        })
    }

    /// Writes exactly `size` bytes.
    fn data(&mut self, file: &OwnedFd, size: u64) -> std::result::Result<(), Failed> {
        let mut left = size;
        while left > 0 {
            let wanted = left.min(BUFFER as u64) as usize;
            let count = match read(file, &mut self.buffer[..wanted]) {
                Ok(0) => {
                    self.buffer.fill(0);
                    wanted
                }
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Failed::Read(errno)),
            };
            self.writer.data(&self.buffer[..count]).map_err(Failed::Write)?;
            left -= count as u64;
        }
        Ok(())
    }
}

enum Failed {
    Read(Errno),
    Write(Error),
}

fn kind(stat: &Stat) -> Option<Kind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::CharacterDevice => Some(Kind::CharDevice),
        FileType::BlockDevice => Some(Kind::BlockDevice),
        FileType::Fifo => Some(Kind::Fifo),
        _ => None,
    }
}

fn describe(visit: &Visit<'_>, kind: Kind) -> std::io::Result<Entry> {
    let stat = visit.stat;
    Ok(Entry {
        name: visit.path.to_vec(),
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: mtime(stat),
        device: (major(stat.st_rdev), minor(stat.st_rdev)),
        xattrs: xattrs(visit.folder, visit.name)?,
        ..Entry::default()
    })
}

/// All attributes but overlayfs's, sorted; those that vanish meanwhile are left out.
fn xattrs(folder: BorrowedFd<'_>, name: &[u8]) -> std::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut keys = match xattr::list_at(folder, name) {
        Ok(keys) => keys,
        Err(error) if error.errno == Errno::NOENT => return Ok(Vec::new()),
        Err(error) => return Err(of_sys(error)),
    };
    keys.retain(|key| !whiteout::is_overlays(key));
    keys.sort_unstable();
    let mut xattrs = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(value) = xattr::get_at(folder, name, &key).map_err(of_sys)? {
            xattrs.push((key, value));
        }
    }
    Ok(xattrs)
}
