//! What a process shall be, checked and in the kernel's numbers: made from the specification before anything happens.

use std::path::PathBuf;

use boxship_oci::runtime::{Capabilities, CpuAffinity, IoPriorityClass, Process, Scheduler, User};
use boxship_sys::process::{Capabilities as Masks, Scheduling, last_capability};
use rustix::thread::CpuSet;

use crate::error::{Error, Result};
use crate::{names, seccomp, security};

/// A resource limit in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// A process to be.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: PathBuf,
    pub user: User,
    /// None leaves the capabilities alone.
    pub capabilities: Option<Masks>,
    pub no_new_privileges: bool,
    pub limits: Vec<Limit>,
    pub oom_score_adj: Option<i32>,
    pub io_priority: Option<(u32, u32)>,
    pub scheduling: Option<Scheduling>,
    pub label: security::Label,
    /// Rows and columns of the terminal, if there is to be one.
    pub terminal: Option<(u16, u16)>,
    pub seccomp: Option<seccomp::Program>,
    /// For additional processes.
    pub affinity: Affinity,
    /// What could not be honoured.
    pub warnings: Vec<String>,
}

/// Processors of an additional process around its entry into the control groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Affinity {
    pub before: Option<CpuSet>,
    pub after: Option<CpuSet>,
}

impl Affinity {
    fn new(wanted: &CpuAffinity) -> Result<Self> {
        let set = |list: &Option<String>| {
            list.as_deref().filter(|list| !list.is_empty()).map(processors).transpose()
        };
        Ok(Self { before: set(&wanted.initial)?, after: set(&wanted.last)? })
    }
}

/// The kernel's list format: `0-3,7`.
fn processors(list: &str) -> Result<CpuSet> {
    let wrong =
        || Error::Invalid(format!("execCPUAffinity: {list:?} is no list of processors such as 0-3,7"));
    let mut set = CpuSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|cpu| *cpu < CpuSet::MAX_CPU);
        let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
        if first > last {
            return Err(wrong());
        }
        (first..=last).for_each(|cpu| set.set(cpu));
    }
    Ok(set)
}

impl ProcessPlan {
    /// Checks a process of the specification; `grantable` are the capabilities its maker can give.
    pub(crate) fn new(process: &Process, seccomp: Option<seccomp::Program>, grantable: u64) -> Result<Self> {
        let invalid = |text: &str| Error::Invalid(text.to_owned());
        if process.args.is_empty() {
            return Err(invalid("process args cannot be empty"));
        }
        if !process.cwd.is_absolute() {
            return Err(Error::Invalid(format!("cwd {:?} is not an absolute path", process.cwd)));
        }
        if process.args.iter().chain(&process.env).any(|text| text.contains('\0')) {
            return Err(invalid("an argument or environment variable contains a zero byte"));
        }
        let mut warnings = Vec::new();
        let capabilities = process.capabilities.as_ref().map(|sets| masks(sets, grantable, &mut warnings));
        let size = process.console_size.unwrap_or_default();
        let short = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        Ok(Self {
            args: process.args.clone(),
            env: last_of_each(&process.env),
            cwd: process.cwd.clone(),
            user: process.user.clone(),
            capabilities,
            no_new_privileges: process.no_new_privileges,
            limits: limits(process)?,
            oom_score_adj: process.oom_score_adj,
            io_priority: io_priority(process)?,
            scheduling: process.scheduler.as_ref().map(scheduling).transpose()?,
            affinity: process.exec_cpu_affinity.as_ref().map(Affinity::new).transpose()?.unwrap_or_default(),
            label: security::Label::new(
                process.apparmor_profile.as_deref(),
                process.selinux_label.as_deref(),
            )?,
            terminal: process.terminal.then(|| (short(size.height), short(size.width))),
            seccomp,
            warnings,
        })
    }
}

/// What of a process can't be honoured here, such as capabilities this kernel does not know: to be told before the
/// process is made, since it may be why that fails.
pub fn warnings(process: &Process) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(sets) = &process.capabilities {
        masks(sets, u64::MAX, &mut warnings);
    }
    warnings
}

/// The capabilities that this process can give to one in its own user namespace; one in another has them all there.
pub(crate) fn grantable(other_user_namespace: bool) -> u64 {
    if other_user_namespace {
        return u64::MAX;
    }
    boxship_sys::process::capabilities().map_or(u64::MAX, |own| own.permitted)
}

