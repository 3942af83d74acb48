//! Attach: a client's streams joined to a container's (or an exec's).
//!
//! A container that does not run is joined at its next start, before its program runs, so that nothing is missed. The
//! bytes are the shim's: framed without a terminal, raw with one. Here only detach keys are looked for.

use std::sync::Arc;
use std::time::Duration;

use boxship_api::framing;
use boxship_shim::log::ReadOptions;
use boxship_shim::protocol::Streams;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::detach_keys::DetachKeys;
use super::exec::Exec;
use super::handle::{Container, Waiting};
use super::logs::LogStream;
use super::state::Status;
use crate::shim_link::Joined;
use crate::{Engine, Error, Result};

const BUFFER: usize = 32 * 1024;
/// How long the end of an exec's output waits for the news of its end, which comes on another way.
const EXEC_NEWS: Duration = Duration::from_secs(10);

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

/// Where the shim's stream comes from.
pub(super) enum Source {
    /// Nothing is streamed.
    None,
    /// There is only this to tell.
    Message(String),
    /// Joined already.
    Ready(Joined),
    /// Joined at the next start.
    Later(oneshot::Receiver<Joined>),
}

/// A joined container or exec: connected already, moved by [`Attachment::run`].
pub struct Attachment {
    /// With a terminal: output is raw; else frames of 8 bytes of header (stdcopy).
    pub tty: bool,
    pub(super) engine: Engine,
    pub(super) container: Arc<Container>,
    pub(super) exec: Option<Arc<Exec>>,
    pub(super) source: Source,
    pub(super) replay: Option<LogStream>,
    /// The client's input goes to the container.
    pub(super) stdin: bool,
    /// Looked for when there is a terminal.
    pub(super) keys: Option<DetachKeys>,
    /// How the shim's bytes become the client's.
    pub(super) shape: Shape,
}

/// An exec's start may say other than its create whether there is a terminal; the client gets what its start said.
#[derive(Default)]
pub(super) enum Shape {
    /// As the shim sends them.
    #[default]
    Same,
    /// Raw bytes of a terminal, framed as standard output.
    Framed,
    /// Frames taken apart: both streams, one after the other as they come.
    Raw(framing::Decoder),
}

impl Shape {
    /// From what the process has to what the client wants.
    pub(super) fn new(has_terminal: bool, wants_raw: bool) -> Self {
        match (has_terminal, wants_raw) {
            (true, false) => Self::Framed,
            (false, true) => Self::Raw(framing::Decoder::default()),
            _ => Self::Same,
        }
    }

    /// Passes a piece on. `false` when the client is gone.
    async fn write<W: AsyncWrite + Unpin + Send>(&mut self, output: &mut W, bytes: &[u8]) -> bool {
        match self {
            Self::Same => write(output, bytes).await.is_ok(),
            Self::Framed => {
                let mut framed = Vec::with_capacity(bytes.len() + framing::HEADER_LEN);
                framing::encode(framing::Stream::Stdout, bytes, &mut framed);
                write(output, &framed).await.is_ok()
            }
            Self::Raw(decoder) => {
                let (mut rest, mut raw) = (bytes, Vec::with_capacity(bytes.len()));
                while let Ok(Some((_, payload))) = decoder.next(&mut rest) {
                    raw.extend_from_slice(payload);
                }
                write(output, &raw).await.is_ok()
            }
        }
    }
}

impl Engine {
    /// `POST /containers/{id}/attach`: errors (404, 409, bad keys) come before any upgrade.
    pub async fn container_attach(&self, reference: &str, options: AttachOptions) -> Result<Attachment> {
        let keys = DetachKeys::parse(options.detach_keys.as_deref().unwrap_or_default(), "detach")?;
        let container = self.inner.registry.find(reference)?;
        let (configuration, state) = (container.configuration(), container.state());
        match state.status {
            Status::Paused => {
                return Err(Error::conflict(format!(
                    "container {reference} is paused, unpause the container before attach"
                )));
            }
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "container {reference} is restarting, wait until the container is running"
                )));
            }
            _ => {}
        }
        let streams = Streams {
            stdin: options.stdin && configuration.config.open_stdin,
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let replay = match options.logs {
            true => Some(self.read_log(&container, logged(&options), false, false)?),
            false => None,
        };
        let source = match options.stream {
            true => source(&container, streams, state.is_alive()).await,
            false => Source::None,
        };
        self.tell_container(&configuration, "attach", &[]);
        let tty = configuration.config.tty;
        Ok(Attachment {
            tty,
            engine: self.clone(),
            container,
            exec: None,
            source,
            replay,
            stdin: streams.stdin,
            keys: tty.then_some(keys),
            shape: Shape::Same,
        })
    }
}

