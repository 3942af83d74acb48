//! One daemon per data root, and a file that tells its process id.
//!
//! The lock is the kernel's (it vanishes with the process); the pid file is for people and scripts.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a killed daemon may take until it is gone.
const DYING: Duration = Duration::from_secs(2);

/// Holds the data root; let go when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Make the data root and take its lock.
pub(crate) fn lock(data_root: &Path) -> Result<Lock, Error> {
    let failed = |source| Error::WriteFile { what: "data root", path: data_root.to_owned(), source };
    folder(data_root).map_err(failed)?;
    let path = data_root.join("daemon.lock");
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(failed)?;
    match patient_lock(&file) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(Error::Busy {
            why: format!(
                "another daemon uses the data root {}: stop it or choose another --data-root",
                data_root.display()
            ),
        }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Take the lock, waiting a moment for a daemon that is just being killed: until its last thread is gone the kernel
/// keeps its locks, and whoever starts the next one right after `kill -9` would meet them.
fn patient_lock(file: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + DYING;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Make a folder that only root enters, with those above it.
pub(crate) fn folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o711).create(path)
}

/// A written pid file, removed when dropped.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Write our process id, unless the file names a living daemon.
    pub(crate) fn write(path: &Path) -> Result<PidFile, Error> {
        let failed = |source| Error::WriteFile { what: "pid file", path: path.to_owned(), source };
        if let Some(pid) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok())
            && is_daemon(pid)
        {
            return Err(Error::Busy {
                why: format!(
                    "process with PID {pid} is still running: stop it, or remove {} if it is no daemon",
                    path.display()
                ),
            });
        }
        if let Some(parent) = path.parent() {
            folder(parent).map_err(failed)?;
        }
        fs::write(path, format!("{}", std::process::id())).map_err(failed)?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether `pid` is alive and runs our program: numbers are used again after a reboot. A zombie is dead; who should
/// reap it is slow, not alive.
fn is_daemon(pid: u32) -> bool {
    if pid == std::process::id() || state(pid) == Some('Z') {
        return false;
    }
    let command = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    command(&pid.to_string()).is_some_and(|theirs| Some(theirs) == command("self"))
}

/// The state letter of `/proc/PID/stat`, which stands behind the last bracket (proc_pid_stat(5)).
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_per_data_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let held = lock(&root).unwrap();
        let refused = lock(&root).unwrap_err().told();
        assert!(refused.starts_with("another daemon uses the data root"), "{refused}");
        drop(held);
        assert!(lock(&root).is_ok());
    }

    #[test]
    fn a_daemon_that_is_going_away_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        let releaser = std::thread::spawn(move || drop(held));
        assert!(lock(folder.path()).is_ok());
        releaser.join().unwrap();
    }

    #[test]
    fn a_zombie_is_no_daemon() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while state(child.id()) != Some('Z') {
            std::thread::yield_now();
        }
        assert!(!is_daemon(child.id()));
        child.wait().unwrap();
    }

    #[test]
    fn pid_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/x.pid");
        let written = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(written);
        assert!(!path.exists());
        // A number that nobody has, and one of another program.
        for stale in ["4194304", "1", "nonsense"] {
            fs::write(&path, stale).unwrap();
            drop(PidFile::write(&path).unwrap());
        }
    }
}
