//! What an upper folder changes on top of its lower ones.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use crate::Result;

/// How a path changed. The numbers are the Engine API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Other content or metadata (`C`).
    Modified = 0,
    /// Not in the lower folders (`A`).
    Added = 1,
    /// Only in the lower folders (`D`).
    Deleted = 2,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path from the root, beginning with `/`.
    pub path: PathBuf,
    /// How it changed.
    pub kind: ChangeKind,
}

/// Lists the changes of `upper` on top of `lowers` (topmost first), sorted by path.
pub fn changes(upper: BorrowedFd<'_>, lowers: &[BorrowedFd<'_>]) -> Result<Vec<Change>> {
    let _ = (upper, lowers);
    todo!()
}
