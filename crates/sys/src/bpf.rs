//! bpf(2) for programs of type `BPF_PROG_TYPE_CGROUP_DEVICE`: load, attach to a cgroup, find and detach.
//!
//! Only this program type is offered: it is what device rules of cgroup v2 need.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Errno, Error, Result, last_errno};

/// One eBPF instruction (`struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation code.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high ones.
    pub registers: u8,
    /// Signed offset.
    pub offset: i16,
    /// Signed immediate value.
    pub immediate: i32,
}

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const PROG_QUERY: i32 = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// The kernel's limit on programs attached to one cgroup.
const MOST_PROGRAMS: usize = 64;

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// Loads a program.
pub fn load_cgroup_device(program: &[Instruction]) -> Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut attributes = Load {
        kind: TYPE_CGROUP_DEVICE,
        count: program.len().try_into().unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name: *b"boxship_devices\0",
        ..Load::default()
    };
    // SAFETY: the structure is the kernel's for PROG_LOAD; program and license outlive the call.
    let fd = unsafe { bpf(PROG_LOAD, &mut attributes) };
    let fd = fd.map_err(|errno| Error::new("bpf(BPF_PROG_LOAD)", "device filter", errno))?;
    // SAFETY: PROG_LOAD answers a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a program to a cgroup's directory, in place of `replaced` when given.
pub fn attach_cgroup_device(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let mut attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 },
        replaced: replaced.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    // SAFETY: the structure is the kernel's for PROG_ATTACH and holds no pointer.
    let done = unsafe { bpf(PROG_ATTACH, &mut attributes) };
    done.map(drop).map_err(|errno| Error::new("bpf(BPF_PROG_ATTACH)", "device filter", errno))
}

/// Detaches a program from a cgroup's directory.
pub fn detach_cgroup_device(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    let mut attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: ATTACH_CGROUP_DEVICE,
        ..Attach::default()
    };
    // SAFETY: the structure is the kernel's for PROG_DETACH and holds no pointer.
    let done = unsafe { bpf(PROG_DETACH, &mut attributes) };
    done.map(drop).map_err(|errno| Error::new("bpf(BPF_PROG_DETACH)", "device filter", errno))
}

/// The device programs attached to a cgroup's directory itself.
pub fn attached_cgroup_device(cgroup: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    let mut attributes = Query {
        target: cgroup.as_raw_fd() as u32,
        kind: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MOST_PROGRAMS as u32,
        ..Query::default()
    };
    // SAFETY: the structure is the kernel's for PROG_QUERY; `ids` has room for `count` numbers and outlives the call.
    let done = unsafe { bpf(PROG_QUERY, &mut attributes) };
    done.map_err(|errno| Error::new("bpf(BPF_PROG_QUERY)", "device filter", errno))?;
    ids.iter().take(attributes.count as usize).map(|id| program_by_id(*id)).collect()
}

fn program_by_id(id: u32) -> Result<OwnedFd> {
    let mut attributes = ById { id, ..ById::default() };
    // SAFETY: the structure is the kernel's for PROG_GET_FD_BY_ID and holds no pointer.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &mut attributes) };
    let fd = fd.map_err(|errno| Error::new("bpf(BPF_PROG_GET_FD_BY_ID)", id, errno))?;
    // SAFETY: the call answers a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// `T` must be the kernel's attribute structure for `command`, and every pointer in it valid for the call.
unsafe fn bpf<T>(command: i32, attributes: &mut T) -> Result<i32, Errno> {
    // SAFETY: the caller vouches for the structure; its size is passed, so the kernel reads no further.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), std::mem::size_of::<T>())
    };
    if answer < 0 { Err(last_errno()) } else { Ok(answer as i32) }
}
