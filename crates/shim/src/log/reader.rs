//! Reads a container's log: the last lines, a span of time, and what comes.
//!
//! The files may be rotated, compressed and removed by the shim at any moment. A follower that finds its file put aside
//! goes on with the next one; if it can't tell which that is, it looks through all and goes on after the last time it
//! has seen (times of records strictly increase).

use std::{
    collections::VecDeque,
    io::{self, Seek},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::{
    event::{EventfdFlags, Timespec, eventfd},
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

use super::{
    Driver, Record, Stream, Target,
    found::{self, Found},
    source::{Source, find_tail},
};
use crate::{Error, Result};

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
    driver: Driver,
    path: PathBuf,
    max_files: u32,
    options: ReadOptions,
    /// Files to read, oldest first. When following, the last one is the one being written.
    sources: VecDeque<Source>,
    /// The file being written was put aside: what remains in it is read before its successor.
    put_aside: bool,
    /// The last record's time, of any stream.
    last: Option<Timestamp>,
    /// Records up to `last` are repetitions.
    repeating: bool,
    watch: OwnedFd,
    stopping: bool,
    ended: bool,
}

impl Reader {
    /// Opens a log; one that doesn't exist is empty.
    pub fn open(target: &Target, options: ReadOptions) -> Result<Self> {
        let watch = match options.follow {
            true => watch(&target.path)?,
            false => eventfd(0, EventfdFlags::CLOEXEC).map_err(call("make an eventfd"))?,
        };
        let mut reader = Self {
            driver: target.driver,
            path: target.path.clone(),
            max_files: target.max_files,
            options,
            sources: VecDeque::new(),
            put_aside: false,
            last: None,
            repeating: false,
            watch,
            stopping: false,
            ended: target.driver == Driver::None,
        };
        if !reader.ended {
            reader.start()?;
        }
        Ok(reader)
    }

    fn start(&mut self) -> Result<()> {
        let mut left = self.options.tail;
        for (age, found) in found::find(&self.path, self.max_files)?.into_iter().enumerate() {
            let unwanted =
                left == Some(0) || self.options.since.is_some_and(|since| found.is_older_than(since));
            if age > 0 && unwanted {
                break;
            }
            let limit = if age == 0 && self.options.follow { u64::MAX } else { found.size };
            let source = self.source(found, limit, &mut left).map_err(Error::file("read", &self.path))?;
            self.sources.push_front(source);
        }
        Ok(())
    }

    /// A file from where its share of the tail begins; `left` becomes what older files have to give.
    fn source(&self, found: Found, limit: u64, left: &mut Option<u64>) -> io::Result<Source> {
        let Found { mut file, compressed, size, .. } = found;
        let Some(left) = left.as_mut() else {
            return Ok(match compressed {
                true => Source::compressed(self.driver, file, 0),
                false => Source::plain(self.driver, file, 0, limit),
            });
        };
        if compressed {
            let records = Source::compressed(self.driver, file.try_clone()?, 0).count()?;
            file.rewind()?;
            let skip = records.saturating_sub(*left);
            *left -= records - skip;
            return Ok(Source::compressed(self.driver, file, skip));
        }
        let (offset, records) = match *left {
            0 => (size, 0),
            wanted => find_tail(self.driver, &file, size, wanted)?,
        };
        *left -= records.min(*left);
        Ok(Source::plain(self.driver, file, offset, limit))
    }

    /// The next record.
    pub fn poll(&mut self) -> Result<Next> {
        let mut drained = false;
        while !self.ended {
            match self.next_of_any()? {
                Some(record) => {
                    if let Some(record) = self.judge(record) {
                        return Ok(Next::Record(record));
                    }
                }
                None if !self.options.follow || self.stopping => self.ended = true,
                None if drained => return Ok(Next::Pending),
                // What was written between the last look and this would else not wake anybody.
                None => drained = self.drain_watch(),
            }
        }
        self.sources.clear();
        Ok(Next::End)
    }

    /// The container has ended: what is written is read to its end, then [`Next::End`] comes.
    pub fn stop_following(&mut self) {
        self.stopping = true;
    }

    fn next_of_any(&mut self) -> Result<Option<Record>> {
        loop {
            let next = match self.sources.front_mut() {
                Some(source) => source.next().map_err(Error::file("read", &self.path))?,
                None => None,
            };
            let more = match next {
                Some(record) => return Ok(Some(record)),
                None if self.sources.len() > 1 => self.sources.pop_front().is_some(),
                None if self.options.follow => self.go_on()?,
                None => false,
            };
            if !more {
                return Ok(None);
            }
        }
    }

    /// The file being written was read to its end. Whether there is more to read, here or elsewhere.
    fn go_on(&mut self) -> Result<bool> {
        let current = found::inode(&self.path);
        let Some(source) = self.sources.front_mut() else {
            return if current.is_some() { self.find_successors(None) } else { Ok(false) };
        };
        if source.rewind_if_truncated() {
            return Ok(true);
        }
        let read = source.inode();
        if current.is_none() || current == read {
            return Ok(false);
        }
        // Something may have been written between the last read and the rotation.
        if !std::mem::replace(&mut self.put_aside, true) {
            return Ok(true);
        }
        self.put_aside = false;
        self.find_successors(read)
    }

    /// Turns to the files that came after the one with inode `read`. Whether there are any.
    fn find_successors(&mut self, read: Option<u64>) -> Result<bool> {
        let found = found::find(&self.path, self.max_files)?;
        let place =
            read.and_then(|read| found.iter().position(|found| found.inode == read && !found.compressed));
        self.repeating = place.is_none() && self.last.is_some();
        let newer = place.unwrap_or(found.len());
        self.sources.clear();
        for (age, found) in found.into_iter().take(newer).enumerate() {
            let seen = self.repeating && self.last.is_some_and(|last| found.is_older_than(last));
            if age > 0 && seen {
                break;
            }
            let limit = if age == 0 { u64::MAX } else { found.size };
            let source = self.source(found, limit, &mut None).map_err(Error::file("read", &self.path))?;
            self.sources.push_front(source);
        }
        Ok(!self.sources.is_empty())
    }

    /// Applies repetition, time and stream; may end the log.
    fn judge(&mut self, record: Record) -> Option<Record> {
        if self.repeating && self.last.is_some_and(|last| record.time <= last) {
            return None;
        }
        self.repeating = false;
        self.last = Some(record.time);
        if let Some(since) = self.options.since {
            if record.time < since {
                return None;
            }
            // Clocks may be set back: only the beginning is looked for.
            self.options.since = None;
        }
        if self.options.until.is_some_and(|until| record.time > until) {
            self.ended = true;
            return None;
        }
        let wanted = match record.stream {
            Stream::Stdout => self.options.stdout,
            Stream::Stderr => self.options.stderr,
        };
        wanted.then_some(record)
    }

    fn drain_watch(&self) -> bool {
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.watch, &mut buffer[..]).is_ok_and(|length| length > 0) {}
        true
    }
}

impl AsFd for Reader {
    /// Readable (never to be read by others) when something was written since the last [`Next::Pending`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// A descriptor that becomes readable when something happens in the log's folder; or now and then, when the user has
/// no more inotify instances (Linux grants 128).
fn watch(path: &Path) -> Result<OwnedFd> {
    let watch = match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
        Err(Errno::MFILE) => return tick(),
        other => other.map_err(call("make an inotify descriptor"))?,
    };
    let folder = path.parent().unwrap_or(path);
    let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
    match inotify::add_watch(&watch, folder, events) {
        Ok(_) => Ok(watch),
        // No such folder so far, or no more watches.
        Err(Errno::NOENT | Errno::NOSPC) => tick(),
        Err(errno) => Err(Error::File { action: "watch", path: folder.to_owned(), source: errno.into() }),
    }
}

fn tick() -> Result<OwnedFd> {
    const OFTEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(call("make a timer"))?;
    let times = Itimerspec { it_interval: OFTEN, it_value: OFTEN };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times).map_err(call("set a timer"))?;
    Ok(timer)
}

fn call(action: &'static str) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::Call { action, source: errno.into() }
}

#[cfg(test)]
mod tests;