/// The streams of a container: of the run that is, or of the next one.
async fn source(container: &Container, streams: Streams, alive: bool) -> Source {
    if alive {
        // It may have ended meanwhile.
        return container.shim.attach(streams).await.map_or(Source::None, Source::Ready);
    }
    let (reply, joined) = oneshot::channel();
    container.enqueue(Waiting { streams, reply });
    Source::Later(joined)
}

fn logged(options: &AttachOptions) -> ReadOptions {
    ReadOptions { stdout: options.stdout, stderr: options.stderr, ..ReadOptions::default() }
}

impl Attachment {
    /// Moves bytes both ways until one side ends: `input` is what the client sends (its end is the container's
    /// end of input), `output` what it receives (framed or raw as `tty` says). Output is flushed as it comes and shut
    /// down at the end.
    pub async fn run<R, W>(mut self, mut input: R, mut output: W) -> Result<AttachEnd>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let end = self.converse(&mut input, &mut output).await;
        if let Some(exec) = &self.exec
            && end == AttachEnd::Closed
        {
            // The client asks for the exit code as soon as the stream ends: it shall be known.
            let _ = tokio::time::timeout(EXEC_NEWS, exec.wait_ended()).await;
        }
        // A client that went away cannot be said goodbye to.
        let _ = output.shutdown().await;
        if end == AttachEnd::Detached {
            let (action, extra) = match &self.exec {
                Some(exec) => ("exec_detach", vec![("execID", exec.id.clone())]),
                None => ("detach", vec![]),
            };
            self.engine.tell_container(&self.container.configuration(), action, &extra);
        }
        Ok(end)
    }

    async fn converse<R, W>(&mut self, input: &mut R, output: &mut W) -> AttachEnd
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        if let Some(mut replay) = self.replay.take() {
            while let Some(Ok(chunk)) = replay.chunks.next().await {
                if write(output, &chunk).await.is_err() {
                    return AttachEnd::Gone;
                }
            }
        }
        let joined = match std::mem::replace(&mut self.source, Source::None) {
            Source::None => return AttachEnd::Closed,
            Source::Message(text) => {
                let mut bytes = Vec::new();
                match self.tty {
                    true => bytes.extend_from_slice(text.as_bytes()),
                    false => framing::encode(framing::Stream::Stdout, text.as_bytes(), &mut bytes),
                }
                let told = write(output, &bytes).await;
                return if told.is_ok() { AttachEnd::Closed } else { AttachEnd::Gone };
            }
            Source::Ready(joined) => joined,
            Source::Later(joined) => match joined.await {
                Ok(joined) => joined,
                Err(_) => return AttachEnd::Closed,
            },
        };
        let (from_shim, to_shim) = joined.socket.into_split();
        let keys = self.keys.take();
        let mut shape = std::mem::take(&mut self.shape);
        tokio::select! {
            end = send_output(joined.early, from_shim, &mut shape, output) => end,
            end = take_input(input, to_shim, self.stdin, keys) => end,
        }
    }
}

/// From the shim to the client, until either ends.
async fn send_output<W>(
    early: Vec<u8>,
    mut from_shim: OwnedReadHalf,
    shape: &mut Shape,
    output: &mut W,
) -> AttachEnd
where
    W: AsyncWrite + Unpin + Send,
{
    if !early.is_empty() && !shape.write(output, &early).await {
        return AttachEnd::Gone;
    }
    let mut buffer = vec![0; BUFFER];
    loop {
        match from_shim.read(&mut buffer).await {
            Ok(0) | Err(_) => return AttachEnd::Closed,
            Ok(length) => {
                if !shape.write(output, &buffer[..length]).await {
                    return AttachEnd::Gone;
                }
            }
        }
    }
}

