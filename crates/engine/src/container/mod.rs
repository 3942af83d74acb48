//! Containers: one file per verb, each an `impl Engine` block (what callers do) and, where the state changes, an
//! `impl Driver` block (what the driver does).
//!
//! ```text
//!            create
//!              │
//!              ▼        start         ┌────────── pause ─────────▶ paused
//!           created ───────────────▶ running ◀──────── unpause ──────┘
//!              │  ▲                   │   ▲ ▲                        │
//!              │  └─ start fails      │   │ └─ start ── exited ◀─────┤ (its process ends,
//!              │     (code, reason)   │   │               ▲   │      │  no policy wants it)
//!              │                      ▼   │ pause over    │   │      │
//!              │                   restarting ── stop ────┘   │      │
//!              │                      ▲ (the policy wants it) │      │
//!              │                      └───────────────────────┼──────┘
//!              └──────────── remove ──▶ removing ◀────────────┘
//!                                        │     │ (what fails halfway)
//!                                        ▼     ▼
//!                                      gone   dead ── remove ──▶ removing
//! ```
//!
//! Three types in three files: [`configuration`] (as asked), [`state`] (as is), [`specification`] (derived for one
//! run). The [`driver`] is the only writer of a container's state; [`handle`] is what all others hold: a snapshot to
//! read and a queue to ask. Nobody waits in the driver: patience is with the callers.

mod attach;
mod changes;
pub(crate) mod configuration;
mod connect;
mod create;
mod detach_keys;
pub(crate) mod driver;
pub(crate) mod exec;
pub(crate) mod handle;
mod health;
mod human;
pub(crate) mod init_layer;
mod inspect;
mod kill;
mod links;
mod list;
mod log_target;
mod logs;
mod names;
pub(crate) mod network;
mod network_files;
mod network_settings;
mod pause;
mod probing;
mod processes;
mod prune;
pub(crate) mod registry;
mod remove;
mod rename;
pub(crate) mod request;
mod resize;
mod restart;
mod restart_policy;
mod restore;
pub(crate) mod rows;
mod specification;
mod start;
pub(crate) mod state;
mod stats;
mod stop;
mod top;
mod update;
mod wait;

pub(crate) use names::new_id;

pub use attach::{AttachEnd, AttachOptions, Attachment};
pub use create::CreateOptions;
pub use list::ListOptions;
pub use logs::{LogStream, LogsOptions};
pub use remove::RemoveOptions;
pub use stats::StatsOptions;
pub use stop::StopOptions;
pub use wait::{ContainerWait, WaitCondition};
