//! The rules of the specification, sorted by calling convention and system call number.
//!
//! What libseccomp and runc make of the same section is followed: rules equal to the default vanish; an
//! unconditional rule outweighs conditional ones for the same call; several conditions on one argument are
//! alternatives, on different arguments they must all hold.

use std::collections::{BTreeMap, HashMap};

use boxship_oci::runtime::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, Syscall};

use super::abi::{Abi, is_cut_to_32_bits, multiplexed};
use super::error::{Error, Result};

/// What the kernel does, as the filter's return value (linux/seccomp.h).
pub(super) type Action = u32;

const RET_KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const RET_KILL_THREAD: u32 = 0;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_USER_NOTIFY: u32 = 0x7fc0_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// For calls that are newer than the profile.
pub(super) const RET_ENOSYS: Action = RET_ERRNO | ENOSYS;

pub(super) fn action(action: SeccompAction, data: Option<u32>) -> Action {
    // The kernel keeps 16 bits, and caps errno at 4095 itself.
    let data = data.unwrap_or(EPERM) & 0xffff;
    match action {
        SeccompAction::KillProcess => RET_KILL_PROCESS,
        SeccompAction::Kill | SeccompAction::KillThread => RET_KILL_THREAD,
        SeccompAction::Trap => RET_TRAP,
        SeccompAction::Errno => RET_ERRNO | data,
        SeccompAction::Trace => RET_TRACE | data,
        SeccompAction::Log => RET_LOG,
        SeccompAction::Allow => RET_ALLOW,
        SeccompAction::Notify => RET_USER_NOTIFY,
    }
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub argument: u32,
    pub operator: SeccompOperator,
    /// The value to compare with; for `MaskedEqual` the mask.
    pub value: u64,
    /// The value of `MaskedEqual`.
    pub masked: u64,
    /// Only the lower half is compared.
    pub narrow: bool,
}

/// What happens to one system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Always the same.
    Always(Action),
    /// The first case whose conditions all hold; else the default.
    Cases(Vec<(Vec<Condition>, Action)>),
}

/// All of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub default: Action,
    /// By calling convention, then by number.
    pub calls: BTreeMap<Abi, BTreeMap<u32, Verdict>>,
    /// The highest number that the profile mentions, by calling convention: above it calls are "not implemented".
    /// Absent when the default lets calls through.
    pub known: BTreeMap<Abi, u32>,
    pub notifies: bool,
}

impl Rules {
    pub(super) fn of(seccomp: &Seccomp, native: Abi) -> Result<Self> {
        let default = action(seccomp.default_action, seccomp.default_errno_ret);
        let mut rules =
            Self { default, calls: BTreeMap::new(), known: BTreeMap::new(), notifies: check(seccomp)? };
        let mut abis: Vec<_> =
            seccomp.architectures.iter().filter_map(|name| Abi::named(*name, native)).collect();
        // Every profile is meant for the machine's own convention, even one that forgets to name it.
        abis.push(native);
        for abi in abis {
            if !rules.calls.contains_key(&abi) {
                rules.add(abi, seccomp);
            }
        }
        Ok(rules)
    }

    fn add(&mut self, abi: Abi, seccomp: &Seccomp) {
        let numbers: HashMap<&str, u32> = abi.calls().into_iter().collect();
        let mut calls = BTreeMap::new();
        let mut highest = 0;
        for rule in &seccomp.syscalls {
            let action = action(rule.action, rule.errno_ret);
            for name in &rule.names {
                // A profile names calls of many machines and kernels; those unknown here can't happen.
                let number = numbers.get(name.as_str()).copied();
                // ARM's private calls are far above; a kernel's new calls are not.
                highest = highest.max(number.filter(|number| number & 0x000f_0000 == 0).unwrap_or(0));
                if action == self.default {
                    continue;
                }
                if let Some(number) = number {
                    insert(&mut calls, number, alternatives(name, rule, abi), action);
                }
                if let Some((carrier, condition)) = carried(abi, name, rule, action)
                    && let Some(number) = numbers.get(carrier)
                {
                    insert(&mut calls, *number, vec![vec![condition]], action);
                }
            }
        }
        let passes = matches!(
            seccomp.default_action,
            SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace
        );
        if !passes && highest > 0 {
            self.known.insert(abi, highest);
        }
        self.calls.insert(abi, calls);
    }
}

