//! The last steps before the program, common to the first process and to additional ones.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use boxship_sys::{exe, fd, process, signal};

use super::{identity, procfs};
use crate::accounts;
use crate::limits;
use crate::message::{At, Done, Failure, Reporter, Step};
use crate::process_plan::ProcessPlan;
use crate::program;

/// A process that has become what it shall be; only the exec is left.
#[derive(Debug)]
pub(crate) struct Prepared {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<OsString>,
}

/// Takes on rights and identity and finds the program. From here on the process has no more rights than the program
/// (but for the one that installing a filter takes, see [`identity::assume`]), and no descriptors but the standard streams, the preserved ones, the reporter's and `kept`: whatever owned another
/// must never be dropped.
pub(crate) fn prepare(
    root: OwnedFd,
    plan: &ProcessPlan,
    preserve_fds: u32,
    kept: Option<BorrowedFd<'_>>,
    reporter: &Reporter<'_>,
) -> Done<Prepared> {
    if let Some(scheduling) = plan.scheduling {
        process::set_scheduling(scheduling).at(Step::Scheduling)?;
    }
    if let Some((class, level)) = plan.io_priority {
        process::set_io_priority(class, level).at(Step::Scheduling)?;
    }
    if !plan.label.is_empty() {
        plan.label.apply(procfs::private()?.as_fd())?;
    }
    let identity = accounts::resolve(root.as_fd(), &plan.user)?;
    if plan.no_new_privileges {
        process::set_no_new_privileges().at(Step::NoNewPrivileges)?;
    }
    limits::set_own(&plan.limits)?;
    identity::assume(root.as_fd(), plan, &identity)?;
    drop(root);
    keep_only(preserve_fds, kept, reporter)?;
    let env = environment(plan, identity.home.as_deref());
    let program = program::find(&plan.args[0], &env)?;
    if plan.seccomp.as_ref().is_some_and(crate::seccomp::Program::has_listener) {
        // Its listener must reach the supervisor while somebody waits for it.
        install_filter(plan, reporter)?;
    }
    let own = |texts: &[String]| texts.iter().map(OsString::from).collect();
    Ok(Prepared { program, args: own(&plan.args), env: own(&env) })
}

/// The environment, with a home folder.
fn environment(plan: &ProcessPlan, home: Option<&str>) -> Vec<String> {
    let mut env = plan.env.clone();
    if program::variable(&env, "HOME").is_none_or(str::is_empty) {
        env.retain(|entry| !entry.starts_with("HOME="));
        env.push(format!("HOME={}", home.unwrap_or("/")));
    }
    env
}

/// Closes what the program must not see before its name is resolved, not only by the exec: the name could lead through
/// `/proc/self/fd` (CVE-2024-21626).
fn keep_only(preserve_fds: u32, kept: Option<BorrowedFd<'_>>, reporter: &Reporter<'_>) -> Done {
    for number in 3..3 + preserve_fds as i32 {
        fd::keep_number_on_exec(number).at(Step::Descriptors)?;
    }
    let kept: Vec<_> = kept.into_iter().chain([reporter.0]).collect();
    fd::close_others(3 + preserve_fds, &kept).at(Step::Descriptors)
}

fn install_filter(plan: &ProcessPlan, reporter: &Reporter<'_>) -> Done {
    let Some(filter) = &plan.seccomp else { return Ok(()) };
    let listener: Option<OwnedFd> = filter.install().at(Step::Seccomp)?;
    listener.map_or(Ok(()), |listener| reporter.listener(listener.as_fd()))
}

impl Prepared {
    /// Becomes the program; returns only with the reason why not. Signals get their defaults; the filter comes last, so
    /// that the runtime's own calls are not judged by it: an old profile knows none of the newer ones.
    pub(crate) fn exec(self, plan: &ProcessPlan) -> Failure {
        signal::reset();
        let filter = plan.seccomp.as_ref().filter(|filter| !filter.has_listener());
        let installed = filter.map_or(Ok(None), |filter| filter.install().at(Step::Seccomp));
        if let Err(failure) = installed.and_then(|_| identity::settle(plan)) {
            return failure;
        }
        match exe::exec_path(&self.program, self.args, self.env) {
            Ok(never) => match never {},
            Err(error) => Failure::new(Step::CommandNotExecutable, self.program.display(), error.errno),
        }
    }
}
