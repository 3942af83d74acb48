//! Logs: what the shim wrote, from the file, following it when asked.

use boxship_api as api;

use crate::{Engine, Result};

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

/// What to show (`GET /containers/{id}/logs`).
#[derive(Clone, Debug, Default)]
pub struct LogsOptions {
    /// Go on until the container ends.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// From when: Unix seconds with fraction, or RFC 3339.
    pub since: Option<String>,
    /// Until when.
    pub until: Option<String>,
    /// `all` or a number of lines.
    pub tail: Option<String>,
    /// Each line with its time.
    pub timestamps: bool,
    /// Each line with the attributes chosen by log options `labels` and `env`.
    pub details: bool,
}

/// Chunks ready for the wire.
pub struct LogStream {
    /// With a terminal: raw text; else stdcopy frames.
    pub tty: bool,
    /// The chunks.
    pub chunks: Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>,
}

impl Engine {
    /// `GET /containers/{id}/logs`.
    pub async fn container_logs(&self, _reference: &str, _options: LogsOptions) -> Result<LogStream> {
        todo!()
    }
}
