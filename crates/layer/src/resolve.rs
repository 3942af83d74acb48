//! Names of an archive become folders below the root, and nothing else.
//!
//! A name is cleaned as text first (`..` may not lead out), then its folder is opened from the root's descriptor
//! with `RESOLVE_IN_ROOT`: links that the archive made are followed, but as in a chroot. The folder's descriptor
//! is kept, because archives stay in a folder for many entries.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::tar::printable;
use crate::{Error, Result};

/// Folders kept open at most.
const CACHED: usize = 64;

/// A name below the root: components joined by `/`, no `.`, no `..`, nothing empty. The empty path is the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Inside(Vec<u8>);

impl Inside {
    /// Cleans a name of an archive. An absolute name counts from the root; one that leads out is refused.
    pub fn clean(name: &[u8], max_depth: u32) -> Result<Inside> {
        let refuse = |reason: String| Error::Entry { name: printable(name), reason };
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in name.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." if parts.pop().is_none() => return Err(refuse("it leads out of the root".to_owned())),
                b".." => {}
                part if part.contains(&0) => return Err(refuse("it contains a NUL".to_owned())),
                part => parts.push(part),
            }
        }
        if parts.len() as u64 > u64::from(max_depth) {
            return Err(refuse(format!("it is more than {max_depth} folders deep")));
        }
        Ok(Inside(parts.join(&b'/')))
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Splits into the folder and the last component.
    pub fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|&b| b == b'/') {
            Some(at) => (&self.0[..at], &self.0[at + 1..]),
            None => (&[], &self.0),
        }
    }
}

/// Opens folders below a root and keeps them open.
pub(crate) struct Folders {
    root: Rc<OwnedFd>,
    open: HashMap<Vec<u8>, Rc<OwnedFd>>,
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

impl Folders {
    pub fn new(root: BorrowedFd<'_>) -> std::io::Result<Folders> {
        Ok(Folders { root: Rc::new(root.try_clone_to_owned()?), open: HashMap::new(), last: None })
    }

    /// Opens the folder at a cleaned path; `None` when there is nothing of that name.
    pub fn open(&mut self, path: &[u8]) -> rustix::io::Result<Option<Rc<OwnedFd>>> {
        if path.is_empty() {
            return Ok(Some(self.root.clone()));
        }
        if let Some((last, folder)) = &self.last
            && last == path
        {
            return Ok(Some(folder.clone()));
        }
        let folder = match self.open.get(path) {
            Some(folder) => folder.clone(),
            None => match open_folder(self.root.as_fd(), path) {
                Ok(folder) => self.keep(path, folder),
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(errno),
            },
        };
        self.last = Some((path.to_vec(), folder.clone()));
        Ok(Some(folder))
    }

    fn keep(&mut self, path: &[u8], folder: OwnedFd) -> Rc<OwnedFd> {
        if self.open.len() >= CACHED {
            self.open.clear();
        }
        let folder = Rc::new(folder);
        self.open.insert(path.to_vec(), folder.clone());
        folder
    }

    /// Forgets all descriptors: a folder or link was replaced, so paths may mean something else now.
    pub fn forget(&mut self) {
        self.open.clear();
        self.last = None;
    }
}

/// Opens a folder as seen by a process that has `root` as its root directory.
pub(crate) fn open_folder(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retrying(|| {
        openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    })
}

/// openat2 gives up with EAGAIN when something in the system is renamed meanwhile and it can't be sure.
pub(crate) fn retrying<T>(mut open: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    for _ in 0..128 {
        match open() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        for (name, expect) in [
            ("a/b", Some("a/b")),
            ("/a//b/", Some("a/b")),
            ("./a/./b", Some("a/b")),
            ("a/../b", Some("b")),
            ("a/b/../../c", Some("c")),
            ("./", Some("")),
            ("/", Some("")),
            ("..", None),
            ("/..", None),
            ("a/../../b", None),
            ("a\0b", None),
            ("1/2/3/4/5/6/7/8/9", None),
            ("...", Some("...")),
        ] {
            let found = Inside::clean(name.as_bytes(), 8).ok();
            assert_eq!(found.as_ref().map(|p| p.as_bytes()), expect.map(str::as_bytes), "{name}");
        }
    }
}
