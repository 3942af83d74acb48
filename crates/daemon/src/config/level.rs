//! Log levels by dockerd's names.

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Everything.
    Debug,
    /// What an operator wants to see.
    Info,
    /// What may need attention.
    Warn,
    /// What failed.
    Error,
}

impl Level {
    /// Parse dockerd's names; `fatal` and `panic` are part of `error` here.
    pub(crate) fn parse(name: &str) -> Result<Level, String> {
        match name {
            "debug" | "trace" => Ok(Level::Debug),
            "info" | "" => Ok(Level::Info),
            "warn" | "warning" => Ok(Level::Warn),
            "error" | "fatal" | "panic" => Ok(Level::Error),
            other => Err(format!("invalid logging level: {other}")),
        }
    }

    /// The same for the log itself.
    pub(crate) fn filter(self) -> tracing::level_filters::LevelFilter {
        use tracing::level_filters::LevelFilter;
        match self {
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
        }
    }
}
