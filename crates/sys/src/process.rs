//! What a process is: identity, capabilities, limits, scheduling, its death. All of it of the calling process, which
//! has one thread, unless a function takes a process number or a pidfd.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, WaitIdOptions};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::{Errno, Error, Named, Result, last_errno};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// The one number shells use: the code, or 128 and the signal.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// Opens a pidfd.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let number = Pid::from_raw(pid).ok_or_else(|| Error::new("pidfd_open", pid, Errno::SRCH))?;
    rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()).named("pidfd_open", pid)
}

/// Waits for the end of a child held by a pidfd and reaps it.
pub fn wait(pidfd: BorrowedFd<'_>) -> Result<Exit> {
    loop {
        match wait_id(pidfd, WaitIdOptions::EXITED) {
            Ok(Some(exit)) => return Ok(exit),
            Ok(None) => {}
            Err(error) if error.errno == Errno::INTR => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reaps a child held by a pidfd if it has ended.
pub fn try_wait(pidfd: BorrowedFd<'_>) -> Result<Option<Exit>> {
    wait_id(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

fn wait_id(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> Result<Option<Exit>> {
    let status =
        rustix::process::waitid(rustix::process::WaitId::PidFd(pidfd), options).named("waitid", "child")?;
    Ok(status.and_then(|status| {
        let code = status.exit_status().map(Exit::Code);
        code.or_else(|| status.terminating_signal().map(Exit::Signal))
    }))
}

/// Waits at most `milliseconds` for a process, child or not, to end; tells whether it has.
pub fn has_ended(pidfd: BorrowedFd<'_>, milliseconds: i32) -> Result<bool> {
    let mut ask = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one pollfd, as told.
        match unsafe { libc::poll(&raw mut ask, 1, milliseconds) } {
            -1 if last_errno() == Errno::INTR => {}
            -1 => return Err(Error::new("poll", "pidfd", last_errno())),
            ready => return Ok(ready == 1),
        }
    }
}

/// Whether other processes of the same user may look into this one (prctl PR_SET_DUMPABLE).
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    use rustix::process::DumpableBehavior::{Dumpable, NotDumpable};
    rustix::process::set_dumpable_behavior(if dumpable { Dumpable } else { NotDumpable })
        .named("prctl", "PR_SET_DUMPABLE")
}

/// Orphans below this process become its children.
pub fn become_subreaper() -> Result<()> {
    // SAFETY: this prctl takes one number.
    let done = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    if done == 0 { Ok(()) } else { Err(Error::new("prctl", "PR_SET_CHILD_SUBREAPER", last_errno())) }
}

/// Starts a session of its own, without terminal.
pub fn start_session() -> Result<()> {
    rustix::process::setsid().map(|_| ()).named("setsid", "process")
}

/// Execs can no longer gain privileges.
pub fn set_no_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true).named("prctl", "PR_SET_NO_NEW_PRIVS")
}

/// Sets real, effective and saved user number.
pub fn set_user(uid: u32) -> Result<()> {
    // SAFETY: three numbers; the raw call changes this thread, the only one.
    let done = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    if done == 0 { Ok(()) } else { Err(Error::new("setresuid", uid, last_errno())) }
}

/// Sets real, effective and saved group number.
pub fn set_group(gid: u32) -> Result<()> {
    // SAFETY: three numbers; the raw call changes this thread, the only one.
    let done = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    if done == 0 { Ok(()) } else { Err(Error::new("setresgid", gid, last_errno())) }
}

/// Sets the supplementary groups.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: pointer and length are of one slice.
    let done = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(Error::new("setgroups", format_args!("{groups:?}"), last_errno())) }
}

/// Whether permitted capabilities outlive a change of the user number.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    rustix::thread::set_keep_capabilities(keep).named("prctl", "PR_SET_KEEPCAPS")
}

/// The five capability sets as bit masks, bit n being capability number n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What an exec can still give.
    pub bounding: u64,
    /// What counts now.
    pub effective: u64,
    /// What can be made effective.
    pub permitted: u64,
    /// What files can pass on.
    pub inheritable: u64,
    /// What passes on without files.
    pub ambient: u64,
}

/// The number of the last capability this kernel knows.
pub fn last_capability() -> u32 {
    // SAFETY: this prctl takes one number and only asks.
    (1..64)
        .take_while(|number| unsafe { libc::prctl(libc::PR_CAPBSET_READ, *number, 0, 0, 0) } >= 0)
        .last()
        .unwrap_or(0) as u32
}

