//! Filters are run here as the kernel runs them, over calling convention, number and arguments.

use super::abi::{Abi, X32_BIT};
use super::*;
use boxship_oci::runtime::{SeccompAction, SeccompArch, SeccompArg, SeccompOperator, Syscall};

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

/// A classic BPF machine for the operations that filters use.
fn run(program: &Program, audit: u32, number: u32, arguments: &[u64]) -> u32 {
    let mut data = [0_u8; 64];
    data[0..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&audit.to_le_bytes());
    for (index, argument) in arguments.iter().enumerate() {
        data[16 + 8 * index..][..8].copy_from_slice(&argument.to_le_bytes());
    }
    let mut accumulator = 0_u32;
    let mut at = 0;
    loop {
        let it = program.instructions[at];
        at += 1;
        let taken = match it.code {
            0x20 => {
                accumulator = u32::from_le_bytes(data[it.k as usize..][..4].try_into().unwrap());
                continue;
            }
            0x54 => {
                accumulator &= it.k;
                continue;
            }
            0x05 => {
                at += it.k as usize;
                continue;
            }
            0x06 => return it.k,
            0x15 => accumulator == it.k,
            0x25 => accumulator > it.k,
            0x35 => accumulator >= it.k,
            other => panic!("operation {other:#x}"),
        };
        at += usize::from(if taken { it.jump_true } else { it.jump_false });
    }
}

fn call(program: &Program, abi: Abi, name: &str, arguments: &[u64]) -> u32 {
    let (_, number) =
        *abi.calls().iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
    run(program, abi.audit(), number, arguments)
}

/// Docker's profile, resolved for x86_64 with the given capabilities.
fn docker(capabilities: &[&str]) -> Seccomp {
    let text = include_str!("../../tests/data/docker-seccomp-default.json");
    let profile: serde_json::Value = serde_json::from_str(text).unwrap();
    let applies = |rule: &serde_json::Value| {
        let list = |side: &str, kind: &str| -> Option<Vec<String>> {
            Some(serde_json::from_value(rule.get(side)?.get(kind)?.clone()).unwrap())
        };
        let has = |wanted: &Vec<String>| wanted.iter().any(|it| capabilities.contains(&it.as_str()));
        let here = |wanted: &Vec<String>| wanted.iter().any(|it| it == "amd64");
        list("includes", "caps").is_none_or(|it| has(&it))
            && list("includes", "arches").is_none_or(|it| here(&it))
            && !list("excludes", "caps").is_some_and(|it| has(&it))
            && !list("excludes", "arches").is_some_and(|it| here(&it))
    };
    let rules = profile["syscalls"].as_array().unwrap().iter().filter(|rule| applies(rule));
    Seccomp {
        default_action: SeccompAction::Errno,
        default_errno_ret: Some(1),
        architectures: vec![SeccompArch::X86_64, SeccompArch::X86, SeccompArch::X32],
        syscalls: rules.map(|rule| serde_json::from_value(rule.clone()).unwrap()).collect(),
        ..section(SeccompAction::Errno, vec![])
    }
}

fn section(default_action: SeccompAction, syscalls: Vec<Syscall>) -> Seccomp {
    Seccomp {
        default_action,
        default_errno_ret: None,
        architectures: vec![],
        flags: vec![],
        listener_path: None,
        listener_metadata: None,
        syscalls,
    }
}

fn rule(name: &str, action: SeccompAction, args: Vec<SeccompArg>) -> Syscall {
    Syscall { names: vec![name.into()], action, errno_ret: None, args }
}

#[test]
fn docker_profile() {
    let program = compile(&docker(&[])).unwrap();
    const NEWNS: u64 = 0x0002_0000;
    for (abi, name, arguments, expected) in [
        (Abi::X86_64, "read", &[][..], ALLOW),
        (Abi::X86_64, "mount", &[], EPERM),
        (Abi::X86_64, "clone", &[0x11], ALLOW),
        (Abi::X86_64, "clone", &[NEWNS], EPERM),
        (Abi::X86_64, "clone3", &[], ENOSYS),
        (Abi::X86_64, "personality", &[0], ALLOW),
        (Abi::X86_64, "personality", &[0xffff_ffff], ALLOW),
        (Abi::X86_64, "personality", &[0x0040_0000], EPERM),
        (Abi::X86_64, "io_uring_setup", &[], EPERM),
        (Abi::X86_64, "keyctl", &[], EPERM),
        // AF_UNIX, AF_INET6, AF_ALG, AF_NFC, AF_VSOCK, and AF_ALG behind garbage that the kernel cuts off.
        (Abi::X86_64, "socket", &[1], ALLOW),
        (Abi::X86_64, "socket", &[10], ALLOW),
        (Abi::X86_64, "socket", &[38], EPERM),
        (Abi::X86_64, "socket", &[39], ALLOW),
        (Abi::X86_64, "socket", &[40], EPERM),
        (Abi::X86_64, "socket", &[0xffff_ffff_0000_0026], EPERM),
        (Abi::X86_64, "arch_prctl", &[], ALLOW),
        (Abi::X86, "read", &[], ALLOW),
        (Abi::X86, "socketcall", &[1], ALLOW),
        (Abi::X86, "socket", &[2], ALLOW),
        (Abi::X86, "socket", &[38], EPERM),
        (Abi::X86, "mount", &[], EPERM),
        (Abi::X86, "clock_gettime64", &[], ALLOW),
        (Abi::X86, "set_thread_area", &[], ALLOW),
        (Abi::X86, "_llseek", &[], ALLOW),
        (Abi::X86, "mmap2", &[], ALLOW),
        (Abi::X32, "read", &[], ALLOW),
        (Abi::X32, "ioctl", &[], ALLOW),
        (Abi::X32, "execve", &[], ALLOW),
        (Abi::X32, "mount", &[], EPERM),
        (Abi::X32, "socket", &[38], EPERM),
    ] {
        assert_eq!(call(&program, abi, name, arguments), expected, "{abi:?} {name} {arguments:x?}");
    }
}

