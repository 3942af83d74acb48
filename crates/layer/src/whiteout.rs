//! How a layer says that something is gone: `.wh.` names in archives (image-spec, "Whiteouts"), character devices
//! 0/0 and an attribute in overlayfs's folders (kernel, filesystems/overlayfs.rst).

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Mode, mknodat};

use crate::tar::printable;
use crate::{Error, Result};

/// What hides an entry of the lower layers.
pub(crate) const PREFIX: &[u8] = b".wh.";
/// What hides everything that the lower layers have in a folder.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
/// AUFS's own bookkeeping: means nothing to anybody else.
const META_PREFIX: &[u8] = b".wh..wh.";
/// overlayfs's mark of an opaque folder.
pub(crate) const OPAQUE_KEY: &[u8] = b"trusted.overlay.opaque";
pub(crate) const OPAQUE_VALUE: &[u8] = b"y";

/// What a name in an archive means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// An entry like any other.
    Entry,
    /// The folder it is in hides the lower layers' entries.
    Opaque,
    /// The named sibling of the lower layers is gone.
    Gone(&'a [u8]),
    /// Nothing: bookkeeping of AUFS.
    Nothing,
}

/// Reads the name's meaning off its last component and the folders it is in.
pub(crate) fn meaning<'a>(folder: &[u8], name: &'a [u8]) -> Result<Meaning<'a>> {
    let refuse = |reason: &str| Err(Error::Entry { name: printable(name), reason: reason.to_owned() });
    for part in folder.split(|&b| b == b'/') {
        if part.starts_with(META_PREFIX) {
            return Ok(Meaning::Nothing);
        }
        if part.starts_with(PREFIX) {
            return refuse("it is below a whiteout");
        }
    }
    let Some(gone) = name.strip_prefix(PREFIX) else { return Ok(Meaning::Entry) };
    match gone {
        _ if name == OPAQUE => Ok(Meaning::Opaque),
        _ if name.starts_with(META_PREFIX) => Ok(Meaning::Nothing),
        b"" | b"." | b".." => refuse("it is a whiteout of nothing"),
        gone => Ok(Meaning::Gone(gone)),
    }
}

/// Makes overlayfs's whiteout.
pub(crate) fn make(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    mknodat(folder, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Whether something is overlayfs's whiteout.
pub(crate) fn is(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether the folder hides what the layers below have in it.
pub(crate) fn is_opaque(folder: BorrowedFd<'_>) -> boxship_sys::error::Result<bool> {
    let value = boxship_sys::xattr::get_at(folder, b"", OPAQUE_KEY)?;
    Ok(value.as_deref() == Some(OPAQUE_VALUE))
}

/// Attributes that overlayfs gives a meaning to. They are never taken from an archive (a layer could otherwise
/// show or hide what isn't its own) and never put into one.
pub(crate) fn is_overlays(key: &[u8]) -> bool {
    key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meanings() {
        for (folder, name, expect) in [
            ("", "a", Some(Meaning::Entry)),
            ("a", ".wh.b", Some(Meaning::Gone(b"b"))),
            ("a", ".wh..wh..opq", Some(Meaning::Opaque)),
            ("", ".wh..wh.aufs", Some(Meaning::Nothing)),
            (".wh..wh.plnk", "7.8", Some(Meaning::Nothing)),
            ("", ".wh..b", Some(Meaning::Gone(b".b"))),
            ("", ".wh.", None),
            ("", ".wh..", None),
            ("", ".wh...", None),
            ("x/.wh.a", "b", None),
        ] {
            assert_eq!(meaning(folder.as_bytes(), name.as_bytes()).ok(), expect, "{folder}/{name}");
        }
    }
}
