//! From sorted rules to classic BPF.
//!
//! One section for each value of `seccomp_data.arch`. In it, numbers with the same verdict form ranges, and a binary
//! search over the ranges' borders leads to the verdict: about seven comparisons for Docker's profile where a list
//! takes hundreds. Jumps that don't fit into eight bits are made with an unconditional jump.

use std::collections::BTreeMap;

use boxship_oci::runtime::SeccompOperator;
use boxship_sys::seccomp::Instruction;

use super::abi::{Abi, X32_BIT};
use super::rules::{Action, Condition, RET_ENOSYS, RET_KILL_THREAD, Rules, Verdict};

// linux/bpf_common.h
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

pub(super) fn program(rules: &Rules) -> Vec<Instruction> {
    let mut sections: BTreeMap<u32, Vec<Range>> = BTreeMap::new();
    for (abi, calls) in &rules.calls {
        let ranges = ranges(*abi, calls, rules);
        sections.entry(abi.audit()).or_default().extend(ranges);
    }
    let mut program = vec![load(ARCHITECTURE)];
    // The machine's own convention first: it is the one that is used.
    let native = Abi::NATIVE.audit();
    let (first, rest): (Vec<_>, Vec<_>) = sections.into_iter().partition(|(audit, _)| *audit == native);
    for (audit, ranges) in first.into_iter().chain(rest) {
        let mut section = vec![load(NUMBER)];
        section.extend(search(&merge(audit, ranges, rules), rules.default));
        program.extend(otherwise(JUMP_EQUAL, audit, section));
    }
    // A convention that the profile doesn't name.
    program.push(answer(RET_KILL_THREAD));
    program
}

/// From this number on, up to the next range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    start: u32,
    verdict: Verdict,
}

fn ranges(abi: Abi, calls: &BTreeMap<u32, Verdict>, rules: &Rules) -> Vec<Range> {
    let base = if abi == Abi::X32 { X32_BIT } else { 0 };
    let default = Verdict::Always(rules.default);
    let above = match rules.known.get(&abi) {
        Some(_) => Verdict::Always(RET_ENOSYS),
        None => default.clone(),
    };
    let highest = rules.known.get(&abi).copied().unwrap_or(u32::MAX);
    let background = |number: u32| if number > highest { above.clone() } else { default.clone() };
    let mut ranges = vec![Range { start: base, verdict: default.clone() }];
    for (number, verdict) in calls {
        ranges.push(Range { start: *number, verdict: verdict.clone() });
        if let Some(next) = number.checked_add(1) {
            ranges.push(Range { start: next, verdict: background(next) });
        }
    }
    if let Some(next) = highest.checked_add(1) {
        ranges.push(Range { start: next, verdict: above });
    }
    ranges
}

/// Sorts the ranges of one section and joins neighbours. On x86_64 the upper half of the numbers is x32's: without
/// rules of its own it is an unknown convention, except −1, which a tracer sets to skip a call.
fn merge(audit: u32, mut ranges: Vec<Range>, rules: &Rules) -> Vec<Range> {
    if audit == Abi::X86_64.audit() {
        if !rules.calls.contains_key(&Abi::X32) {
            ranges.push(Range { start: X32_BIT, verdict: Verdict::Always(RET_KILL_THREAD) });
        }
        ranges.push(Range { start: u32::MAX, verdict: Verdict::Always(rules.default) });
    }
    // Of two ranges with the same start the later one is more particular.
    let sorted: BTreeMap<u32, Verdict> =
        ranges.into_iter().map(|range| (range.start, range.verdict)).collect();
    let mut joined: Vec<Range> = Vec::new();
    for (start, verdict) in sorted {
        if joined.last().is_none_or(|last| last.verdict != verdict) {
            joined.push(Range { start, verdict });
        }
    }
    joined
}

fn search(ranges: &[Range], default: Action) -> Vec<Instruction> {
    let [range] = ranges else {
        let (lower, upper) = ranges.split_at(ranges.len() / 2);
        let Some(first) = upper.first() else { return vec![answer(default)] };
        let mut code = unless(JUMP_GREATER_EQUAL, first.start, search(lower, default));
        code.extend(search(upper, default));
        return code;
    };
    match &range.verdict {
        Verdict::Always(action) => vec![answer(*action)],
        Verdict::Cases(cases) => {
            let mut code: Vec<_> =
                cases.iter().flat_map(|(conditions, action)| case(conditions, *action)).collect();
            code.push(answer(default));
            code
        }
    }
}

/// `block`, skipped when the comparison holds.
fn unless(comparison: u16, k: u32, block: Vec<Instruction>) -> Vec<Instruction> {
    skip(comparison, k, block, true)
}

