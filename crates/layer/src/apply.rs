//! Unpacks a layer's archive below a folder.

use std::io::Read;
use std::os::fd::BorrowedFd;

use boxship_oci::digest::Digest;

use crate::{Limits, Result};

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Digest of the whole uncompressed stream; `None` when [`Apply::hash`] was off.
    pub diff_id: Option<Digest>,
    /// Bytes in the regular files, hard links counted once.
    pub size: u64,
    /// Entries of the archive.
    pub entries: u64,
}

/// How to unpack an archive.
pub struct Apply<'a> {
    /// The root folders of the layers below, topmost first: folders that the archive only implies take their
    /// owner, mode and times from there.
    pub lowers: &'a [BorrowedFd<'a>],
    /// Bounds on the archive.
    pub limits: &'a Limits,
    /// Whether to hash the stream (not needed when its digest was verified already).
    pub hash: bool,
}

/// Unpacks `archive` (plain, gzip or zstd) below `root`, with nothing below it and the default limits.
pub fn apply(archive: &mut (dyn Read + Send), root: BorrowedFd<'_>, limits: &Limits) -> Result<Applied> {
    Apply { lowers: &[], limits, hash: true }.run(archive, root)
}

impl Apply<'_> {
    /// Unpacks `archive` below `root`. On failure what was unpacked until then is the caller's to remove.
    pub fn run(&self, archive: &mut (dyn Read + Send), root: BorrowedFd<'_>) -> Result<Applied> {
        let _ = (archive, root);
        todo!()
    }
}
