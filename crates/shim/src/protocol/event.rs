//! What a shim tells without being asked each time.

use serde::{Deserialize, Serialize};

use crate::Exit;

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its program waits to be started.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It has ended.
    Stopped,
}

/// All that a new engine must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    pub phase: Phase,
    /// Its first process on the host.
    pub pid: i32,
    /// Running execs: id and process.
    pub execs: Vec<(String, i32)>,
    /// How it ended.
    pub exit: Option<Exit>,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The container was started.
    Started,
    /// It was frozen.
    Paused,
    /// It was thawed.
    Resumed,
    /// The kernel ended a process of the container for want of memory.
    Oom,
    /// An exec ended.
    ExecExit {
        /// The exec.
        id: String,
        /// How.
        exit: Exit,
    },
    /// The container ended; the log is complete, `exit.json` written.
    Exit(Exit),
}
