//! When a container that ended is started again, and after how long: pure, the driver owns the clock.

use std::time::Duration;

use boxship_api::container::RestartPolicy;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// A run this long was healthy: the pause begins from the start again.
const HEALTHY: Duration = Duration::from_secs(10);

/// The pause before the next restart, doubled with each failure.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    pause: Duration,
}

impl Backoff {
    /// The pause after a run of `ran`.
    pub(crate) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.pause = Duration::ZERO;
        }
        self.pause = if self.pause.is_zero() { FIRST } else { (self.pause * 2).min(LONGEST) };
        self.pause
    }

    /// A start by hand begins anew.
    pub(crate) fn reset(&mut self) {
        self.pause = Duration::ZERO;
    }
}

/// Whether the policy wants another run after an exit.
pub(crate) fn wants_restart(policy: &RestartPolicy, code: i32, restarts: u32, stopped_by_user: bool) -> bool {
    if stopped_by_user {
        return false;
    }
    match policy.name.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => {
            let left = policy.maximum_retry_count <= 0 || i64::from(restarts) < policy.maximum_retry_count;
            code != 0 && left
        }
        _ => false,
    }
}

/// Whether the policy wants it running when the engine opens and finds it ended.
pub(crate) fn wants_start_at_open(
    policy: &RestartPolicy,
    code: i32,
    restarts: u32,
    stopped_by_user: bool,
    ran_before: bool,
) -> bool {
    match policy.name.as_str() {
        "always" => ran_before,
        "unless-stopped" => ran_before && !stopped_by_user,
        _ => ran_before && wants_restart(policy, code, restarts, stopped_by_user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, count: i64) -> RestartPolicy {
        RestartPolicy { name: name.into(), maximum_retry_count: count }
    }

    #[test]
    fn policies() {
        for (name, max, code, restarts, by_user, expect) in [
            ("no", 0, 1, 0, false, false),
            ("", 0, 1, 0, false, false),
            ("always", 0, 0, 9, false, true),
            ("always", 0, 137, 0, true, false),
            ("unless-stopped", 0, 0, 0, false, true),
            ("unless-stopped", 0, 0, 0, true, false),
            ("on-failure", 0, 0, 0, false, false),
            ("on-failure", 0, 1, 99, false, true),
            ("on-failure", 3, 1, 2, false, true),
            ("on-failure", 3, 1, 3, false, false),
        ] {
            let wants = wants_restart(&policy(name, max), code, restarts, by_user);
            assert_eq!(wants, expect, "{name} {max} {code} {restarts} {by_user}");
        }
        assert!(wants_start_at_open(&policy("always", 0), 0, 0, true, true), "Docker starts `always` again");
        assert!(!wants_start_at_open(&policy("unless-stopped", 0), 0, 0, true, true));
        assert!(!wants_start_at_open(&policy("always", 0), 0, 0, false, false), "never started");
    }

    #[test]
    fn the_pause_doubles_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let pauses: Vec<_> = (0..12).map(|_| backoff.next(short).as_millis()).collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[11], 60_000);
        assert_eq!(backoff.next(HEALTHY).as_millis(), 100);
        backoff.next(short);
        backoff.reset();
        assert_eq!(backoff.next(short).as_millis(), 100);
    }
}
