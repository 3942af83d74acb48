//! A folder becomes an archive.

use std::io::Write;
use std::os::fd::BorrowedFd;

use crate::Result;

/// Packs an overlay's upper folder as a layer: overlayfs's whiteouts become `.wh.` names.
pub fn diff(upper: BorrowedFd<'_>, archive: &mut dyn Write) -> Result<u64> {
    let _ = (upper, archive);
    todo!()
}

/// Packs a folder as it is.
pub fn pack(root: BorrowedFd<'_>, archive: &mut dyn Write) -> Result<u64> {
    let _ = (root, archive);
    todo!()
}
