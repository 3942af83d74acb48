//! Attach: a client's streams joined to a container's.

use crate::{Engine, Result};

use tokio::io::{AsyncRead, AsyncWrite};

/// What to attach (`POST /containers/{id}/attach`).
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Replay what was logged so far.
    pub logs: bool,
    /// Stream what comes.
    pub stream: bool,
    /// The client's input goes to the container.
    pub stdin: bool,
    /// Send standard output.
    pub stdout: bool,
    /// Send standard error.
    pub stderr: bool,
    /// Detach keys (`ctrl-p,ctrl-q` form); `None`: the default.
    pub detach_keys: Option<String>,
}

/// How an attachment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachEnd {
    /// The container closed its streams.
    Closed,
    /// The client typed the detach keys.
    Detached,
    /// The client went away.
    Gone,
}

/// A joined container or exec: connected already, moved by [`Attachment::run`].
pub struct Attachment {
    /// With a terminal: output is raw; else frames of 8 bytes of header (stdcopy).
    pub tty: bool,
}

impl Attachment {
    /// Moves bytes both ways until one side ends: `input` is what the client sends (its end is the container's
    /// end of input), `output` what it receives (framed or raw as `tty` says). Output is flushed as it comes and shut down
    /// at the end.
    pub async fn run<R, W>(self, _input: R, _output: W) -> Result<AttachEnd>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        todo!()
    }
}

impl Engine {
    /// `POST /containers/{id}/attach`: errors (404, 409, bad keys) come before any upgrade.
    pub async fn container_attach(&self, _reference: &str, _options: AttachOptions) -> Result<Attachment> {
        todo!()
    }
}
