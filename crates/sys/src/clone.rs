//! clone3(2): a child process in new namespaces, born in its cgroup, held by a pidfd.
//!
//! Only a single-threaded process may fork here: the child then owns every lock of the C library and ordinary code is
//! safe in it. The child never returns into its caller's frames.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Errno, Error, Result, last_errno};

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How a child is made.
#[derive(Debug, Default)]
pub struct Clone<'fd> {
    /// `CLONE_NEW*` bits: the child's new namespaces.
    pub namespaces: u64,
    /// The child becomes a sibling: its parent is the caller's parent.
    pub sibling: bool,
    /// The cgroup v2 folder the child is born in.
    pub cgroup: Option<BorrowedFd<'fd>>,
}

/// A child just made.
#[derive(Debug)]
pub struct Child {
    /// Its number in the caller's process namespace.
    pub pid: i32,
    /// Holds the process whatever its number is used for later.
    pub pidfd: OwnedFd,
}

#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

impl Clone<'_> {
    /// Makes the child and runs `child` in it; what it returns is the child's exit status.
    ///
    /// # Errors
    /// `EBUSY` when the process has more than one thread, else what the kernel says.
    pub fn spawn(self, child: impl FnOnce() -> u8) -> Result<Child> {
        if !single_threaded() {
            return Err(Error::new("clone3", "process with several threads", Errno::BUSY));
        }
        let mut pidfd: i32 = -1;
        let mut arguments = CloneArguments {
            flags: self.namespaces | CLONE_PIDFD,
            pidfd: (&raw mut pidfd) as u64,
            exit_signal: libc::SIGCHLD as u64,
            ..CloneArguments::default()
        };
        if self.sibling {
            // The kernel takes over the parent's own exit signal and refuses another.
            arguments.flags |= CLONE_PARENT;
            arguments.exit_signal = 0;
        }
        if let Some(cgroup) = self.cgroup {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = cgroup.as_fd().as_raw_fd() as u64;
        }
        // SAFETY: the structure is as clone3(2) describes it and outlives the call; without CLONE_VM the child works on
        // a copy of this memory and this stack, and being the only thread it holds no lock of another.
        let mut pid =
            unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArguments>()) };
        if pid == -1 && last_errno() == Errno::NOSYS && self.cgroup.is_none() {
            // Docker's seccomp profile hides clone3, so that programs take clone, whose flags it can see.
            let flags = arguments.flags | arguments.exit_signal;
            let stack: u64 = 0;
            // SAFETY: as above; clone(2) has its flags and exit signal in one number, no stack means a copy of ours,
            // and with CLONE_PIDFD the third argument is where the descriptor goes, on every architecture.
            pid = unsafe { libc::syscall(libc::SYS_clone, flags, stack, &raw mut pidfd, 0_u64, 0_u64) };
        }
        match pid {
            -1 => Err(Error::new("clone3", "child", last_errno())),
            0 => {
                BORN_HERE.store(true, Ordering::Relaxed);
                let status = catch_unwind(AssertUnwindSafe(child)).unwrap_or(u8::MAX);
                // SAFETY: _exit only ends the process; it runs none of the parent's exit handlers.
                unsafe { libc::_exit(i32::from(status)) }
            }
            pid => {
                // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD); nobody else owns it.
                let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
                Ok(Child { pid: pid as i32, pidfd })
            }
        }
    }
}

/// Set in a child made here: it has the one thread it was born with. (Inside a container it could not ask: there
/// `/proc` belongs to another process namespace.)
static BORN_HERE: AtomicBool = AtomicBool::new(false);

/// Whether this process has one thread only.
pub fn single_threaded() -> bool {
    if BORN_HERE.load(Ordering::Relaxed) {
        return true;
    }
    // A folder has two links of its own and one for each folder in it: one thread makes three.
    rustix::fs::stat("/proc/self/task").is_ok_and(|found| found.st_nlink == 3)
}