async fn write<W: AsyncWrite + Unpin + Send>(output: &mut W, bytes: &[u8]) -> std::io::Result<()> {
    output.write_all(bytes).await?;
    output.flush().await
}

/// From the client to the shim. The end of input is passed on and no reason to end; only detaching is.
async fn take_input<R>(
    input: &mut R,
    to_shim: OwnedWriteHalf,
    wanted: bool,
    mut keys: Option<DetachKeys>,
) -> AttachEnd
where
    R: AsyncRead + Unpin + Send,
{
    let mut to_shim = Some(to_shim);
    let mut buffer = vec![0; BUFFER];
    let mut passed = Vec::new();
    loop {
        let length = match input.read(&mut buffer).await {
            // No more input; whether the client is still there, writing output tells.
            Ok(0) => break,
            Ok(length) => length,
            Err(_) => return AttachEnd::Gone,
        };
        if !wanted {
            continue;
        }
        passed.clear();
        let detached = match &mut keys {
            Some(keys) => keys.pass(&buffer[..length], &mut passed),
            None => {
                passed.extend_from_slice(&buffer[..length]);
                false
            }
        };
        if let Some(shim) = &mut to_shim
            && shim.write_all(&passed).await.is_err()
        {
            // The container does not read any more; its output may go on.
            to_shim = None;
        }
        if detached {
            return AttachEnd::Detached;
        }
    }
    if wanted && let Some(shim) = &mut to_shim {
        // The shim may be gone already: then its end of the output says so.
        let _ = shim.shutdown().await;
    }
    // Kept until the other direction ends: dropping it would only repeat the end of input.
    let _kept = to_shim;
    std::future::pending().await
}

impl Engine {
    /// Tells an event of a container.
    pub(crate) fn tell_container(
        &self,
        configuration: &super::configuration::Configuration,
        action: &str,
        extra: &[(&str, String)],
    ) {
        let mut attributes = configuration.attributes();
        attributes.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.inner.events.tell("container", action, &configuration.id, attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn detach_keys_end_it_and_are_not_passed_on() {
        let (shim, mut container) = UnixStream::pair().unwrap();
        let (_from, to) = shim.into_split();
        let mut input = &b"hello\x10\x11more"[..];
        let end = take_input(&mut input, to, true, Some(DetachKeys::default())).await;
        assert_eq!(end, AttachEnd::Detached);
        let mut got = vec![0; 5];
        container.read_exact(&mut got).await.unwrap();
        assert_eq!(got, b"hello");
    }

    #[tokio::test]
    async fn output_comes_with_what_was_early() {
        let (shim, mut container) = UnixStream::pair().unwrap();
        let (from, _to) = shim.into_split();
        container.write_all(b" world").await.unwrap();
        drop(container);
        let mut output = Vec::new();
        assert_eq!(
            send_output(b"hello".to_vec(), from, &mut Shape::Same, &mut output).await,
            AttachEnd::Closed
        );
        assert_eq!(output, b"hello world");
    }

    #[tokio::test]
    async fn streams_change_their_shape() {
        let mut framed = Vec::new();
        framing::encode(framing::Stream::Stderr, b"hi", &mut framed);
        let mut output = Vec::new();
        assert!(Shape::new(false, true).write(&mut output, &framed).await);
        assert_eq!(output, b"hi");
        output.clear();
        assert!(Shape::new(true, false).write(&mut output, b"hi").await);
        assert_eq!(output, b"\x01\0\0\0\0\0\0\x02hi");
    }

    #[tokio::test]
    async fn the_end_of_input_is_passed_on() {
        let (shim, mut container) = UnixStream::pair().unwrap();
        let (_from, to) = shim.into_split();
        let mut input = &b"all"[..];
        let mut got = Vec::new();
        tokio::select! {
            _ = take_input(&mut input, to, true, None) => panic!("must go on"),
            read = container.read_to_end(&mut got) => drop(read.unwrap()),
        }
        assert_eq!(got, b"all");
    }
}
