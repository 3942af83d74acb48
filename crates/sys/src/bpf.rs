//! bpf(2) for two types of programs: those that judge devices (`BPF_PROG_TYPE_CGROUP_DEVICE`), attached to a cgroup, and
//! those that judge packets (`BPF_PROG_TYPE_SCHED_CLS`), attached to a link: load, attach, find and detach.
//!
//! A program that is attached stays with its cgroup or link when the process ends.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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
const OBJ_GET_INFO_BY_FD: i32 = 15;
const PROG_QUERY: i32 = 16;

const TYPE_SCHED_CLS: u32 = 3;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// The kernel's limit on programs attached to one cgroup, and to one side of a link.
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

/// `Attach` with what a link's list of programs takes.
#[repr(C)]
#[derive(Default)]
struct AttachToLink {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
    relative: u32,
    revision: u64,
}

/// `Query` with what a link's list of programs takes.
#[repr(C)]
#[derive(Default)]
struct QueryLink {
    query: Query,
    flags: u64,
    links: u64,
    link_flags: u64,
    revision: u64,
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    lengths: [u32; 2],
    instructions: [u64; 2],
    load_time: u64,
    creator: u32,
    map_count: u32,
    maps: u64,
    name: Name,
}

#[repr(C)]
#[derive(Default)]
struct InfoByFd {
    program: u32,
    length: u32,
    info: u64,
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
    load(TYPE_CGROUP_DEVICE, *b"boxship_devices\0", program, "device filter")
}

fn load(kind: u32, name: Name, program: &[Instruction], what: &'static str) -> Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut attributes = Load {
        kind,
        count: program.len().try_into().unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name,
        ..Load::default()
    };
    // SAFETY: the structure is the kernel's for PROG_LOAD; program and license outlive the call.
    let fd = unsafe { bpf(PROG_LOAD, &mut attributes) };
    let fd = fd.map_err(|errno| Error::new("bpf(BPF_PROG_LOAD)", what, errno))?;
    // SAFETY: PROG_LOAD answers a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A program's name: letters, digits, `_` and `.`, filled with NUL, of which the last byte is one.
pub type Name = [u8; 16];

/// The side of a link on which a program judges packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What comes from the link.
    Ingress,
    /// What the host sends by it.
    Egress,
}

impl Side {
    fn number(self) -> u32 {
        match self {
            Side::Ingress => 46,
            Side::Egress => 47,
        }
    }
}

/// A program attached to a link.
#[derive(Debug)]
pub struct OnLink {
    /// The program.
    pub program: OwnedFd,
    /// Its number in the kernel.
    pub id: u32,
    /// Its name.
    pub name: Name,
}

/// Loads a program that judges packets.
pub fn load_packet_filter(name: Name, program: &[Instruction]) -> Result<OwnedFd> {
    load(TYPE_SCHED_CLS, name, program, "packet filter")
}

/// Attaches a program to one side of the link of an index (of this thread's network namespace), in place of `replaced`
/// when given. `EINVAL` from kernels before 6.6, which attach such programs by other means only.
pub fn attach_to_link(
    link: u32,
    side: Side,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let mut attributes = AttachToLink {
        target: link,
        program: program.as_raw_fd() as u32,
        kind: side.number(),
        flags: if replaced.is_some() { REPLACE } else { 0 },
        replaced: replaced.map_or(0, |fd| fd.as_raw_fd() as u32),
        ..AttachToLink::default()
    };
    // SAFETY: the structure is the kernel's for PROG_ATTACH and holds no pointer.
    let done = unsafe { bpf(PROG_ATTACH, &mut attributes) };
    done.map(drop).map_err(|errno| Error::new("bpf(BPF_PROG_ATTACH)", "packet filter", errno))
}

/// Detaches a program from one side of a link.
pub fn detach_from_link(link: u32, side: Side, program: BorrowedFd<'_>) -> Result<()> {
    let mut attributes = AttachToLink {
        target: link,
        program: program.as_raw_fd() as u32,
        kind: side.number(),
        ..AttachToLink::default()
    };
    // SAFETY: the structure is the kernel's for PROG_DETACH and holds no pointer.
    let done = unsafe { bpf(PROG_DETACH, &mut attributes) };
    done.map(drop).map_err(|errno| Error::new("bpf(BPF_PROG_DETACH)", "packet filter", errno))
}

/// The programs attached to one side of a link.
pub fn attached_to_link(link: u32, side: Side) -> Result<Vec<OnLink>> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    let mut attributes = QueryLink {
        query: Query {
            target: link,
            kind: side.number(),
            ids: ids.as_mut_ptr() as u64,
            count: MOST_PROGRAMS as u32,
            ..Query::default()
        },
        ..QueryLink::default()
    };
    // SAFETY: the structure is the kernel's for PROG_QUERY; `ids` has room for `count` numbers and outlives the call.
    match unsafe { bpf(PROG_QUERY, &mut attributes) } {
        // None was ever attached.
        Err(Errno::NOENT) => return Ok(Vec::new()),
        done => done.map_err(|errno| Error::new("bpf(BPF_PROG_QUERY)", "packet filter", errno))?,
    };
    let found = ids.iter().take(attributes.query.count as usize);
    found.map(|id| on_link(*id)).collect()
}

fn on_link(id: u32) -> Result<OnLink> {
    let program = program_by_id(id)?;
    let name = info(program.as_fd())?.name;
    Ok(OnLink { program, id, name })
}

fn info(program: BorrowedFd<'_>) -> Result<Info> {
    let mut info = Info::default();
    let mut attributes = InfoByFd {
        program: program.as_raw_fd() as u32,
        length: std::mem::size_of::<Info>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the structure is the kernel's for OBJ_GET_INFO_BY_FD; it writes at most `length` bytes to `info`, which is
    // plain numbers and outlives the call; `info`'s own pointers and counts are zero, so nothing else is written.
    let done = unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attributes) };
    done.map_err(|errno| Error::new("bpf(BPF_OBJ_GET_INFO_BY_FD)", "program", errno))?;
    Ok(info)
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
