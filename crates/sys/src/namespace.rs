//! Namespaces: their kinds, leaving them (unshare), joining them (setns) by descriptor or by process.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags};

use crate::error::{Named, Result};

/// A kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Control groups.
    Cgroup,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Mounts.
    Mount,
    /// Network devices, addresses, ports.
    Network,
    /// Process numbers.
    Pid,
    /// Monotonic and boot clocks.
    Time,
    /// User and group numbers, capabilities.
    User,
    /// Host name and domain name.
    Uts,
}

impl Kind {
    /// Every kind, the user namespace first: it must be entered before the rest when it gives the right to the rest.
    pub const ALL: [Kind; 8] =
        [Kind::User, Kind::Cgroup, Kind::Ipc, Kind::Uts, Kind::Network, Kind::Pid, Kind::Mount, Kind::Time];

    /// The `CLONE_NEW*` bit.
    pub const fn flag(self) -> u64 {
        match self {
            Kind::Cgroup => libc::CLONE_NEWCGROUP as u64,
            Kind::Ipc => libc::CLONE_NEWIPC as u64,
            Kind::Mount => libc::CLONE_NEWNS as u64,
            Kind::Network => libc::CLONE_NEWNET as u64,
            Kind::Pid => libc::CLONE_NEWPID as u64,
            Kind::Time => 0x80,
            Kind::User => libc::CLONE_NEWUSER as u64,
            Kind::Uts => libc::CLONE_NEWUTS as u64,
        }
    }

    /// Its file in `/proc/<pid>/ns`.
    pub const fn file(self) -> &'static str {
        match self {
            Kind::Cgroup => "cgroup",
            Kind::Ipc => "ipc",
            Kind::Mount => "mnt",
            Kind::Network => "net",
            Kind::Pid => "pid",
            Kind::Time => "time",
            Kind::User => "user",
            Kind::Uts => "uts",
        }
    }
}

/// Opens a namespace by the path of its file.
pub fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .named("open", path.display())
}

/// Joins the namespace behind a descriptor, which must be of this kind.
pub fn join(namespace: BorrowedFd<'_>, kind: Kind) -> Result<()> {
    let kinds = ThreadNameSpaceType::from_bits_retain(kind.flag() as u32);
    rustix::thread::move_into_thread_name_spaces(namespace, kinds).named("setns", kind.file())
}

/// Joins several namespaces of a process at once (`CLONE_NEW*` bits); the kernel finds the right order.
pub fn join_process(pidfd: BorrowedFd<'_>, kinds: u64) -> Result<()> {
    let kinds = ThreadNameSpaceType::from_bits_retain(kinds as u32);
    rustix::thread::move_into_thread_name_spaces(pidfd, kinds).named("setns", "process")
}

/// Leaves namespaces for new ones (`CLONE_NEW*` bits).
pub fn unshare(kinds: u64) -> Result<()> {
    // Bits other than CLONE_NEW* (a private descriptor table above all) would surprise other threads.
    let allowed = Kind::ALL.iter().fold(0, |bits, kind| bits | kind.flag());
    let kinds = UnshareFlags::from_bits_retain((kinds & allowed) as u32);
    // SAFETY: only namespaces are left; no descriptor table is unshared, so I/O safety holds.
    unsafe { rustix::thread::unshare_unsafe(kinds) }.named("unshare", "namespaces")
}

/// Brings the loopback device of this network namespace up.
pub fn bring_loopback_up() -> Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use std::os::fd::AsRawFd;

    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .named("socket", "loopback")?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which is what the pointer points to for the length of the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done == 0 {
        Ok(())
    } else {
        Err(crate::Error::new("ioctl SIOCSIFFLAGS", "lo", crate::error::last_errno()))
    }
}