/// `block`, skipped when the comparison does not hold.
fn otherwise(comparison: u16, k: u32, block: Vec<Instruction>) -> Vec<Instruction> {
    skip(comparison, k, block, false)
}

fn skip(comparison: u16, k: u32, block: Vec<Instruction>, when: bool) -> Vec<Instruction> {
    let jump = |distance, no| match when {
        true => Instruction { code: comparison, jump_true: distance, jump_false: no, k },
        false => Instruction { code: comparison, jump_true: no, jump_false: distance, k },
    };
    let mut code = match u8::try_from(block.len()) {
        Ok(distance) => vec![jump(distance, 0)],
        Err(_) => {
            let far = Instruction { code: JUMP, k: block.len() as u32, ..Instruction::default() };
            vec![jump(0, 1), far]
        }
    };
    code.extend(block);
    code
}

/// All conditions, then the action; any that fails goes on behind it.
fn case(conditions: &[Condition], action: Action) -> Vec<Instruction> {
    let mut code = vec![answer(action)];
    for condition in conditions.iter().rev() {
        code = test(*condition, code);
    }
    code
}

/// Where a comparison leads.
#[derive(Clone, Copy)]
enum To {
    /// The next instruction.
    Next,
    /// The block behind the tests.
    Pass,
    /// Behind that block.
    Fail,
}

/// `block`, run when the condition holds.
fn test(condition: Condition, block: Vec<Instruction>) -> Vec<Instruction> {
    let steps = steps(condition);
    let count = steps.len();
    let mut code = Vec::with_capacity(count + block.len());
    for (place, step) in steps.into_iter().enumerate() {
        let rest = count - place - 1;
        // Six conditions of at most six steps each: far below 256.
        let distance = |to| match to {
            To::Next => 0,
            To::Pass => rest as u8,
            To::Fail => (rest + block.len()) as u8,
        };
        code.push(match step {
            Step::Plain(instruction) => instruction,
            Step::Compare(code, k, yes, no) => {
                Instruction { code, jump_true: distance(yes), jump_false: distance(no), k }
            }
        });
    }
    code.extend(block);
    code
}

enum Step {
    Plain(Instruction),
    Compare(u16, u32, To, To),
}

/// A filter's registers have 32 bits, arguments 64: the upper half decides, unless it is equal.
fn steps(condition: Condition) -> Vec<Step> {
    use SeccompOperator as Is;
    let low = ARGUMENTS + 8 * condition.argument;
    let half = |offset: u32, shift: u32| {
        (offset, (condition.value >> shift) as u32, (condition.masked >> shift) as u32)
    };
    let (yes, no) = match condition.operator {
        Is::NotEqual | Is::Less | Is::LessOrEqual => (To::Fail, To::Pass),
        _ => (To::Pass, To::Fail),
    };
    let mut steps = Vec::new();
    if !condition.narrow {
        let (offset, value, masked) = half(low + 4, 32);
        steps.push(Step::Plain(load(offset)));
        match condition.operator {
            Is::Equal | Is::NotEqual => steps.push(Step::Compare(JUMP_EQUAL, value, To::Next, no)),
            Is::MaskedEqual => {
                steps.push(Step::Plain(Instruction { code: AND, k: value, ..Instruction::default() }));
                steps.push(Step::Compare(JUMP_EQUAL, masked, To::Next, no));
            }
            Is::Greater | Is::GreaterOrEqual | Is::Less | Is::LessOrEqual => {
                steps.push(Step::Compare(JUMP_GREATER, value, yes, To::Next));
                steps.push(Step::Compare(JUMP_EQUAL, value, To::Next, no));
            }
        }
    }
    let (offset, value, masked) = half(low, 0);
    steps.push(Step::Plain(load(offset)));
    match condition.operator {
        Is::Equal | Is::NotEqual => steps.push(Step::Compare(JUMP_EQUAL, value, yes, no)),
        Is::MaskedEqual => {
            steps.push(Step::Plain(Instruction { code: AND, k: value, ..Instruction::default() }));
            steps.push(Step::Compare(JUMP_EQUAL, masked, yes, no));
        }
        Is::Greater | Is::LessOrEqual => steps.push(Step::Compare(JUMP_GREATER, value, yes, no)),
        Is::GreaterOrEqual | Is::Less => steps.push(Step::Compare(JUMP_GREATER_EQUAL, value, yes, no)),
    }
    steps
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, k: offset, ..Instruction::default() }
}

fn answer(action: Action) -> Instruction {
    Instruction { code: RETURN, k: action, ..Instruction::default() }
}
