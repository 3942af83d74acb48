//! `Config`: the portable part of a container's configuration, and the health check inside it.

use crate::json::{Empty, wire};
use crate::port::PortSet;
use crate::str_slice::StrSlice;
use std::collections::BTreeMap;

wire! {
    /// What runs in the container, whatever the host.
    pub struct Config {
        /// The host name inside; empty for the short identifier.
        pub hostname: String,
        /// The NIS domain name inside.
        pub domainname: String,
        /// `user[:group]`, names or numbers.
        pub user: String,
        /// Whether a client attaches to standard input.
        pub attach_stdin: bool,
        /// Whether a client attaches to standard output.
        pub attach_stdout: bool,
        /// Whether a client attaches to standard error.
        pub attach_stderr: bool,
        /// Ports the application listens on.
        opt exposed_ports: PortSet,
        /// Whether the streams are a terminal.
        pub tty: bool,
        /// Whether standard input is kept open.
        pub open_stdin: bool,
        /// Whether standard input is closed after the first client.
        pub stdin_once: bool,
        /// `NAME=value`; a bare name removes the variable.
        pub env: Option<Vec<String>>,
        /// The command, or the entry point's arguments.
        pub cmd: Option<StrSlice>,
        /// How health is checked.
        opt healthcheck: Option<HealthConfig>,
        /// Windows: the command is already escaped.
        opt args_escaped: bool,
        /// The image's name as it was given.
        pub image: String,
        /// Paths that are volumes.
        pub volumes: Option<BTreeMap<String, Empty>>,
        /// Where the command starts.
        pub working_dir: String,
        /// The entry point.
        pub entrypoint: Option<StrSlice>,
        /// Whether there is no network at all.
        opt network_disabled: bool,
        /// The hardware address (kept for clients before 1.44).
        opt mac_address: String,
        /// `ONBUILD` lines of the image.
        pub on_build: Option<Vec<String>>,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// The signal that asks the command to stop.
        opt stop_signal: String,
        /// Seconds between that signal and SIGKILL.
        opt stop_timeout: Option<i64>,
        /// The shell of shell-form commands.
        opt shell: Vec<String>,
    }

    /// How health is checked; durations in nanoseconds, zero inherits.
    pub struct HealthConfig {
        /// `[]` inherit, `["NONE"]` off, `["CMD", ...]` run, `["CMD-SHELL", line]` run by the shell.
        opt test: Vec<String>,
        /// Time between checks.
        opt interval: i64,
        /// Time after which a check hangs.
        opt timeout: i64,
        /// Time to start up in which failures do not count.
        opt start_period: i64,
        /// Time between checks while starting up.
        opt start_interval: i64,
        /// Failures in a row that make it unhealthy.
        opt retries: i64,
    }
}
