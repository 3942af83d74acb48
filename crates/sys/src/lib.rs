//! Safe wrappers around system calls, one file per family. No policy lives here: a wrapper returns an error that names
//! the call and its object, and never decides. The only crate of the house with unsafe code.
//!
//! Descriptors are [`OwnedFd`](std::os::fd::OwnedFd) and [`BorrowedFd`](std::os::fd::BorrowedFd), never integers.

pub mod bpf;
pub mod clone;
pub mod datagram;
pub mod error;
pub mod exe;
pub mod fd;
pub mod heap;
pub mod inherited;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod packet;
pub mod path;
pub mod process;
pub mod pty;
pub mod seccomp;
pub mod signal;
pub mod signal_wait;
pub mod signalfd;
pub mod socket;
pub mod xattr;

pub use error::{Errno, Error, Named, Result};