/// Names to masks. What this kernel does not know or the maker cannot grant is left out and told, as the specification
/// wants it.
fn masks(sets: &Capabilities, grantable: u64, warnings: &mut Vec<String>) -> Masks {
    let last = last_capability();
    let possible = |number: &u32| *number <= last && grantable >> number & 1 == 1;
    let mut unknown = Vec::new();
    let mut mask = |names: &[String]| {
        names.iter().fold(0_u64, |bits, name| match names::capability(name).filter(possible) {
            Some(number) => bits | 1 << number,
            None => {
                if !unknown.contains(name) {
                    unknown.push(name.clone());
                }
                bits
            }
        })
    };
    let masks = Masks {
        bounding: mask(&sets.bounding),
        effective: mask(&sets.effective),
        permitted: mask(&sets.permitted),
        inheritable: mask(&sets.inheritable),
        ambient: mask(&sets.ambient),
    };
    if !unknown.is_empty() {
        warnings.push(format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
    masks
}

/// Of a variable given more than once the last one counts; C programs would take the first.
fn last_of_each(env: &[String]) -> Vec<String> {
    let name = |entry: &str| entry.split_once('=').map_or(entry, |(name, _)| name).to_owned();
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<String> = env.iter().rev().filter(|entry| seen.insert(name(entry))).cloned().collect();
    kept.reverse();
    kept
}

fn limits(process: &Process) -> Result<Vec<Limit>> {
    let mut limits: Vec<Limit> = Vec::with_capacity(process.rlimits.len());
    for limit in &process.rlimits {
        let resource = names::limit(&limit.kind)
            .ok_or_else(|| Error::Invalid(format!("unknown rlimit type {:?}", limit.kind)))?;
        if limits.iter().any(|known| known.resource == resource) {
            return Err(Error::Invalid(format!("rlimit {} is given twice", limit.kind)));
        }
        limits.push(Limit { resource, soft: limit.soft, hard: limit.hard });
    }
    Ok(limits)
}

fn io_priority(process: &Process) -> Result<Option<(u32, u32)>> {
    let Some(wanted) = &process.io_priority else { return Ok(None) };
    let class = match wanted.class {
        IoPriorityClass::Rt => 1,
        IoPriorityClass::Be => 2,
        IoPriorityClass::Idle => 3,
    };
    match wanted.priority {
        level @ 0..=7 => Ok(Some((class, level as u32))),
        level => Err(Error::Invalid(format!("ioPriority.priority {level} is not between 0 and 7"))),
    }
}

fn scheduling(wanted: &Scheduler) -> Result<Scheduling> {
    let unknown = |what: &str, name: &str| Error::Invalid(format!("unknown scheduler {what} {name:?}"));
    let policy = names::policy(&wanted.policy).ok_or_else(|| unknown("policy", &wanted.policy))?;
    let mut flags = 0;
    for flag in &wanted.flags {
        flags |= names::scheduling_flag(flag).ok_or_else(|| unknown("flag", flag))?;
    }
    let real_time = matches!(policy, 1 | 2);
    if wanted.priority.unwrap_or(0) != 0 && !real_time {
        return Err(Error::Invalid(format!(
            "scheduler.priority is only for SCHED_FIFO and SCHED_RR, not {}",
            wanted.policy
        )));
    }
    let deadline = [wanted.runtime, wanted.deadline, wanted.period];
    if policy != 6 && deadline.iter().any(|value| value.unwrap_or(0) != 0) {
        return Err(Error::Invalid(
            "scheduler runtime, deadline and period are only for SCHED_DEADLINE".to_owned(),
        ));
    }
    let nice = wanted.nice.unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return Err(Error::Invalid(format!("scheduler.nice {nice} is not between -20 and 19")));
    }
    Ok(Scheduling {
        policy,
        flags,
        nice,
        priority: wanted.priority.unwrap_or(0).max(0) as u32,
        runtime: wanted.runtime.unwrap_or(0),
        deadline: wanted.deadline.unwrap_or(0),
        period: wanted.period.unwrap_or(0),
        ..Scheduling::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_oci::runtime::{IoPriority, Rlimit};

    fn process() -> Process {
        Process { args: vec!["true".into()], cwd: "/".into(), ..Process::default() }
    }

    #[test]
    fn nonsense_is_refused() {
        let cases: Vec<(Process, &str)> = vec![
            (Process { args: vec![], ..process() }, "args"),
            (Process { cwd: "tmp".into(), ..process() }, "absolute"),
            (Process { env: vec!["A=\0".into()], ..process() }, "zero byte"),
            (
                Process {
                    rlimits: vec![Rlimit { kind: "RLIMIT_X".into(), ..Rlimit::default() }],
                    ..process()
                },
                "RLIMIT_X",
            ),
            (
                Process {
                    io_priority: Some(IoPriority { priority: 9, ..IoPriority::default() }),
                    ..process()
                },
                "between 0 and 7",
            ),
            (
                Process {
                    scheduler: Some(Scheduler { policy: "SCHED_MAGIC".into(), ..Scheduler::default() }),
                    ..process()
                },
                "SCHED_MAGIC",
            ),
        ];
        for (process, part) in cases {
            let text = ProcessPlan::new(&process, None, u64::MAX).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn unknown_capabilities_are_told_once() {
        let sets = Capabilities {
            bounding: vec!["CAP_CHOWN".into(), "CAP_FUTURE".into(), "CAP_KILL".into()],
            permitted: vec!["CAP_FUTURE".into()],
            ..Capabilities::default()
        };
        let plan = ProcessPlan::new(&Process { capabilities: Some(sets), ..process() }, None, 1).unwrap();
        assert_eq!(plan.capabilities.unwrap().bounding, 1);
        assert_eq!(plan.warnings, ["ignoring unknown or unavailable capabilities: [CAP_FUTURE CAP_KILL]"]);
    }

    #[test]
    fn the_last_variable_counts() {
        let env = ["A=1", "B=2", "A=3", "C"].map(str::to_owned);
        assert_eq!(last_of_each(&env), ["B=2", "A=3", "C"]);
    }
}
