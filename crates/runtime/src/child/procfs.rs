//! A procfs that nothing in the container can have covered or linked: the runtime's own, for writing labels and kernel
//! parameters (CVE-2025-52881 and its kin wrote through the container's `/proc`).

use std::os::fd::OwnedFd;

use boxship_sys::mount::{FileSystem, attr};

use crate::message::{At, Done, Step};

/// A detached procfs mount of this process's namespaces.
pub(crate) fn private() -> Done<OwnedFd> {
    let attributes = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    FileSystem::open("proc").and_then(|proc| proc.mount(attributes)).about(Step::Mount, "private proc")
}
