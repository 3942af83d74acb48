//! Our own executable in a form that a container cannot write through `/proc/<pid>/exe` (CVE-2019-5736).
//!
//! Preferred is a detached read-only copy of the mount the executable is on: it costs no memory. Kernels that cannot
//! do that get a sealed copy in memory.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{CWD, MemfdFlags, OFlags, SealFlags, StatVfsMountFlags};

use crate::error::{Errno, Error, Named, Result, last_errno};
use crate::mount::{Change, attr};

const OWN: &str = "/proc/self/exe";

/// A descriptor of our executable that nobody can write through. Start it as `/proc/self/fd/N` or with [`exec`].
pub fn sealed() -> Result<OwnedFd> {
    let own = crate::path::open(Path::new(OWN), OFlags::RDONLY)?;
    if is_sealed(own.as_fd())? {
        return Ok(own);
    }
    read_only_copy().or_else(|_| memory_copy(own.as_fd()))
}

/// Whether an open executable is on a read-only mount or sealed in memory.
pub fn is_sealed(executable: BorrowedFd<'_>) -> Result<bool> {
    let place = rustix::fs::fstatvfs(executable).named("fstatvfs", OWN)?;
    if place.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    let wanted = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW;
    Ok(rustix::fs::fcntl_get_seals(executable).is_ok_and(|seals| seals.contains(wanted)))
}

/// Whether this very process runs from a sealed executable.
pub fn runs_sealed() -> Result<bool> {
    is_sealed(crate::path::open(Path::new(OWN), OFlags::RDONLY)?.as_fd())
}

/// Goes on in a sealed copy of our own executable with the same arguments and environment, unless already there.
/// Returns only when nothing had to be done, or failed.
pub fn continue_sealed() -> Result<()> {
    if runs_sealed()? {
        return Ok(());
    }
    let executable = sealed()?;
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let environment: Vec<OsString> = std::env::vars_os()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
        .collect();
    match exec(executable.as_fd(), arguments, environment)? {}
}

/// Executes an open program (execveat AT_EMPTY_PATH).
pub fn exec(
    program: BorrowedFd<'_>,
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
) -> Result<Infallible> {
    let arguments = Strings::new(arguments)?;
    let environment = Strings::new(environment)?;
    // SAFETY: both are arrays of C strings that end with a null pointer, and they outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(Error::new("execveat", OWN, last_errno()))
}

/// Executes the program at a path, as this process sees paths now (execve).
pub fn exec_path(program: &Path, arguments: Vec<OsString>, environment: Vec<OsString>) -> Result<Infallible> {
    let path = c_string(program.as_os_str().to_owned())?;
    let arguments = Strings::new(arguments)?;
    let environment = Strings::new(environment)?;
    // SAFETY: as above; path is a C string.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    Err(Error::new("exec", program.display(), last_errno()))
}

/// C strings and the null-ended array of pointers to them.
struct Strings {
    pointers: Vec<*const libc::c_char>,
    _owned: Vec<CString>,
}

impl Strings {
    fn new(texts: Vec<OsString>) -> Result<Self> {
        let owned = texts.into_iter().map(c_string).collect::<Result<Vec<_>>>()?;
        let pointers = owned.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { pointers, _owned: owned })
    }
}

fn c_string(text: OsString) -> Result<CString> {
    CString::new(text.into_vec()).map_err(|_| Error::new("exec", "text with a zero byte", Errno::INVAL))
}

fn read_only_copy() -> Result<OwnedFd> {
    let copy = crate::mount::copy(CWD, Path::new(OWN), false)?;
    Change { set: attr::RDONLY, ..Change::default() }.apply(copy.as_fd(), false)?;
    // The copy's descriptor is O_PATH; what is executed and handed on is an ordinary one inside the copy.
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    let executable = crate::path::open(Path::new(&path), OFlags::RDONLY)?;
    if is_sealed(executable.as_fd())? {
        Ok(executable)
    } else {
        Err(Error::new("open_tree", OWN, Errno::ROFS))
    }
}

fn memory_copy(own: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Newer kernels can forbid executable memory files unless they are asked for.
    let memory = rustix::fs::memfd_create("boxship", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("boxship", flags))
        .named("memfd_create", "boxship")?;
    let mut left = rustix::fs::fstat(own).named("fstat", OWN)?.st_size as usize;
    while left > 0 {
        match rustix::fs::sendfile(&memory, own, None, left).named("sendfile", OWN)? {
            0 => return Err(Error::new("sendfile", OWN, Errno::IO)),
            copied => left -= copied,
        }
    }
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&memory, seals).named("fcntl F_ADD_SEALS", "boxship")?;
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    crate::path::open(Path::new(&path), OFlags::RDONLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_cannot_be_written() {
        let own = crate::path::open(Path::new(OWN), OFlags::RDONLY).unwrap();
        for executable in [read_only_copy().unwrap(), memory_copy(own.as_fd()).unwrap()] {
            assert!(is_sealed(executable.as_fd()).unwrap());
            let path = format!("/proc/self/fd/{}", executable.as_raw_fd());
            // The read-only mount refuses the opening, the sealed memory the writing.
            if let Ok(file) = crate::path::open(Path::new(&path), OFlags::WRONLY) {
                rustix::io::write(&file, b"x").unwrap_err();
            }
        }
    }
}