#[test]
fn calls_newer_than_the_profile_are_not_implemented() {
    let program = compile(&docker(&[])).unwrap();
    for (audit, number, expected) in [
        (Abi::X86_64.audit(), 5000, ENOSYS),
        (Abi::X86.audit(), 5000, ENOSYS),
        (Abi::X86_64.audit(), X32_BIT | 5000, ENOSYS),
        // Gaps below the highest known number are not new.
        (Abi::X86_64.audit(), 400, EPERM),
        (Abi::X86_64.audit(), u32::MAX, EPERM),
        (Abi::Aarch64.audit(), 56, KILL),
        (0, 0, KILL),
    ] {
        assert_eq!(run(&program, audit, number, &[]), expected, "{audit:x} {number}");
    }
    let open = section(SeccompAction::Allow, vec![rule("mount", SeccompAction::Errno, vec![])]);
    assert_eq!(run(&compile(&open).unwrap(), Abi::NATIVE.audit(), 5000, &[]), ALLOW);
}

#[test]
fn capabilities_open_more() {
    let program = compile(&docker(&["CAP_SYS_ADMIN"])).unwrap();
    for (name, arguments) in [("mount", &[][..]), ("clone", &[0x0002_0000]), ("clone3", &[])] {
        assert_eq!(call(&program, Abi::X86_64, name, arguments), ALLOW, "{name}");
    }
}

/// Without x32 in the list its calls are of an unknown convention.
#[test]
fn unnamed_conventions_are_killed() {
    let only = section(SeccompAction::Errno, vec![rule("read", SeccompAction::Allow, vec![])]);
    let program = compile(&only).unwrap();
    assert_eq!(call(&program, Abi::X86_64, "read", &[]), ALLOW);
    assert_eq!(call(&program, Abi::X32, "read", &[]), KILL);
    assert_eq!(call(&program, Abi::X86, "read", &[]), KILL);
}

#[test]
fn every_operator_on_every_half() {
    use SeccompOperator as Is;
    let values = [0_u64, 1, 7, 8, 9, 0xffff_ffff, 1 << 32, (1 << 32) | 8, (7 << 32) | 8, u64::MAX];
    type Compare = fn(u64, u64, u64) -> bool;
    let operators: [(Is, Compare); 7] = [
        (Is::NotEqual, |a, v, _| a != v),
        (Is::Less, |a, v, _| a < v),
        (Is::LessOrEqual, |a, v, _| a <= v),
        (Is::Equal, |a, v, _| a == v),
        (Is::GreaterOrEqual, |a, v, _| a >= v),
        (Is::Greater, |a, v, _| a > v),
        (Is::MaskedEqual, |a, mask, v| a & mask == v),
    ];
    for (op, holds) in operators {
        for value in values {
            for value_two in [0, 1, 8] {
                for index in [0, 5] {
                    let args = vec![SeccompArg { index, value, value_two, op }];
                    let rules = vec![rule("getrandom", SeccompAction::Allow, args)];
                    let program = compile(&section(SeccompAction::Errno, rules)).unwrap();
                    for argument in values {
                        let mut arguments = [3; 6];
                        arguments[index as usize] = argument;
                        let expected = if holds(argument, value, value_two) { ALLOW } else { EPERM };
                        let found = call(&program, Abi::X86_64, "getrandom", &arguments);
                        assert_eq!(found, expected, "{argument:x} {op:?} {value:x} {value_two:x}");
                    }
                }
            }
        }
    }
}

#[test]
fn conditions_are_joined() {
    let equal = |index, value| SeccompArg { index, value, value_two: 0, op: SeccompOperator::Equal };
    let both = rule("mmap", SeccompAction::Allow, vec![equal(0, 1), equal(1, 2)]);
    let either = rule("mprotect", SeccompAction::Allow, vec![equal(0, 1), equal(0, 2)]);
    let program = compile(&section(SeccompAction::Errno, vec![both, either])).unwrap();
    for (name, arguments, expected) in [
        ("mmap", [1, 2], ALLOW),
        ("mmap", [1, 3], EPERM),
        ("mmap", [0, 2], EPERM),
        ("mprotect", [1, 0], ALLOW),
        ("mprotect", [2, 0], ALLOW),
        ("mprotect", [3, 0], EPERM),
    ] {
        assert_eq!(call(&program, Abi::X86_64, name, &arguments), expected, "{name} {arguments:?}");
    }
}

