//! Reads a container's log: the last lines, a span of time, and what comes.

use std::os::fd::{AsFd, BorrowedFd};

use jiff::Timestamp;

use super::{Record, Target};
use crate::Result;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Only the last records, counted before streams are chosen (as Docker does); `None`: all.
    pub tail: Option<u64>,
    /// Nothing before the first record of this time.
    pub since: Option<Timestamp>,
    /// End with the first record after this time.
    pub until: Option<Timestamp>,
    /// Go on with what comes.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// What a reader has.
#[derive(Debug)]
pub enum Next {
    /// A record.
    Record(Record),
    /// Nothing so far: wait until the reader's descriptor is readable, then ask again.
    Pending,
    /// Nothing more.
    End,
}

/// Reads records in their order. Never blocks except for the disk.
#[derive(Debug)]
pub struct Reader {
    descriptor: std::os::fd::OwnedFd,
}

impl Reader {
    /// Opens a log; one that doesn't exist is empty.
    pub fn open(target: &Target, options: ReadOptions) -> Result<Self> {
        let _ = (target, options);
        todo!()
    }

    /// The next record.
    pub fn poll(&mut self) -> Result<Next> {
        todo!()
    }

    /// The container has ended: what is written is read to its end, then [`Next::End`] comes.
    pub fn stop_following(&mut self) {
        todo!()
    }
}

impl AsFd for Reader {
    /// Readable (inotify, never to be read by others) when something was written since the last [`Next::Pending`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
