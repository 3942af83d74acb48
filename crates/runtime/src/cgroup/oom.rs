//! Hearing of the out-of-memory killer: a descriptor for the supervisor's poll loop.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;

use super::directory::Directory;
use super::error::{Error, Result};

/// Becomes readable when the container may have run out of memory; read the count then
/// ([`super::Cgroup::oom_kill_count`]), since removal of the cgroup and other memory events wake it too. v1 wakes it
/// just before the killer strikes: a count that hasn't grown yet is to be read again when a process ends.
#[derive(Debug)]
pub struct OomEvents {
    descriptor: OwnedFd,
    /// v1: the kernel notifies only while this stays open.
    _control: Option<File>,
}

impl OomEvents {
    /// v1: an eventfd registered with `memory.oom_control` (cgroup-v1/memory.rst, section 10).
    pub(super) fn v1(memory: &Directory) -> Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| call("make an eventfd", errno))?;
        let path = memory.path().join("memory.oom_control");
        let control = File::open(&path).map_err(|source| Error::File { action: "open", path, source })?;
        memory
            .write("cgroup.event_control", format!("{} {}", descriptor.as_raw_fd(), control.as_raw_fd()))?;
        Ok(Self { descriptor, _control: Some(control) })
    }

    /// v2: inotify on `memory.events`, which the kernel reports as modified with each event.
    pub(super) fn v2(directory: &Directory) -> Result<Self> {
        let descriptor = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map_err(|errno| call("make an inotify descriptor", errno))?;
        let path = directory.path().join("memory.events");
        match inotify::add_watch(&descriptor, &path, inotify::WatchFlags::MODIFY) {
            Ok(_) => Ok(Self { descriptor, _control: None }),
            Err(errno) => Err(Error::File { action: "watch", path, source: errno.into() }),
        }
    }

    /// Takes what is to be read, so that the descriptor sleeps until the next event.
    pub fn drain(&self) -> Result<()> {
        let mut buffer = [0_u8; 4096];
        loop {
            match rustix::io::read(&self.descriptor, &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(call("read memory events", errno)),
            }
        }
    }
}

impl AsFd for OomEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn call(action: &'static str, errno: rustix::io::Errno) -> Error {
    Error::Call { action, source: io::Error::from(errno) }
}
