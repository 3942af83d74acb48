//! The maker's side of a process on its way to its program: what both creation and exec do with it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use boxship_sys::{fd, path, process, signal};
use rustix::fs::OFlags;

use crate::child::streams::Streams;
use crate::error::{Error, Result};
use crate::limits;
use crate::message::{Channel, Report};
use crate::options::Stdio;
use crate::process_plan::ProcessPlan;

/// A process that is not yet somebody else's: dropped before [`NewProcess::release`] it is killed and reaped.
#[derive(Debug)]
pub(crate) struct NewProcess {
    pub pid: i32,
    pidfd: Option<OwnedFd>,
}

impl NewProcess {
    pub(crate) fn new(pid: i32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd: Some(pidfd) }
    }

    /// It is the caller's now.
    pub(crate) fn release(mut self) -> OwnedFd {
        self.pidfd.take().expect("taken once: self is gone afterwards")
    }

    /// Waits for its end and tells how it ended.
    pub(crate) fn reap(mut self) -> Error {
        let ended = self.pidfd.take().map(|pidfd| process::wait(pidfd.as_fd()));
        let how = match ended {
            Some(Ok(process::Exit::Code(code))) => format!("exit code {code}"),
            Some(Ok(process::Exit::Signal(number))) => {
                signal::Signal::from_number(number).map_or_else(|| number.to_string(), signal::Signal::name)
            }
            Some(Err(error)) => error.to_string(),
            None => "reaped".to_owned(),
        };
        Error::ChildGone { how }
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // It may have ended by itself; reaping tells nothing anybody could use.
            let _ = signal::send(pidfd.as_fd(), signal::Signal::KILL);
            let _ = process::wait(pidfd.as_fd());
        }
    }
}

/// The process that a short-lived helper made as our child; the helper is reaped.
pub(crate) fn sibling(helper: NewProcess, channel: &Channel) -> Result<NewProcess> {
    match channel.next().map_err(Error::system("listen to the container's process"))? {
        Some(Report::Spawned(pid)) => {
            // It is our child and nobody else reaps it: the number cannot mean another process.
            let pidfd = process::open(pid).map_err(Error::system("hold the container's process"))?;
            helper.reap();
            Ok(NewProcess::new(pid, pidfd))
        }
        Some(Report::Failed(failure)) => Err(failure.into()),
        _ => Err(helper.reap()),
    }
}

/// Parts of this process go on inside the container for a moment: its executable must not be writable from there.
pub(crate) fn check_sealed() -> Result<()> {
    let sealed = boxship_sys::exe::runs_sealed().map_err(Error::system("look at own executable"))?;
    if sealed { Ok(()) } else { Err(Error::Unsealed) }
}

/// What only the maker may do to the process: limits above its own, a lower out-of-memory score.
pub(crate) fn apply_outer(pid: i32, plan: &ProcessPlan) -> Result<()> {
    limits::set_for(pid, &plan.limits)?;
    if let Some(score) = plan.oom_score_adj {
        let path = format!("/proc/{pid}/oom_score_adj");
        std::fs::write(&path, score.to_string()).map_err(Error::file("write", path))?;
    }
    Ok(())
}

/// How the streams are given to the process, and where its terminal's master goes.
pub(crate) fn streams(stdio: Stdio, terminal: bool, preserve_fds: u32) -> Result<(Streams, Option<PathBuf>)> {
    match (stdio, terminal) {
        (Stdio::Inherit, false) => Ok((Streams::Inherit, None)),
        (Stdio::Files { stdin, stdout, stderr }, false) => {
            let lowest = 3 + preserve_fds as i32;
            let file = |given: Option<OwnedFd>| {
                let file = match given {
                    Some(file) => Ok(file),
                    None => path::open(Path::new("/dev/null"), OFlags::RDWR | OFlags::NOCTTY),
                };
                file.and_then(|file| fd::raise(file, lowest))
                    .map_err(Error::system("prepare standard streams"))
            };
            Ok((Streams::Files([file(stdin)?, file(stdout)?, file(stderr)?]), None))
        }
        (Stdio::Console, true) => Ok((Streams::Terminal, None)),
        (Stdio::ConsoleSocket(path), true) => Ok((Streams::Terminal, Some(path))),
        (Stdio::Inherit | Stdio::Files { .. }, true) => Err(Error::Invalid(
            "cannot allocate tty if runtime will detach without setting console socket".to_owned(),
        )),
        (Stdio::Console | Stdio::ConsoleSocket(_), false) => Err(Error::Invalid(
            "cannot use console socket if runtime will not detach or allocate tty".to_owned(),
        )),
    }
}

/// Descriptors to be preserved must be there: a hole would be filled by one of the runtime's own.
pub(crate) fn check_preserved(count: u32) -> Result<()> {
    let most = 3 + i32::try_from(count).ok().filter(|count| *count < 1 << 20).unwrap_or(-4);
    match (3..most).find(|number| !fd::is_open(*number)) {
        _ if most < 3 => Err(Error::Invalid(format!("cannot preserve {count} descriptors"))),
        Some(number) => Err(Error::Invalid(format!("descriptor {number} to be preserved is not open"))),
        None => Ok(()),
    }
}

/// Sends a terminal's master to whoever listens on the console socket, with its name.
pub(crate) fn send_console(socket: &Path, master: &OwnedFd) -> Result<()> {
    fd::connect(socket)
        .and_then(|socket| fd::send(socket.as_fd(), b"/dev/ptmx", &[master.as_fd()]))
        .map_err(Error::system("send console to console socket"))
}

/// Writes the process number for others, whole or not at all.
pub(crate) fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let name = path.file_name().ok_or_else(|| Error::Invalid(format!("pid file {path:?}")))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let new = path.with_file_name(hidden);
    std::fs::write(&new, pid.to_string())
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(Error::file("write pid file", path))
}

/// When a process started, in clock ticks since boot, and the letter of its state.
pub(crate) fn start_time(pid: i32) -> Option<(u64, char)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything, parentheses too.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((fields.nth(18)?.parse().ok()?, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_start() {
        let (time, state) = start_time(std::process::id() as i32).unwrap();
        assert!(time > 0);
        // The first thread's: it may be waiting for memory just then, too.
        assert!("RSD".contains(state), "{state}");
        assert_eq!(start_time(-1), None);
    }

    #[test]
    fn preserved_descriptors_must_exist() {
        check_preserved(0).unwrap();
        check_preserved(100_000).unwrap_err();
        check_preserved(u32::MAX).unwrap_err();
    }

    #[test]
    fn pid_file_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        write_pid_file(&path, 42).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "42");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
