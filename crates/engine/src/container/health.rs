//! Health: what a container's check asks for and what its probes mean. Pure; `probing` runs the probes, the driver
//! keeps what they meant.
//!
//! ```text
//! starting ── a probe succeeds ──▶ healthy ◀── a probe succeeds ── unhealthy
//!     └── too many fail in a row ──────────── ▶ unhealthy (failures in the start period do not count)
//! ```

use std::time::Duration;

use boxship_api as api;
use serde::{Deserialize, Serialize};

use super::state;

/// Results that are kept.
const KEPT: usize = 5;

/// What is thought of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Not known so far.
    #[default]
    Starting,
    /// The last probe succeeded.
    Healthy,
    /// Too many failed in a row.
    Unhealthy,
}

impl Verdict {
    /// Docker's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One probe's outcome. Times are nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    /// When it began.
    pub(super) start: i64,
    /// When it ended.
    pub(super) end: i64,
    /// 0 healthy, else not; -1 when it could not run or took too long.
    pub(super) code: i32,
    /// What it said.
    pub(super) output: String,
}

/// The health of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Health {
    /// What is thought of it.
    pub(crate) verdict: Verdict,
    streak: u32,
    log: Vec<Probe>,
}

impl Health {
    /// Learns from a probe of the run that began at `started_at`; true when the verdict changed.
    pub(super) fn probed(&mut self, probe: Probe, check: &Check, started_at: i64) -> bool {
        let before = self.verdict;
        let ran = Duration::from_nanos((probe.end - started_at).max(0).unsigned_abs());
        let grace = self.verdict == Verdict::Starting && ran < check.start_period;
        if probe.code == 0 {
            (self.streak, self.verdict) = (0, Verdict::Healthy);
        } else if !grace {
            self.streak += 1;
            if self.streak >= check.retries {
                self.verdict = Verdict::Unhealthy;
            }
        }
        if self.log.len() == KEPT {
            self.log.remove(0);
        }
        self.log.push(probe);
        before != self.verdict
    }

    /// What `ps` adds to `Up 3 minutes`.
    pub(super) fn sentence(&self) -> &'static str {
        match self.verdict {
            Verdict::Starting => " (health: starting)",
            Verdict::Healthy => " (healthy)",
            Verdict::Unhealthy => " (unhealthy)",
        }
    }

    /// As inspect tells it.
    pub(super) fn to_api(&self) -> api::container::Health {
        let result = |probe: &Probe| api::container::HealthcheckResult {
            start: state::time(probe.start),
            end: state::time(probe.end),
            exit_code: probe.code.into(),
            output: probe.output.clone(),
        };
        api::container::Health {
            status: self.verdict.word().into(),
            failing_streak: self.streak.into(),
            log: Some(self.log.iter().map(result).collect()),
        }
    }
}

/// A check as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// What a probe runs.
    pub(super) command: Vec<String>,
    /// How long it may take.
    pub(super) timeout: Duration,
    interval: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Check {
    /// The check of a container; `None` without one.
    pub(super) fn of(config: &api::container::Config) -> Option<Self> {
        let asked = config.healthcheck.as_ref()?;
        let (kind, words) = asked.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" => {
                let shell = match config.shell.is_empty() {
                    true => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                    false => config.shell.clone(),
                };
                shell.into_iter().chain(words.first().cloned()).collect()
            }
            _ => return None,
        };
        // Zero inherits, and there is nothing left to inherit from but Docker's defaults. What a request may not ask for
        // an image may not either: nobody judged it when it was loaded.
        let duration = |nanos: i64, default: u64| match u64::try_from(nanos) {
            Ok(nanos @ 1..) => Duration::from_nanos(nanos).max(Duration::from_millis(1)),
            _ => Duration::from_secs(default),
        };
        (!command.is_empty()).then(|| Self {
            command,
            timeout: duration(asked.timeout, 30),
            interval: duration(asked.interval, 30),
            start_period: duration(asked.start_period, 0),
            start_interval: duration(asked.start_interval, 5),
            retries: u32::try_from(asked.retries).ok().filter(|retries| *retries > 0).unwrap_or(3),
        })
    }

    /// The pause before the next probe of a run that lasts for `running`.
    pub(super) fn pause(&self, health: &Health, running: Duration) -> Duration {
        match health.verdict == Verdict::Starting && running < self.start_period {
            true => self.start_interval,
            false => self.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn config(test: &[&str]) -> api::container::Config {
        api::container::Config {
            healthcheck: Some(api::container::HealthConfig {
                test: test.iter().map(|word| (*word).to_owned()).collect(),
                interval: 2 * SECOND,
                start_period: 10 * SECOND,
                retries: 2,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn probe(code: i32, seconds: i64) -> Probe {
        Probe { code, end: seconds * SECOND, ..Probe::default() }
    }

    #[test]
    fn verdicts_follow_probes() {
        let check = Check::of(&config(&["CMD", "x"])).unwrap();
        let mut health = Health::default();
        for (code, seconds, changed, verdict, streak) in [
            (1, 1, false, Verdict::Starting, 0),
            (1, 11, false, Verdict::Starting, 1),
            (0, 12, true, Verdict::Healthy, 0),
            (1, 5, false, Verdict::Healthy, 1),
            (-1, 14, true, Verdict::Unhealthy, 2),
            (0, 15, true, Verdict::Healthy, 0),
        ] {
            assert_eq!(health.probed(probe(code, seconds), &check, 0), changed, "{code} at {seconds}");
            assert_eq!((health.verdict, health.streak), (verdict, streak), "{code} at {seconds}");
        }
        assert_eq!(health.log.len(), KEPT, "the oldest is forgotten");
        assert_eq!(health.to_api().log.unwrap().len(), KEPT);
    }

    #[test]
    fn checks_as_configured() {
        for none in [&[][..], &["NONE"], &["CMD"]] {
            assert_eq!(Check::of(&config(none)), None, "{none:?}");
        }
        assert_eq!(Check::of(&config(&["CMD", "a", "b"])).unwrap().command, ["a", "b"]);
        let check = Check::of(&config(&["CMD-SHELL", "exit 1"])).unwrap();
        assert_eq!(check.command, ["/bin/sh", "-c", "exit 1"]);
        assert_eq!(check.timeout, Duration::from_secs(30));
        let mut hasty = config(&["CMD", "a"]);
        hasty.healthcheck.as_mut().unwrap().interval = 1;
        assert_eq!(Check::of(&hasty).unwrap().interval, Duration::from_millis(1));
        let (starting, mut healthy) = (Health::default(), Health::default());
        healthy.verdict = Verdict::Healthy;
        for (health, ran, pause) in [(&starting, 1, 5), (&healthy, 1, 2), (&starting, 11, 2)] {
            assert_eq!(check.pause(health, Duration::from_secs(ran)), Duration::from_secs(pause));
        }
    }
}
