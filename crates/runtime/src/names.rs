//! The specification's names for the kernel's numbers: capabilities, limits, scheduling.

/// Capability names without `CAP_`, in the order of their numbers.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// `RLIMIT_` names in the order of their numbers.
const LIMITS: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

/// `SCHED_` policies.
const POLICIES: [(&str, u32); 7] =
    [("OTHER", 0), ("FIFO", 1), ("RR", 2), ("BATCH", 3), ("ISO", 4), ("IDLE", 5), ("DEADLINE", 6)];

/// `SCHED_FLAG_` flags.
const SCHEDULING_FLAGS: [(&str, u64); 7] = [
    ("RESET_ON_FORK", 0x01),
    ("RECLAIM", 0x02),
    ("DL_OVERRUN", 0x04),
    ("KEEP_POLICY", 0x08),
    ("KEEP_PARAMS", 0x10),
    ("UTIL_CLAMP_MIN", 0x20),
    ("UTIL_CLAMP_MAX", 0x40),
];

/// A capability's number.
pub(crate) fn capability(name: &str) -> Option<u32> {
    let bare = name.strip_prefix("CAP_")?;
    CAPABILITIES.iter().position(|known| *known == bare).map(|index| index as u32)
}

/// The names of the capabilities this kernel knows, for `features`.
pub fn known_capabilities() -> Vec<String> {
    let last = boxship_sys::process::last_capability() as usize;
    CAPABILITIES.iter().take(last + 1).map(|name| format!("CAP_{name}")).collect()
}

/// A resource limit's number.
pub(crate) fn limit(name: &str) -> Option<u32> {
    let bare = name.strip_prefix("RLIMIT_")?;
    LIMITS.iter().position(|known| *known == bare).map(|index| index as u32)
}

/// A scheduling policy's number.
pub(crate) fn policy(name: &str) -> Option<u32> {
    let bare = name.strip_prefix("SCHED_")?;
    POLICIES.iter().find(|(known, _)| *known == bare).map(|(_, number)| *number)
}

/// A scheduling flag's bit.
pub(crate) fn scheduling_flag(name: &str) -> Option<u64> {
    let bare = name.strip_prefix("SCHED_FLAG_")?;
    SCHEDULING_FLAGS.iter().find(|(known, _)| *known == bare).map(|(_, bit)| *bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        assert_eq!(capability("CAP_CHOWN"), Some(0));
        assert_eq!(capability("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(capability("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(capability("SYS_ADMIN"), None);
        assert_eq!(limit("RLIMIT_NOFILE"), Some(7));
        assert_eq!(limit("RLIMIT_RTTIME"), Some(15));
        assert_eq!(policy("SCHED_DEADLINE"), Some(6));
        assert_eq!(scheduling_flag("SCHED_FLAG_KEEP_PARAMS"), Some(0x10));
    }
}
