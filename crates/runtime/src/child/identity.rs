//! From root to who the process shall be: bounding set, groups, user, capabilities, and the folder to start in.

use std::os::fd::BorrowedFd;
use std::path::Path;

use boxship_sys::process::{self, Capabilities};
use boxship_sys::{Errno, path};
use rustix::fs::{Mode, OFlags};

use super::streams;
use crate::accounts::Identity;
use crate::message::{At, Done, Failure, Step};
use crate::process_plan::ProcessPlan;

/// Takes on the identity. The order matters: each step needs a right that a later one gives up.
pub(crate) fn assume(root: BorrowedFd<'_>, plan: &ProcessPlan, identity: &Identity) -> Done {
    if let Some(wanted) = &plan.capabilities {
        process::limit_bounding(wanted.bounding).at(Step::Capabilities)?;
    }
    process::keep_capabilities(true).at(Step::Capabilities)?;
    streams::give_to(identity.uid)?;
    // A folder only root may enter is fine to start in, and so is one only the user may enter.
    let early = enter(root, &plan.cwd);
    set_user(identity)?;
    if early.is_err() {
        enter(root, &plan.cwd)?;
    }
    rustix::process::umask(Mode::from_raw_mode(plan.user.umask.unwrap_or(0o022) & 0o777));
    process::keep_capabilities(false).at(Step::Capabilities)?;
    match held_for_filter(plan)? {
        0 => settle(plan),
        held => {
            let wanted = plan.capabilities.unwrap_or(process::capabilities().at(Step::Capabilities)?);
            set_capabilities(&Capabilities {
                effective: wanted.effective | held,
                permitted: wanted.permitted | held,
                ambient: 0,
                ..wanted
            })
        }
    }
}

/// Without no_new_privs the kernel lets only CAP_SYS_ADMIN install a filter: it is kept until that is done.
fn held_for_filter(plan: &ProcessPlan) -> Done<u64> {
    const SYS_ADMIN: u64 = 1 << 21;
    if plan.seccomp.is_none() || plan.no_new_privileges {
        return Ok(0);
    }
    Ok(process::capabilities().at(Step::Capabilities)?.permitted & SYS_ADMIN)
}

/// The capabilities of the program, and no other.
pub(crate) fn settle(plan: &ProcessPlan) -> Done {
    plan.capabilities.as_ref().map_or(Ok(()), set_capabilities)
}

fn set_user(identity: &Identity) -> Done {
    match process::set_groups(&identity.groups) {
        Ok(()) => {}
        // A user namespace made without rights may not change groups; having none to add it need not.
        Err(error) if error.errno == Errno::PERM && identity.groups.is_empty() => {}
        Err(error) => return Err(error).at(Step::Identity),
    }
    process::set_group(identity.gid).at(Step::Identity)?;
    process::set_user(identity.uid).at(Step::Identity)
}

/// Ambient capabilities are a comfort: where the kernel refuses one (it is not inheritable) the rest stands.
fn set_capabilities(wanted: &Capabilities) -> Done {
    let possible = wanted.ambient & wanted.permitted & wanted.inheritable;
    process::set_capabilities(&Capabilities { ambient: possible, ..*wanted }).at(Step::Capabilities)
}

/// Enters a folder below the root, and makes sure that it is there: a descriptor from before the root was changed
/// would lead outside (CVE-2024-21626).
pub(crate) fn enter(root: BorrowedFd<'_>, folder: &Path) -> Done {
    let failed = |errno| Failure::new(Step::WorkingDirectory, folder.display(), errno);
    let place = path::open_in_root(root, folder, OFlags::PATH | OFlags::DIRECTORY)
        .map_err(|error| failed(error.errno))?;
    rustix::process::fchdir(&place).map_err(failed)?;
    match rustix::process::getcwd(Vec::new()) {
        Ok(name) if name.to_bytes().starts_with(b"/") => Ok(()),
        Ok(_) => Err(failed(Errno::XDEV)),
        Err(errno) => Err(failed(errno)),
    }
}
