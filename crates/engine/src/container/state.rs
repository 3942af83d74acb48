//! How a container is: the value its driver writes and everybody reads. Pure: no clock, no kernel.
//!
//! What was asked is in `configuration`, what is derived in `specification`; neither appears here.

use boxship_api as api;
use boxship_api::timestamp::{Timestamp, ZERO};
use serde::{Deserialize, Serialize};

use super::health::{Health, Verdict};
use super::human;
use super::network::Connections;

/// The places of the state machine drawn in the module's documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Made, never started (or its start failed).
    #[default]
    Created,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It ended and waits to be started again by its policy.
    Restarting,
    /// It is being removed.
    Removing,
    /// Its process ended.
    Exited,
    /// Its removal failed halfway.
    Dead,
}

impl Status {
    /// Docker's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Whether `text` is one of the words.
    pub(crate) fn is_word(text: &str) -> bool {
        let all = [
            Self::Created,
            Self::Running,
            Self::Paused,
            Self::Restarting,
            Self::Removing,
            Self::Exited,
            Self::Dead,
        ];
        all.iter().any(|status| status.word() == text)
    }
}

/// A state. Times are nanoseconds since 1970, 0 for never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// Where in the state machine.
    pub status: Status,
    /// The init process on the host; 0 when none.
    pub pid: u32,
    /// The exit code of the last run; 0 while running.
    pub exit_code: i32,
    /// Why the last start (or removal) failed.
    pub error: String,
    /// Whether the OOM killer struck in the last run.
    pub oom_killed: bool,
    /// When it was started last.
    pub started_at: i64,
    /// When it ended last.
    pub finished_at: i64,
    /// How often its policy restarted it since the last start by hand.
    pub restart_count: u32,
    /// A user stopped it: `unless-stopped` obeys.
    pub stopped_by_user: bool,
    /// Its health, when it has a check and was started.
    pub health: Option<Health>,
    /// What it has on networks while it runs; kept with its run-time files, not in its row.
    #[serde(skip)]
    pub network: std::sync::Arc<Connections>,
    /// How often it ended, counted since the engine was opened: waiters see an exit by it.
    #[serde(skip)]
    pub exits: u64,
    /// The code of the last exit, kept when it runs again.
    #[serde(skip)]
    pub last_exit: i32,
    /// It is gone; the last thing waiters see.
    #[serde(skip)]
    pub removed: bool,
}

impl State {
    /// Docker's "running": also when paused and while it waits to be restarted.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused | Status::Restarting)
    }

    /// Whether its process is there.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused)
    }

    /// It was started.
    pub(crate) fn started(&mut self, pid: u32, at: i64) {
        self.status = Status::Running;
        self.pid = pid;
        self.exit_code = 0;
        self.error.clear();
        self.oom_killed = false;
        self.started_at = at;
    }

    /// Its start failed with a code and a reason.
    pub(crate) fn start_failed(&mut self, code: i32, error: &str) {
        // Who waits for its end learns that there will be none.
        self.exits += u64::from(self.status == Status::Restarting);
        // A container that never ran stays created, one that ran before stays exited.
        self.status = if self.started_at == 0 { Status::Created } else { Status::Exited };
        self.pid = 0;
        self.network = Default::default();
        self.exit_code = code;
        self.last_exit = code;
        self.error = error.to_owned();
    }

    /// Its process ended; `restarting` when the policy will start it again.
    pub(crate) fn ended(&mut self, code: i32, at: i64, restarting: bool) {
        self.status = if restarting { Status::Restarting } else { Status::Exited };
        self.pid = 0;
        self.network = Default::default();
        self.exit_code = code;
        self.last_exit = code;
        self.exits += 1;
        self.finished_at = at;
        // Nobody probes it any more; so Docker tells it.
        if let Some(health) = &mut self.health {
            health.verdict = Verdict::Unhealthy;
        }
    }

    /// The word of its health, `none` without a check.
    pub(crate) fn health_word(&self) -> &'static str {
        self.health.as_ref().map_or("none", |health| health.verdict.word())
    }

    /// As inspect tells it.
    pub(crate) fn to_api(&self) -> api::container::State {
        api::container::State {
            status: self.status.word().into(),
            running: self.is_running(),
            paused: self.status == Status::Paused,
            restarting: self.status == Status::Restarting,
            oom_killed: self.oom_killed,
            dead: self.status == Status::Dead,
            pid: self.pid.into(),
            exit_code: self.exit_code.into(),
            error: self.error.clone(),
            started_at: time(self.started_at),
            finished_at: time(self.finished_at),
            health: self.health.as_ref().map(Health::to_api),
        }
    }

    /// As `ps` tells it.
    pub(crate) fn sentence(&self, now: i64) -> String {
        let since = |then: i64| human::duration((now - then).max(0) / 1_000_000_000);
        match self.status {
            Status::Created => "Created".into(),
            Status::Running => {
                let health = self.health.as_ref().map_or("", Health::sentence);
                format!("Up {}{health}", since(self.started_at))
            }
            Status::Paused => format!("Up {} (Paused)", since(self.started_at)),
            Status::Restarting => format!("Restarting ({}) {} ago", self.exit_code, since(self.finished_at)),
            Status::Removing => "Removal In Progress".into(),
            Status::Dead => "Dead".into(),
            Status::Exited => format!("Exited ({}) {} ago", self.exit_code, since(self.finished_at)),
        }
    }
}

/// RFC 3339, Go's zero time for never.
pub(crate) fn time(nanos: i64) -> String {
    if nanos == 0 { ZERO.into() } else { Timestamp::from_nanos(nanos.into()).rfc3339_nano() }
}

/// The clock, in nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::from_system(std::time::SystemTime::now()).to_nanos() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life() {
        let mut state = State::default();
        assert_eq!(state.sentence(0), "Created");
        assert_eq!(state.to_api().started_at, ZERO);
        state.started(42, 1_000_000_000);
        assert!(state.is_running() && state.is_alive());
        assert_eq!(state.sentence(6_000_000_000), "Up 5 seconds");
        state.ended(3, 7_000_000_000, true);
        assert!(state.is_running() && !state.is_alive());
        assert_eq!(state.sentence(8_000_000_000), "Restarting (3) 1 second ago");
        assert_eq!(state.to_api().pid, 0);
        state.started(43, 9_000_000_000);
        assert_eq!((state.exit_code, state.last_exit, state.exits), (0, 3, 1));
        state.ended(137, 10_000_000_000, false);
        assert_eq!(state.sentence(70_000_000_000), "Exited (137) About a minute ago");
        state.start_failed(127, "no such file");
        assert_eq!((state.status, state.exits), (Status::Exited, 2), "no run, no exit");
    }

    #[test]
    fn a_failed_first_start_leaves_it_created() {
        let mut state = State::default();
        state.start_failed(127, "x");
        assert_eq!(state.to_api().status, "created");
        assert_eq!(state.to_api().exit_code, 127);
    }

    #[test]
    fn rows_survive_new_fields() {
        let state: State = serde_json::from_str(r#"{"status":"exited","exit_code":2,"later":1}"#).unwrap();
        assert_eq!((state.status, state.exit_code), (Status::Exited, 2));
    }
}
