//! A bind source inside another container: `/proc/<pid>/root/…`, as `--ipc container:x` shares /dev/shm. The kernel
//! copies only mounts of the caller's own mount namespace, so a helper enters the other one, makes the detached copy
//! there and hands it over. The helper resolves the path below the other container's root and runs nothing of it.

use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use boxship_sys::clone::Clone;
use boxship_sys::namespace::{self, Kind};
use boxship_sys::{Errno, Result, fd, mount, process};
use rustix::fs::CWD;

/// The process and the path below its root that a source names; `None` for every other source.
pub(crate) fn parse(source: &Path) -> Option<(i32, PathBuf)> {
    let rest = source.strip_prefix("/proc").ok()?;
    let mut parts = rest.components();
    let pid = parts.next()?.as_os_str().to_str()?.parse().ok()?;
    let is_root = parts.next()?.as_os_str() == "root";
    is_root.then(|| (pid, Path::new("/").join(parts.as_path())))
}

/// A detached copy of the mount at `path` in the mount namespace of a process.
pub(crate) fn copy(pid: i32, path: &Path, recursive: bool) -> Result<OwnedFd> {
    let other = namespace::open(Path::new(&format!("/proc/{pid}/ns/mnt")))?;
    made_by_helper(Clone::default(), ("open_tree", &path.display()), || {
        namespace::join(other.as_fd(), Kind::Mount)?;
        mount::copy(CWD, path, recursive)
    })
}

/// A detached mount that a helper process makes where we cannot, and hands over. Of its failure only the errno comes
/// back; `failing` is the call and the object to name with it.
pub(crate) fn made_by_helper(
    helper: Clone<'_>,
    failing: (&'static str, &dyn Display),
    make: impl FnOnce() -> Result<OwnedFd>,
) -> Result<OwnedFd> {
    let (ours, theirs) = fd::message_pair()?;
    let helper = helper.spawn(|| {
        let answer = match &make() {
            Ok(tree) => fd::send(theirs.as_fd(), &0_i32.to_le_bytes(), &[tree.as_fd()]),
            Err(error) => fd::send(theirs.as_fd(), &error.errno.raw_os_error().to_le_bytes(), &[]),
        };
        u8::from(answer.is_err())
    })?;
    drop(theirs);
    let mut errno = [0; 4];
    let received = fd::receive(ours.as_fd(), &mut errno);
    process::wait(helper.pidfd.as_fd())?;
    received?.1.pop().ok_or_else(|| {
        let errno = i32::from_le_bytes(errno);
        let errno = if errno == 0 { Errno::IO } else { Errno::from_raw_os_error(errno) };
        boxship_sys::Error::new(failing.0, failing.1, errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roots_of_processes_are_foreign() {
        let shm = Some((12, PathBuf::from("/dev/shm")));
        for (source, expect) in [
            ("/proc/12/root/dev/shm", shm),
            ("/proc/12/root", Some((12, PathBuf::from("/")))),
            ("/proc/self/root/dev", None),
            ("/proc/12/cwd", None),
            ("/srv/proc/12/root", None),
        ] {
            assert_eq!(parse(Path::new(source)), expect, "{source}");
        }
    }
}