/// The capabilities of this process, without the bounding and ambient sets.
pub fn capabilities() -> Result<Capabilities> {
    let sets = rustix::thread::capabilities(None).named("capget", "process")?;
    Ok(Capabilities {
        effective: sets.effective.bits(),
        permitted: sets.permitted.bits(),
        inheritable: sets.inheritable.bits(),
        ..Capabilities::default()
    })
}

/// Drops from the bounding set what is not in `keep`.
pub fn limit_bounding(keep: u64) -> Result<()> {
    for number in 0..64_u32 {
        // SAFETY: these prctls take one number each.
        let present = unsafe { libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) };
        if present < 0 {
            break;
        }
        if present == 0 || keep >> number & 1 == 1 {
            continue;
        }
        // SAFETY: as above.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } != 0 {
            return Err(Error::new("prctl PR_CAPBSET_DROP", number, last_errno()));
        }
    }
    Ok(())
}

/// Sets effective, permitted and inheritable set, then the ambient set (a failure there is returned as such).
pub fn set_capabilities(wanted: &Capabilities) -> Result<()> {
    let sets = CapabilitySets {
        effective: CapabilitySet::from_bits_retain(wanted.effective),
        permitted: CapabilitySet::from_bits_retain(wanted.permitted),
        inheritable: CapabilitySet::from_bits_retain(wanted.inheritable),
    };
    rustix::thread::set_capabilities(None, sets).named("capset", "process")?;
    set_ambient(wanted.ambient)
}

fn set_ambient(wanted: u64) -> Result<()> {
    const CLEAR_ALL: libc::c_ulong = 4;
    const RAISE: libc::c_ulong = 2;
    // SAFETY: these prctls take numbers only.
    if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0) } != 0 {
        return Err(Error::new("prctl PR_CAP_AMBIENT", "clear", last_errno()));
    }
    for number in (0..64_u64).filter(|number| wanted >> number & 1 == 1) {
        // SAFETY: as above.
        if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, RAISE, number, 0, 0) } != 0 {
            return Err(Error::new("prctl PR_CAP_AMBIENT", number, last_errno()));
        }
    }
    Ok(())
}

/// Sets a resource limit (`RLIMIT_*` number) of a process.
pub fn set_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the new limit is read for the length of the call, the old one is not asked for.
    let done = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            &raw const limit,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::new("prlimit", format_args!("resource {resource}"), last_errno()))
    }
}

/// Sets the execution domain (personality(2)).
pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: one number.
    let done = unsafe { libc::personality(persona) };
    if done >= 0 { Ok(()) } else { Err(Error::new("personality", persona, last_errno())) }
}

/// Joins a new session keyring of this name, which the process's descendants share.
pub fn join_session_keyring(name: &str) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let text = std::ffi::CString::new(name).map_err(|_| Error::new("keyctl", name, Errno::INVAL))?;
    // SAFETY: the name is a C string that outlives the call.
    let done =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, text.as_ptr(), 0, 0, 0) };
    if done >= 0 { Ok(()) } else { Err(Error::new("keyctl", name, last_errno())) }
}

/// Sets the I/O priority: class 1 real-time, 2 best-effort, 3 idle.
pub fn set_io_priority(class: u32, level: u32) -> Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    // SAFETY: numbers only.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, (class << 13) | level) };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::new("ioprio_set", format_args!("{class}:{level}"), last_errno()))
    }
}

/// Parameters of sched_setattr(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Scheduling {
    /// Size of this structure; [`set_scheduling`] fills it.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value of ordinary policies.
    pub nice: i32,
    /// Priority of real-time policies.
    pub priority: u32,
    /// Deadline policy: run time in nanoseconds.
    pub runtime: u64,
    /// Deadline policy: deadline in nanoseconds.
    pub deadline: u64,
    /// Deadline policy: period in nanoseconds.
    pub period: u64,
}

/// Sets policy and priority of this process.
pub fn set_scheduling(mut wanted: Scheduling) -> Result<()> {
    wanted.size = size_of::<Scheduling>() as u32;
    // SAFETY: the structure carries its own size and outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    if done == 0 { Ok(()) } else { Err(Error::new("sched_setattr", wanted.policy, last_errno())) }
}

/// Sets the host name of this UTS namespace.
pub fn set_host_name(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).named("sethostname", name)
}

/// Sets the domain name of this UTS namespace.
pub fn set_domain_name(name: &str) -> Result<()> {
    rustix::system::setdomainname(name.as_bytes()).named("setdomainname", name)
}
