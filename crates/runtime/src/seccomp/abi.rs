//! The calling conventions that a filter meets, and their system calls by number.
//!
//! The tables are the `syscalls` crate's; here are the differences of x32 (from the kernel's
//! `arch/x86/entry/syscalls/syscall_64.tbl`: `awk '$2=="x32"'`) and of ARM's private calls (`asm/unistd.h`).

use boxship_oci::runtime::SeccompArch;

macro_rules! table {
    ($module:path) => {{
        use $module as module;
        let calls = module::Sysno::iter();
        // A raw identifier keeps its prefix in the crate's names.
        calls
            .map(|call| (call.name().trim_start_matches("r#"), call.id().cast_unsigned()))
            .collect::<Vec<_>>()
    }};
}

/// A calling convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Abi {
    X86_64,
    X32,
    X86,
    Aarch64,
    Arm,
}

/// Set in every system call number of x32, which otherwise looks like x86_64 to the kernel's filter.
pub(super) const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// Of this machine.
    #[cfg(target_arch = "x86_64")]
    pub(super) const NATIVE: Self = Self::X86_64;
    /// Of this machine.
    #[cfg(target_arch = "aarch64")]
    pub(super) const NATIVE: Self = Self::Aarch64;

    /// The convention that the specification names. A foreign one (a MIPS call on x86) never reaches this kernel, so
    /// there is nothing to filter: `None`.
    pub(super) fn named(name: SeccompArch, native: Self) -> Option<Self> {
        let abi = match name {
            SeccompArch::Native => native,
            SeccompArch::X86_64 => Self::X86_64,
            SeccompArch::X32 => Self::X32,
            SeccompArch::X86 => Self::X86,
            SeccompArch::Aarch64 => Self::Aarch64,
            SeccompArch::Arm => Self::Arm,
            _ => return None,
        };
        Some(abi)
    }

    /// What the kernel calls it in `seccomp_data.arch` (linux/audit.h).
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments have 32 bits.
    pub(super) const fn is_32_bit(self) -> bool {
        matches!(self, Self::X86 | Self::Arm)
    }

    /// All system calls, by name and number as the filter sees it.
    pub(super) fn calls(self) -> Vec<(&'static str, u32)> {
        match self {
            Self::X86_64 => table!(syscalls::x86_64),
            Self::X86 => table!(syscalls::x86),
            Self::Aarch64 => table!(syscalls::aarch64),
            Self::Arm => {
                let mut calls = table!(syscalls::arm);
                calls.extend_from_slice(ARM_PRIVATE);
                calls
            }
            Self::X32 => {
                let mut calls = table!(syscalls::x86_64);
                for (name, number) in &mut calls {
                    let own = X32_OWN.iter().find(|(own, _)| own == name);
                    *number = X32_BIT | own.map_or(*number, |(_, number)| *number);
                }
                calls
            }
        }
    }
}

const X32_OWN: &[(&str, u32)] = &[
    ("rt_sigaction", 512),
    ("rt_sigreturn", 513),
    ("ioctl", 514),
    ("readv", 515),
    ("writev", 516),
    ("recvfrom", 517),
    ("sendmsg", 518),
    ("recvmsg", 519),
    ("execve", 520),
    ("ptrace", 521),
    ("rt_sigpending", 522),
    ("rt_sigtimedwait", 523),
    ("rt_sigqueueinfo", 524),
    ("sigaltstack", 525),
    ("timer_create", 526),
    ("mq_notify", 527),
    ("kexec_load", 528),
    ("waitid", 529),
    ("set_robust_list", 530),
    ("get_robust_list", 531),
    ("vmsplice", 532),
    ("move_pages", 533),
    ("preadv", 534),
    ("pwritev", 535),
    ("rt_tgsigqueueinfo", 536),
    ("recvmmsg", 537),
    ("sendmmsg", 538),
    ("process_vm_readv", 539),
    ("process_vm_writev", 540),
    ("setsockopt", 541),
    ("getsockopt", 542),
    ("io_setup", 543),
    ("io_submit", 544),
    ("execveat", 545),
    ("preadv2", 546),
    ("pwritev2", 547),
];

const ARM_PRIVATE: &[(&str, u32)] = &[
    ("breakpoint", 0x000f_0001),
    ("cacheflush", 0x000f_0002),
    ("usr26", 0x000f_0003),
    ("usr32", 0x000f_0004),
    ("set_tls", 0x000f_0005),
    ("get_tls", 0x000f_0006),
];

