//! Logs: what the shim wrote, from the file, following it when asked. The reading blocks on the disk only and happens
//! off the async threads; waiting for more is asynchronous.

use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;

use boxship_api::framing;
use boxship_api::timestamp::Timestamp;
use boxship_shim::log::{Driver, Next, ReadOptions, Reader, Record};
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};

use super::handle::{Container, Snapshot};
use super::log_target;
use super::state::Status;
use crate::{Engine, Error, Kind, Result};

/// Records are gathered to chunks of about this size.
const CHUNK: usize = 32 * 1024;
/// Chunks read ahead of a slow client.
const AHEAD: usize = 4;

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

/// How records become bytes.
#[derive(Clone, Copy)]
struct Form {
    tty: bool,
    timestamps: bool,
    details: bool,
}

impl Form {
    fn write(self, record: &Record, out: &mut Vec<u8>) {
        let text = record.render(self.timestamps, self.details);
        if self.tty {
            out.extend_from_slice(&text);
            return;
        }
        let stream = match record.stream.number() {
            1 => framing::Stream::Stdout,
            _ => framing::Stream::Stderr,
        };
        framing::encode(stream, &text, out);
    }
}

/// A time of the request; the empty text and `0` are none.
fn time(text: Option<&str>) -> Result<Option<jiff::Timestamp>> {
    let Some(text) = text.filter(|text| !text.is_empty() && *text != "0") else { return Ok(None) };
    let now = Timestamp::from_system(std::time::SystemTime::now());
    let time = Timestamp::parse_parameter(text, now, 0)
        .ok_or_else(|| Error::invalid(format!("failed to parse value as time or duration: {text:?}")))?;
    let time = jiff::Timestamp::from_nanosecond(time.to_nanos())
        .map_err(|error| Error::invalid(format!("time {text}: {error}")))?;
    Ok(Some(time))
}

/// Docker takes every tail that is no number for `all`.
fn tail(text: Option<&str>) -> Option<u64> {
    text.and_then(|text| text.parse().ok())
}

impl Engine {
    /// `GET /containers/{id}/logs`.
    pub async fn container_logs(&self, reference: &str, options: LogsOptions) -> Result<LogStream> {
        if !options.stdout && !options.stderr {
            return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
        }
        let read = ReadOptions {
            tail: tail(options.tail.as_deref()),
            since: time(options.since.as_deref())?,
            until: time(options.until.as_deref())?,
            follow: options.follow,
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let container = self.inner.registry.find(reference)?;
        self.read_log(&container, read, options.timestamps, options.details)
    }

    /// The log of a container as chunks for the wire.
    pub(super) fn read_log(
        &self,
        container: &Arc<Container>,
        mut read: ReadOptions,
        timestamps: bool,
        details: bool,
    ) -> Result<LogStream> {
        let Snapshot { configuration, state } = container.snapshot();
        if matches!(state.status, Status::Removing | Status::Dead) {
            return Err(Error::conflict(
                "can not get logs from container which is dead or marked for removal",
            ));
        }
        let target = log_target::of(self, &configuration)?;
        if target.driver == Driver::None {
            return Err(Error::new(Kind::Internal, "configured logging driver does not support reading"));
        }
        read.follow &= state.is_alive();
        let form = Form { tty: configuration.config.tty, timestamps, details };
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (follow, watch, exits) = (read.follow, container.watch(), state.exits);
        tokio::spawn(async move {
            let opened = tokio::task::spawn_blocking(move || Reader::open(&target, read)).await;
            let outcome = match opened {
                Ok(Ok(reader)) => pump(reader, form, &sender, follow.then_some((watch, exits))).await,
                Ok(Err(error)) => Err(Error::caused(Kind::Internal, "open log", error)),
                Err(error) => Err(Error::caused(Kind::Internal, "open log", error)),
            };
            if let Err(error) = outcome {
                // A client that went away hears of no error.
                let _ = sender.send(Err(error)).await;
            }
        });
        let chunks = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        Ok(LogStream { tty: form.tty, chunks: Box::pin(chunks) })
    }
}

type Chunks = mpsc::Sender<Result<Bytes>>;

/// Reads to the end; when following, until the container's run ends or the client goes away.
async fn pump(
    mut reader: Reader,
    form: Form,
    chunks: &Chunks,
    follow: Option<(watch::Receiver<Snapshot>, u64)>,
) -> Result<()> {
    // Deprecated for descriptors that lie; this one is owned and stays open as long as it is registered.
    #[allow(deprecated)]
    let written = AsyncFd::new(reader.as_fd().try_clone_to_owned()?)?;
    let (mut watch, exits) = match follow {
        Some((watch, exits)) => (Some(watch), exits),
        None => (None, 0),
    };
    loop {
        let sender = chunks.clone();
        let work = tokio::task::spawn_blocking(move || {
            let more = read_available(&mut reader, form, &sender);
            (reader, more)
        });
        let (back, more) = work.await.map_err(|error| Error::caused(Kind::Internal, "read log", error))?;
        reader = back;
        if !more? {
            return Ok(());
        }
        tokio::select! {
            ready = written.readable() => ready?.clear_ready(),
            () = run_ends(&mut watch, exits) => {
                watch = None;
                reader.stop_following();
            }
            () = chunks.closed() => return Ok(()),
        }
    }
}

async fn run_ends(watch: &mut Option<watch::Receiver<Snapshot>>, exits: u64) {
    match watch {
        // An error: the driver is gone, and the container with it.
        Some(watch) => drop(watch.wait_for(|s| s.state.exits > exits || s.state.removed).await),
        None => std::future::pending().await,
    }
}

/// Sends what is there; whether more may come.
fn read_available(reader: &mut Reader, form: Form, chunks: &Chunks) -> Result<bool> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        let next = reader.poll().map_err(|error| Error::caused(Kind::Internal, "read log", error))?;
        let more = match next {
            Next::Record(record) => {
                form.write(&record, &mut chunk);
                if chunk.len() < CHUNK {
                    continue;
                }
                None
            }
            Next::Pending => Some(true),
            Next::End => Some(false),
        };
        let full = std::mem::take(&mut chunk);
        if !full.is_empty() && chunks.blocking_send(Ok(full.into())).is_err() {
            return Ok(false);
        }
        if let Some(more) = more {
            return Ok(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        assert_eq!(tail(Some("10")), Some(10));
        assert_eq!(tail(Some("all")), None);
        assert_eq!(tail(Some("-1")), None);
        assert_eq!(time(Some("0")).unwrap(), None);
        assert_eq!(time(Some("1.5")).unwrap().unwrap().as_nanosecond(), 1_500_000_000);
        assert!(time(Some("x")).is_err());
    }
}
