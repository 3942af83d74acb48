//! Device rules for cgroup v2: a small eBPF program that the kernel runs at each open and mknod.
//!
//! The context is `struct bpf_cgroup_dev_ctx` (linux/bpf.h): `access << 16 | type`, major, minor. The program has
//! one block for each exception and ends with the default. With "denied by default" an exception must cover all
//! that is asked for; with "allowed by default" it must touch some of it.

use boxship_sys::bpf::{
    Instruction, attach_cgroup_device, attached_cgroup_device, detach_cgroup_device, load_cgroup_device,
};
use rustix::fs::{Mode, OFlags, open};
use std::io;
use std::os::fd::AsFd;

use super::device_rules::{Access, Device, Rules};
use super::directory::Directory;
use super::error::{Error, Result};

/// Loads the program and attaches it in place of what was attached to this cgroup.
pub(super) fn apply(directory: &Directory, rules: &Rules) -> Result<()> {
    let path = directory.path();
    let cgroup = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::File { action: "open", path: path.to_owned(), source: errno.into() })?;
    let call = |error: boxship_sys::Error| Error::File {
        action: "filter devices of",
        path: path.to_owned(),
        source: io::Error::from(error.errno),
    };
    let program = load_cgroup_device(&compile(rules)).map_err(call)?;
    let old = attached_cgroup_device(cgroup.as_fd()).map_err(call)?;
    if let [only] = old.as_slice() {
        // Replacing leaves no moment without a filter, nor one with both.
        return attach_cgroup_device(cgroup.as_fd(), program.as_fd(), Some(only.as_fd())).map_err(call);
    }
    attach_cgroup_device(cgroup.as_fd(), program.as_fd(), None).map_err(call)?;
    old.iter().try_for_each(|old| detach_cgroup_device(cgroup.as_fd(), old.as_fd()).map_err(call))
}

// Operation codes (Documentation/bpf/standardization/instruction-set.rst).
const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbc;
const MOVE_VALUE: u8 = 0xb4;
const AND_VALUE: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_NOT_EQUAL: u8 = 0x56;
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5e;
const JUMP_EQUAL: u8 = 0x16;
const EXIT: u8 = 0x95;

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

const KIND_BLOCK: i32 = 1;
const KIND_CHAR: i32 = 2;

pub(super) fn compile(rules: &Rules) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(AND_VALUE, KIND, 0, 0, 0xffff),
        instruction(LOAD_WORD, ACCESS, CONTEXT, 0, 0),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for (device, access) in &rules.exceptions {
        program.extend(exception(*device, *access, rules.allow_by_default));
    }
    program.extend(answer(rules.allow_by_default));
    program
}

fn exception(device: Device, access: Access, allow_by_default: bool) -> Vec<Instruction> {
    let kind = if device.block { KIND_BLOCK } else { KIND_CHAR };
    let mut tests = vec![instruction(JUMP_NOT_EQUAL, KIND, 0, 0, kind)];
    if access != Access::ALL {
        tests.push(instruction(MOVE_REGISTER, SCRATCH, ACCESS, 0, 0));
        tests.push(instruction(AND_VALUE, SCRATCH, 0, 0, i32::from(access.bits())));
        tests.push(match allow_by_default {
            true => instruction(JUMP_EQUAL, SCRATCH, 0, 0, 0),
            false => instruction(JUMP_NOT_EQUAL_REGISTER, SCRATCH, ACCESS, 0, 0),
        });
    }
    for (register, number) in [(MAJOR, device.major), (MINOR, device.minor)] {
        if let Some(number) = number {
            tests.push(instruction(JUMP_NOT_EQUAL, register, 0, 0, number.cast_signed()));
        }
    }
    let mut block = tests;
    block.extend(answer(!allow_by_default));
    let length = block.len();
    for (place, instruction) in block.iter_mut().enumerate() {
        if matches!(instruction.code, JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER | JUMP_EQUAL) {
            // To the next block; a block has at most nine instructions.
            instruction.offset = (length - place - 1) as i16;
        }
    }
    block
}

fn answer(allow: bool) -> [Instruction; 2] {
    [instruction(MOVE_VALUE, RESULT, 0, 0, i32::from(allow)), instruction(EXIT, 0, 0, 0, 0)]
}

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset, immediate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_oci::runtime::{DeviceKind, DeviceRule};

    /// Runs a program as the kernel would, for the operations that `compile` uses.
    fn run(program: &[Instruction], block: bool, access: Access, major: u32, minor: u32) -> bool {
        let kind = if block { KIND_BLOCK } else { KIND_CHAR } as u32;
        let context = [u32::from(access.bits()) << 16 | kind, major, minor];
        let mut registers = [0_u32; 11];
        let mut at = 0_usize;
        loop {
            let it = program[at];
            let (to, from) = ((it.registers & 15) as usize, (it.registers >> 4) as usize);
            let value = it.immediate.cast_unsigned();
            let jump = match it.code {
                LOAD_WORD => {
                    registers[to] = context[it.offset as usize / 4];
                    false
                }
                AND_VALUE => {
                    registers[to] &= value;
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= value;
                    false
                }
                MOVE_REGISTER => {
                    registers[to] = registers[from];
                    false
                }
                MOVE_VALUE => {
                    registers[to] = value;
                    false
                }
                JUMP_NOT_EQUAL => registers[to] != value,
                JUMP_NOT_EQUAL_REGISTER => registers[to] != registers[from],
                JUMP_EQUAL => registers[to] == value,
                EXIT => return registers[0] == 1,
                other => panic!("operation {other:#x}"),
            };
            at += 1 + if jump { it.offset as usize } else { 0 };
        }
    }

    fn access(text: &str) -> Access {
        let bits: Vec<_> =
            [Access::READ, Access::WRITE, Access::MAKE].into_iter().zip("rwm".chars()).collect();
        let rules = Rules::of(&[DeviceRule {
            allow: true,
            kind: Some(DeviceKind::Block),
            major: Some(250),
            minor: Some(0),
            access: Some(text.into()),
        }]);
        assert_eq!(bits.len(), 3);
        rules.unwrap().exceptions[&Device { block: true, major: Some(250), minor: Some(0) }]
    }

    #[test]
    fn default_devices() {
        let program = compile(&Rules::of(&[]).unwrap());
        for (block, rights, major, minor, expected) in [
            (false, "rw", 1, 3, true),
            (false, "rw", 136, 77, true),
            (false, "m", 99, 1, true),
            (true, "m", 99, 1, true),
            (true, "r", 8, 0, false),
            (false, "r", 1, 1, false),
            (false, "rm", 10, 1, false),
        ] {
            assert_eq!(
                run(&program, block, access(rights), major, minor),
                expected,
                "{block} {rights} {major}:{minor}"
            );
        }
    }

    #[test]
    fn an_exception_must_cover_what_is_asked_for() {
        let rule = |allow, access: &str| DeviceRule {
            allow,
            kind: Some(DeviceKind::Block),
            major: Some(8),
            minor: None,
            access: Some(access.into()),
        };
        let program = compile(&Rules::of(&[rule(true, "r")]).unwrap());
        assert!(run(&program, true, access("r"), 8, 3));
        assert!(!run(&program, true, access("rw"), 8, 3));
        let all = DeviceRule { allow: true, ..DeviceRule::default() };
        let program = compile(&Rules::of(&[all, rule(false, "w")]).unwrap());
        assert!(run(&program, true, access("r"), 8, 3));
        assert!(!run(&program, true, access("rw"), 8, 3));
        assert!(run(&program, false, access("rw"), 8, 3));
    }
}
