//! What an overlay of read-only layers shows at a path, without mounting it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use crate::metadata::{is_folder, of_sys};
use crate::whiteout;

type Result<T> = std::io::Result<T>;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How one layer answers for a path.
enum Answer {
    /// It is here: the folder that it is in, and what it is.
    Here(OwnedFd, Stat),
    /// Something here hides what the layers below have: a whiteout, another kind of file, an opaque folder.
    Hidden,
    /// Nothing here: ask the layer below.
    Below,
}

/// Finds an entry in `lowers` (topmost first). The path has no leading slash and isn't empty.
pub(crate) fn find(lowers: &[BorrowedFd<'_>], path: &[u8]) -> Result<Option<(OwnedFd, Stat)>> {
    for lower in lowers {
        match ask(*lower, path)? {
            Answer::Here(folder, stat) => return Ok(Some((folder, stat))),
            Answer::Hidden => return Ok(None),
            Answer::Below => {}
        }
    }
    Ok(None)
}

/// Opens the folder at a path in `lowers`: of the layer that decides on its owner, mode and times.
pub(crate) fn find_folder(lowers: &[BorrowedFd<'_>], path: &[u8]) -> Result<Option<OwnedFd>> {
    let Some((parent, stat)) = find(lowers, path)? else { return Ok(None) };
    if !is_folder(&stat) {
        return Ok(None);
    }
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    Ok(Some(openat(parent, name, FOLDER, Mode::empty())?))
}

fn ask(lower: BorrowedFd<'_>, path: &[u8]) -> Result<Answer> {
    let mut folder = openat(lower, ".", FOLDER, Mode::empty())?;
    let mut opaque = false;
    let mut parts = path.split(|&b| b == b'/').peekable();
    while let Some(part) = parts.next() {
        opaque = opaque || whiteout::is_opaque(folder.as_fd()).map_err(of_sys)?;
        if parts.peek().is_none() {
            return match statat(&folder, part, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if whiteout::is(&stat) => Ok(Answer::Hidden),
                Ok(stat) => Ok(Answer::Here(folder, stat)),
                Err(Errno::NOENT) => Ok(missing(opaque)),
                Err(errno) => Err(errno.into()),
            };
        }
        folder = match openat(&folder, part, FOLDER, Mode::empty()) {
            Ok(next) => next,
            Err(Errno::NOENT) => return Ok(missing(opaque)),
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Answer::Hidden),
            Err(errno) => return Err(errno.into()),
        };
    }
    Ok(missing(opaque))
}

fn missing(opaque: bool) -> Answer {
    if opaque { Answer::Hidden } else { Answer::Below }
}
