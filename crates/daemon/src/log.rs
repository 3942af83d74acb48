//! The daemon's log: lines on standard error, with a level that a reload may change.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::Level;

/// The handle that changes the level.
pub(crate) struct Log {
    level: Option<reload::Handle<LevelFilter, Registry>>,
}

/// Open the log. A process that has one already keeps it (tests start several daemons).
pub(crate) fn open(level: Level) -> Log {
    let (filter, handle) = reload::Layer::new(level.filter());
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colours);
    let opened = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Log { level: opened.is_ok().then_some(handle) }
}

impl Log {
    /// Log as much as `level` says from now on.
    pub(crate) fn set(&self, level: Level) {
        if let Some(handle) = &self.level {
            // Fails only if the subscriber is gone, and then nothing is logged anyway.
            let _ = handle.reload(level.filter());
        }
    }
}
