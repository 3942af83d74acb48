//! `State` and `Health`: how a container is.

use crate::json::wire;

wire! {
    /// How a container is.
    pub struct State {
        /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        pub status: String,
        /// Whether it runs (true when paused, and while restarting).
        pub running: bool,
        /// Whether it is frozen.
        pub paused: bool,
        /// Whether it waits to be started again.
        pub restarting: bool,
        /// Whether the OOM killer struck.
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        /// Whether its removal failed.
        pub dead: bool,
        /// The process on the host; 0 when not running.
        pub pid: i64,
        /// The last exit code.
        pub exit_code: i64,
        /// Why it could not be started.
        pub error: String,
        /// When it was started last.
        pub started_at: String,
        /// When it ended last.
        pub finished_at: String,
        /// Its health.
        opt health: Option<Health>,
    }

    /// A container's health.
    pub struct Health {
        /// `starting`, `healthy` or `unhealthy`.
        pub status: String,
        /// Failures in a row.
        pub failing_streak: i64,
        /// The last results, oldest first.
        pub log: Option<Vec<HealthcheckResult>>,
    }

    /// One check.
    pub struct HealthcheckResult {
        /// When it began.
        pub start: String,
        /// When it ended.
        pub end: String,
        /// 0 healthy, 1 unhealthy, 2 reserved, else the check could not run.
        pub exit_code: i64,
        /// What it said.
        pub output: String,
    }
}