/// What no kernel could run is refused; tells whether a supervisor is asked.
fn check(seccomp: &Seccomp) -> Result<bool> {
    if seccomp.default_action == SeccompAction::Notify {
        return Err(Error::Notify("the default action".into()));
    }
    let mut notifies = false;
    for rule in &seccomp.syscalls {
        if let Some(argument) = rule.args.iter().find(|argument| argument.index > 5) {
            return Err(Error::Argument(argument.index, rule.names.join(", ")));
        }
        if rule.action == SeccompAction::Notify {
            notifies = true;
            // The container's process sends the listener to the runtime with these, after the filter is in force.
            if let Some(name) = rule.names.iter().find(|name| matches!(name.as_str(), "write" | "sendmsg")) {
                return Err(Error::Notify(format!("the system call {name}")));
            }
        }
    }
    if notifies && seccomp.listener_path.is_none() {
        return Err(Error::Listener("SCMP_ACT_NOTIFY needs a listenerPath"));
    }
    Ok(notifies)
}

/// The rule's conditions as alternatives of which each is a conjunction; none at all is one empty conjunction.
fn alternatives(name: &str, rule: &Syscall, abi: Abi) -> Vec<Vec<Condition>> {
    let conditions: Vec<_> = rule.args.iter().map(|argument| condition(name, argument, abi)).collect();
    let repeated = (0..6).any(|index| conditions.iter().filter(|it| it.argument == index).count() > 1);
    if repeated {
        conditions.into_iter().map(|condition| vec![condition]).collect()
    } else {
        vec![conditions]
    }
}

fn condition(name: &str, argument: &SeccompArg, abi: Abi) -> Condition {
    const LOW: u64 = u32::MAX as u64;
    let fits = argument.value <= LOW && argument.value_two <= LOW;
    let narrow = abi.is_32_bit() || (fits && is_cut_to_32_bits(name, argument.index));
    let cut = |value: u64| if narrow { value & LOW } else { value };
    Condition {
        argument: argument.index,
        operator: argument.op,
        value: cut(argument.value),
        masked: cut(argument.value_two),
        narrow,
    }
}

/// The other way to make a call. Its arguments are then in memory, out of the filter's sight: a conditional
/// permission isn't carried over, a conditional prohibition is, as a full one.
fn carried(abi: Abi, name: &str, rule: &Syscall, action: Action) -> Option<(&'static str, Condition)> {
    let permits = matches!(action, RET_ALLOW | RET_LOG);
    if permits && !rule.args.is_empty() {
        return None;
    }
    let other = multiplexed(abi, name)?;
    let operator = SeccompOperator::MaskedEqual;
    Some((
        other.carrier,
        Condition { argument: 0, operator, value: other.mask, masked: other.value, narrow: true },
    ))
}

fn insert(
    calls: &mut BTreeMap<u32, Verdict>,
    number: u32,
    alternatives: Vec<Vec<Condition>>,
    action: Action,
) {
    if alternatives.iter().any(Vec::is_empty) {
        match calls.get(&number) {
            Some(Verdict::Always(_)) => {}
            _ => {
                calls.insert(number, Verdict::Always(action));
            }
        }
        return;
    }
    let verdict = calls.entry(number).or_insert_with(|| Verdict::Cases(Vec::new()));
    if let Verdict::Cases(cases) = verdict {
        cases.extend(alternatives.into_iter().map(|conditions| (conditions, action)));
    }
}
