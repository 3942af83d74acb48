//! Requests to a running shim and their answers.

use boxship_oci::runtime::{ConsoleSize, Process, Resources};
use boxship_runtime::cgroup::Stats;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{RelayedPort, State};
use crate::Exit;

/// What a shim can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Start the created container. → [`Response::Done`]
    Start,
    /// Signal the first process, or all. → [`Response::Done`]
    Kill {
        /// The signal's number.
        signal: i32,
        /// All processes of the container.
        all: bool,
    },
    /// Run a further process. → [`Response::ExecStarted`], then its streams if any is attached.
    Exec(Box<ExecRequest>),
    /// Change a terminal's size. → [`Response::Done`]
    Resize {
        /// The exec; absent: the container.
        exec: Option<String>,
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Join the container's streams. → [`Response::Attached`], then the streams.
    Attach(Streams),
    /// End the input. → [`Response::Done`]
    CloseStdin {
        /// The exec; absent: the container.
        exec: Option<String>,
    },
    /// Freeze. → [`Response::Done`]
    Pause,
    /// Thaw. → [`Response::Done`]
    Resume,
    /// Change limits. → [`Response::Done`]
    Update(Box<Resources>),
    /// Resource usage. → [`Response::Stats`]
    Stats,
    /// All processes. → [`Response::Pids`]
    Pids,
    /// Where things stand. → [`Response::State`]
    State,
    /// Wait for an end. → [`Response::Exit`], when it has happened.
    Wait {
        /// The exec; absent: the container.
        exec: Option<String>,
    },
    /// Hear of everything. → [`Response::State`], then [`super::Event`] lines.
    Events,
    /// Relay ports of the host, whose bound sockets come along, one each, in this order. A port that is relayed
    /// already leads to its new target from now on. All or none of the new ones. → [`Response::Done`]
    Relay(Vec<RelayedPort>),
    /// Relay these no more, whatever their targets: when answered their sockets are closed. → [`Response::Done`]
    StopRelaying(Vec<RelayedPort>),
    /// What is relayed. → [`Response::Relayed`]
    Relayed,
    /// Kill what runs, remove everything, go. → [`Response::Done`], at the end.
    Delete,
}

/// Which streams to join.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// Standard input.
    #[serde(default)]
    pub stdin: bool,
    /// Standard output.
    #[serde(default)]
    pub stdout: bool,
    /// Standard error.
    #[serde(default)]
    pub stderr: bool,
}

impl Streams {
    /// Whether any is joined.
    pub fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// A further process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The exec's id, unique while it runs.
    pub id: String,
    /// What to run; `terminal` decides over the streams' form.
    pub process: Process,
    /// Streams of this connection; what isn't joined is thrown away, input that isn't joined is empty.
    #[serde(default)]
    pub attach: Streams,
    /// First size of the terminal, if not in `process`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
}

/// What a shim answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Done.
    Done,
    /// Not done.
    Failed(Failure),
    /// The connection now carries the container's streams.
    Attached {
        /// Raw output instead of frames.
        tty: bool,
    },
    /// The exec runs; the connection carries its streams if any is attached, else it ends.
    ExecStarted {
        /// Its process on the host.
        pid: i32,
    },
    /// Resource usage.
    Stats(Box<Stats>),
    /// What is relayed.
    Relayed(Vec<RelayedPort>),
    /// All processes, on the host.
    Pids(Vec<i32>),
    /// Where things stand.
    State(State),
    /// How it ended.
    Exit(Exit),
}

/// Why something wasn't done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct Failure {
    /// What the caller can make of it.
    pub kind: FailureKind,
    /// The whole chain of causes, as a person reads it.
    pub message: String,
}

impl Failure {
    /// A failure of `kind`.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Kinds of failures that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The program was not found (exit code 127).
    CommandNotFound,
    /// The program cannot be executed (exit code 126).
    CommandNotExecutable,
    /// The request does not fit what is: not started, already paused, no such exec.
    State,
    /// The specification or request is wrong.
    Invalid,
    /// The machine refused.
    Internal,
}
