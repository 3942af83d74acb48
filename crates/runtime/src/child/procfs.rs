//! A procfs that nothing in the container can have covered or linked: the runtime's own, for writing labels and kernel
//! parameters (CVE-2025-52881 and its kin wrote through the container's `/proc`).

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_sys::mount::{FileSystem, attr};
use boxship_sys::{Errno, path};

use crate::message::{At, Done, Failure, Step};
use crate::plan::clean;

/// A detached procfs mount of this process's namespaces.
pub(crate) fn private() -> Done<OwnedFd> {
    let attributes = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    FileSystem::open("proc").and_then(|proc| proc.mount(attributes)).about(Step::Mount, "private proc")
}

/// Refuses a place on procfs for a mount whose name doesn't say that it is there: a link of the image would have led
/// it over one of the kernel's files (CVE-2025-52565, CVE-2025-52881). Names below `/proc` are judged in the plan.
pub(crate) fn refuse_as_place(place: BorrowedFd<'_>, name: &Path, step: Step) -> Done {
    if clean(name).starts_with("/proc")
        || path::file_system(place).about(step, name.display())? != path::PROC_SUPER_MAGIC
    {
        return Ok(());
    }
    let object = format!("{} cannot be mounted because it leads into /proc", name.display());
    Err(Failure::new(step, object, Errno::INVAL))
}
