//! Resource limits of a process that changes its user.
//!
//! Whoever lowers a limit needs no right, whoever raises one needs CAP_SYS_RESOURCE, and after the change of user its
//! maker may do neither without that right. So the process sets what it can while it still is its maker's user, and
//! the maker sets the rest afterwards; what neither could do is an error.

use boxship_sys::{Errno, process};

use crate::error::{Error, Result};
use crate::message::{At, Done, Step};
use crate::process_plan::Limit;

/// In the process itself, before it takes on its identity.
pub(crate) fn set_own(limits: &[Limit]) -> Done {
    const SELF: i32 = 0;
    for limit in limits {
        match process::set_limit(SELF, limit.resource, limit.soft, limit.hard) {
            // Left to the maker, who may have the right.
            Err(error) if error.errno == Errno::PERM => {}
            other => other.at(Step::Limits)?,
        }
    }
    Ok(())
}

/// In the maker, afterwards.
pub(crate) fn set_for(pid: i32, limits: &[Limit]) -> Result<()> {
    for limit in limits {
        match process::set_limit(pid, limit.resource, limit.soft, limit.hard) {
            Err(error) if error.errno == Errno::PERM && is_set(pid, limit) => {}
            other => other.map_err(Error::system("set rlimit"))?,
        }
    }
    Ok(())
}

fn is_set(pid: i32, limit: &Limit) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    parse(&text, limit.resource) == Some((limit.soft, limit.hard))
}

/// `/proc/PID/limits` has a line for each limit in the order of their numbers: the name in 26 columns, soft, hard, unit.
fn parse(text: &str, resource: u32) -> Option<(u64, u64)> {
    let line = text.lines().nth(resource as usize + 1)?;
    let mut values = line.get(26..)?.split_whitespace().map(|value| match value {
        "unlimited" => Some(u64::MAX),
        value => value.parse().ok(),
    });
    Some((values.next()??, values.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_limits() {
        let text = std::fs::read_to_string("/proc/self/limits").unwrap();
        for (name, resource) in [("Max cpu time", 0), ("Max open files", 7), ("Max realtime timeout", 15)] {
            let line = text.lines().nth(resource as usize + 1).unwrap();
            assert!(line.starts_with(name), "{line}");
            assert!(parse(&text, resource).is_some(), "{line}");
        }
        assert_eq!(parse(&text, 99), None);
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              unlimited            20                   seconds   \n";
        assert_eq!(parse(text, 0), Some((u64::MAX, 20)));
    }
}
