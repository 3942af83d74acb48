//! Containers: one folder, one file per verb, each an `impl Engine` block.

mod attach;
mod changes;
mod create;
mod exec;
mod inspect;
mod kill;
mod list;
mod logs;
mod pause;
mod prune;
mod remove;
mod rename;
mod resize;
mod restart;
mod start;
mod stats;
mod stop;
mod top;
mod update;
mod wait;

pub use attach::{AttachEnd, AttachOptions, Attachment};
pub use create::CreateOptions;
pub use list::ListOptions;
pub use logs::{LogStream, LogsOptions};
pub use remove::RemoveOptions;
pub use stats::StatsOptions;
pub use stop::StopOptions;
pub use wait::{ContainerWait, WaitCondition};