#[test]
fn an_unconditional_rule_outweighs_conditional_ones() {
    let equal = SeccompArg { index: 0, value: 1, value_two: 0, op: SeccompOperator::Equal };
    let conditional = rule("mmap", SeccompAction::KillProcess, vec![equal]);
    let always = rule("mmap", SeccompAction::Allow, vec![]);
    for rules in [vec![conditional.clone(), always.clone()], vec![always, conditional]] {
        let program = compile(&section(SeccompAction::Errno, rules)).unwrap();
        assert_eq!(call(&program, Abi::X86_64, "mmap", &[1]), ALLOW);
    }
}

/// i386 carries socket calls in one: permissions follow, conditional ones don't, prohibitions do.
#[test]
fn carried_calls() {
    let equal = SeccompArg { index: 0, value: 2, value_two: 0, op: SeccompOperator::Equal };
    let mut seccomp = section(
        SeccompAction::Errno,
        vec![
            rule("connect", SeccompAction::Allow, vec![]),
            rule("socket", SeccompAction::Allow, vec![equal]),
            rule("shmat", SeccompAction::Allow, vec![]),
        ],
    );
    seccomp.architectures = vec![SeccompArch::X86];
    let program = compile(&seccomp).unwrap();
    for (name, argument, expected) in [
        ("socketcall", 3, ALLOW),
        ("socketcall", 1, EPERM),
        ("socketcall", 2, EPERM),
        ("ipc", 21, ALLOW),
        ("ipc", 1 << 16 | 21, ALLOW),
        ("ipc", 22, EPERM),
    ] {
        assert_eq!(call(&program, Abi::X86, name, &[argument]), expected, "{name} {argument}");
    }
    let denied = SeccompArg { index: 0, value: 38, value_two: 0, op: SeccompOperator::Equal };
    let mut open = section(SeccompAction::Allow, vec![rule("socket", SeccompAction::Errno, vec![denied])]);
    open.architectures = vec![SeccompArch::X86];
    let program = compile(&open).unwrap();
    assert_eq!(call(&program, Abi::X86, "socketcall", &[1]), EPERM);
    assert_eq!(call(&program, Abi::X86, "socketcall", &[2]), ALLOW);
}

#[test]
fn actions_and_their_data() {
    for (action, data, expected) in [
        (SeccompAction::Kill, None, 0),
        (SeccompAction::KillProcess, None, 0x8000_0000),
        (SeccompAction::Trap, None, 0x0003_0000),
        (SeccompAction::Errno, Some(13), 0x0005_000d),
        (SeccompAction::Trace, Some(7), 0x7ff0_0007),
        (SeccompAction::Log, None, 0x7ffc_0000),
    ] {
        let mut rule = rule("getpid", action, vec![]);
        rule.errno_ret = data;
        let program = compile(&section(SeccompAction::Allow, vec![rule])).unwrap();
        assert_eq!(call(&program, Abi::X86_64, "getpid", &[]), expected, "{action:?}");
    }
}

#[test]
fn long_jumps() {
    // Alternating verdicts with conditions make a section far longer than a conditional jump reaches.
    let arguments = || vec![SeccompArg { index: 0, value: 1, value_two: 0, op: SeccompOperator::Equal }];
    let calls = Abi::X86_64.calls();
    let rules =
        calls.iter().step_by(2).map(|(name, _)| rule(name, SeccompAction::Allow, arguments())).collect();
    let program = compile(&section(SeccompAction::Errno, rules)).unwrap();
    assert!(program.instructions().len() > 1000);
    for (place, (name, number)) in calls.iter().enumerate() {
        let expected = if place % 2 == 0 { ALLOW } else { EPERM };
        let highest = calls[(calls.len() - 1) / 2 * 2].1;
        let expected = if *number > highest { ENOSYS } else { expected };
        assert_eq!(run(&program, Abi::X86_64.audit(), *number, &[1]), expected, "{name}");
    }
}

#[test]
fn refusals() {
    let argument = SeccompArg { index: 6, value: 0, value_two: 0, op: SeccompOperator::Equal };
    for seccomp in [
        section(SeccompAction::Notify, vec![]),
        section(SeccompAction::Allow, vec![rule("getcwd", SeccompAction::Notify, vec![])]),
        section(SeccompAction::Allow, vec![rule("write", SeccompAction::Notify, vec![])]),
        section(SeccompAction::Allow, vec![rule("read", SeccompAction::Errno, vec![argument])]),
        Seccomp { flags: vec![SeccompFlag::WaitKillableRecv], ..section(SeccompAction::Allow, vec![]) },
    ] {
        assert!(compile(&seccomp).is_err(), "{seccomp:?}");
    }
}

/// The search keeps the depth low: what a call costs is the number of instructions run.
#[test]
fn the_program_is_short() {
    let program = compile(&docker(&[])).unwrap();
    assert!(program.instructions().len() < 1000, "{}", program.instructions().len());
}