/// Calls that 32-bit x86 programs may also make through one call, with its first argument telling which.
pub(super) struct Multiplexed {
    /// The call that carries others.
    pub carrier: &'static str,
    /// The bits of its first argument that tell.
    pub mask: u64,
    /// Their value.
    pub value: u64,
}

/// How else a call can be made on `abi` (linux/net.h, linux/ipc.h; the upper half of ipc's argument is a version).
pub(super) fn multiplexed(abi: Abi, name: &str) -> Option<Multiplexed> {
    if abi != Abi::X86 {
        return None;
    }
    let find =
        |table: &[(&str, u64)]| table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    if let Some(value) = find(SOCKETCALLS) {
        return Some(Multiplexed { carrier: "socketcall", mask: u64::MAX, value });
    }
    find(IPC_CALLS).map(|value| Multiplexed { carrier: "ipc", mask: 0xffff, value })
}

const SOCKETCALLS: &[(&str, u64)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

const IPC_CALLS: &[(&str, u64)] = &[
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// Arguments that the kernel cuts to 32 bits (`int` or `unsigned int` in its prototype) although the filter sees 64.
/// Compared in full, garbage in the upper half would slip past a rule and still mean the lower half to the kernel:
/// `socket(1 << 32 | AF_ALG, …)`.
pub(super) fn is_cut_to_32_bits(name: &str, argument: u32) -> bool {
    CUT.iter().any(|(known, arguments)| *known == name && arguments.contains(&argument))
}

const CUT: &[(&str, &[u32])] = &[
    ("socket", &[0, 1, 2]),
    ("socketpair", &[0, 1, 2]),
    ("personality", &[0]),
    ("ioctl", &[0, 1]),
    ("fcntl", &[0, 1]),
    ("prctl", &[0]),
    ("keyctl", &[0]),
    ("setns", &[0, 1]),
    ("setsockopt", &[0, 1, 2, 4]),
    ("getsockopt", &[0, 1, 2]),
    ("kill", &[0, 1]),
    ("bpf", &[0, 2]),
    ("seccomp", &[0, 1]),
    ("memfd_create", &[1]),
    ("chmod", &[1]),
    ("fchmod", &[0, 1]),
    ("fchmodat", &[0, 2]),
    ("fchmodat2", &[0, 2, 3]),
    ("mknod", &[1, 2]),
    ("mknodat", &[0, 2, 3]),
    ("open", &[1, 2]),
    ("openat", &[0, 2, 3]),
    ("creat", &[1]),
    ("mkdir", &[1]),
    ("mkdirat", &[0, 2]),
    ("accept4", &[0, 3]),
    ("setpriority", &[0, 1, 2]),
    ("setuid", &[0]),
    ("setgid", &[0]),
    ("chown", &[1, 2]),
    ("fchown", &[0, 1, 2]),
    ("lchown", &[1, 2]),
    ("umask", &[0]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn number(abi: Abi, name: &str) -> Option<u32> {
        abi.calls().iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }

    #[test]
    fn known_numbers() {
        for (abi, name, expected) in [
            (Abi::X86_64, "read", Some(0)),
            (Abi::X86_64, "clone3", Some(435)),
            (Abi::X86, "socketcall", Some(102)),
            (Abi::X86, "break", Some(17)),
            (Abi::X86, "clock_gettime64", Some(403)),
            (Abi::X32, "read", Some(0x4000_0000)),
            (Abi::X32, "ioctl", Some(0x4000_0202)),
            (Abi::Aarch64, "openat", Some(56)),
            (Abi::Aarch64, "open", None),
            (Abi::Arm, "set_tls", Some(0xf0005)),
            (Abi::Arm, "open", Some(5)),
        ] {
            assert_eq!(number(abi, name), expected, "{abi:?} {name}");
        }
    }

    /// `chmod`'s mode is a umode_t (16 bits): comparing 32 of them is still what the rule's author meant.
    #[test]
    fn cut_arguments_are_real_calls() {
        let calls = Abi::X86_64.calls();
        for (name, arguments) in CUT {
            assert!(calls.iter().any(|(known, _)| known == name), "{name}");
            assert!(arguments.iter().all(|argument| *argument < 6), "{name}");
        }
    }
}
