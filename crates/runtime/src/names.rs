//! The specification's names for the kernel's numbers: capabilities, limits, scheduling.

use boxship_oci::runtime::CAPABILITIES;

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
    CAPABILITIES.iter().position(|known| *known == name).map(|index| index as u32)
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
