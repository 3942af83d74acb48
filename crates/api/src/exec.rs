//! Exec: further commands in a running container.

use crate::json::wire;

pub use crate::error::IdResponse as ExecCreateResponse;

wire! {
    /// `POST /containers/{id}/exec`.
    pub struct ExecCreateRequest {
        /// `user[:group]`; empty for the container's.
        pub user: String,
        /// All rights.
        pub privileged: bool,
        /// Whether the streams are a terminal.
        pub tty: bool,
        /// The terminal's first size: height, width.
        opt console_size: Option<[u32; 2]>,
        /// Whether a client attaches to standard input.
        pub attach_stdin: bool,
        /// Whether a client attaches to standard error.
        pub attach_stderr: bool,
        /// Whether a client attaches to standard output.
        pub attach_stdout: bool,
        /// The keys that detach.
        pub detach_keys: String,
        /// Further variables.
        pub env: Option<Vec<String>>,
        /// Where the command starts; empty for the container's.
        pub working_dir: String,
        /// The command.
        pub cmd: Option<Vec<String>>,
    }

    /// `POST /exec/{id}/start`.
    pub struct ExecStartRequest {
        /// Do not attach.
        pub detach: bool,
        /// Whether the streams are a terminal.
        pub tty: bool,
        /// The terminal's first size: height, width.
        opt console_size: Option<[u32; 2]>,
    }

    /// `GET /exec/{id}/json`.
    pub struct ExecInspectResponse {
        /// Its identifier.
        #[serde(rename = "ID")]
        pub id: String,
        /// Whether it runs.
        pub running: bool,
        /// Its exit code; `null` before the exit.
        pub exit_code: Option<i64>,
        /// What runs.
        pub process_config: ExecProcessConfig,
        /// Whether standard input is open.
        pub open_stdin: bool,
        /// Whether standard error is open.
        pub open_stderr: bool,
        /// Whether standard output is open.
        pub open_stdout: bool,
        /// Whether it may be removed.
        pub can_remove: bool,
        /// The container.
        #[serde(rename = "ContainerID")]
        pub container_id: String,
        /// The keys that detach, in base64; `""` when none.
        pub detach_keys: String,
        /// The process on the host; 0 when not running.
        pub pid: i64,
    }

    /// What an exec runs.
    pub struct ExecProcessConfig {
        /// Whether the streams are a terminal.
        #[serde(rename = "tty")]
        pub tty: bool,
        /// The program.
        #[serde(rename = "entrypoint")]
        pub entrypoint: String,
        /// Its arguments.
        #[serde(rename = "arguments")]
        pub arguments: Option<Vec<String>>,
        /// All rights.
        #[serde(rename = "privileged")]
        opt privileged: Option<bool>,
        /// The user.
        #[serde(rename = "user")]
        opt user: String,
    }
}
