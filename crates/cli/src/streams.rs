//! Standard streams to and from a container: output as it comes, input until it ends, signals and resizes beside.

use std::io::{self, Write};

use boxship_api::framing::{Decoder, Stream};
use boxship_client::{Body, Client, Hijacked, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::failure::{Failure, Result};
use crate::terminal::{self, Raw};

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// What is carried.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carry {
    /// Input to the container.
    pub stdin: bool,
    /// The container has a terminal: bytes are raw, one stream.
    pub tty: bool,
}

/// Carries until the output ends. With a terminal on both sides, ours is raw meanwhile.
pub async fn carry(hijacked: Hijacked, what: Carry) -> Result<()> {
    let raw = what.tty && what.stdin && io::IsTerminal::is_terminal(&io::stdin());
    let _raw = if raw {
        Some(Raw::enter().map_err(|e| Failure::new(format!("set the terminal: {e}")))?)
    } else {
        None
    };
    let (mut output, mut input) = tokio::io::split(hijacked.stream);
    let feeder = what.stdin.then(|| {
        tokio::spawn(async move {
            // The end of our input is the end of the container's; a broken stream shows in the output.
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut input).await;
            let _ = input.shutdown().await;
            // Kept until the output ends: dropping it would close the connection's other half early.
            std::future::pending::<()>().await;
        })
    });
    let mut sink = Sink::new(what.tty);
    let mut piece = vec![0; PIECE];
    let result = loop {
        match output.read(&mut piece).await {
            Ok(0) => break Ok(()),
            Ok(read) => {
                if let Err(failure) = sink.write(&piece[..read]) {
                    break Err(failure);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break Ok(()),
            Err(error) => break Err(Failure::new(format!("read from the container: {error}"))),
        }
    };
    if let Some(feeder) = feeder {
        feeder.abort();
    }
    result
}

/// Writes the body of `logs` to standard output and error until it ends.
pub async fn drain(mut body: Body, tty: bool) -> Result<()> {
    let mut sink = Sink::new(tty);
    while let Some(piece) = body.chunk().await? {
        sink.write(&piece)?;
    }
    Ok(())
}

/// Takes a container's output apart.
struct Sink {
    decoder: Option<Decoder>,
}

impl Sink {
    fn new(tty: bool) -> Sink {
        Sink { decoder: (!tty).then(Decoder::default) }
    }

    fn write(&mut self, mut piece: &[u8]) -> Result<()> {
        let Some(decoder) = &mut self.decoder else { return put(&mut io::stdout().lock(), piece) };
        loop {
            match decoder.next(&mut piece) {
                Ok(Some((Stream::Stderr, payload))) => put(&mut io::stderr().lock(), payload)?,
                Ok(Some((Stream::System, payload))) => {
                    return Err(Failure::new(format!(
                        "error from daemon in stream: {}",
                        String::from_utf8_lossy(payload)
                    )));
                }
                Ok(Some((_, payload))) => put(&mut io::stdout().lock(), payload)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure::new(error.to_string())),
            }
        }
    }
}

fn put(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(141),
        _ => Failure::new(format!("write the container's output: {error}")),
    })
}

/// Tells the daemon the terminal's size, now and at every change, while it lives.
pub struct Resizer<'a> {
    client: &'a Client,
    path: String,
    changes: Signal,
}

impl<'a> Resizer<'a> {
    /// `path` is that of the resize request.
    pub fn new(client: &'a Client, path: String) -> Result<Resizer<'a>> {
        let changes = signal(SignalKind::window_change())
            .map_err(|e| Failure::new(format!("watch the terminal: {e}")))?;
        Ok(Resizer { client, path, changes })
    }

    /// Runs for ever: meant to stand beside [`carry`] in a select.
    pub async fn run(mut self) {
        loop {
            if let Some((rows, columns)) = terminal::size() {
                // A container that has just ended can't be resized: nothing to tell.
                let _ = self.client.command(&self.path, Query::new().set("h", rows).set("w", columns)).await;
            }
            if self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Passes this process's signals on to a container.
pub fn pass_signals(sender: tokio::sync::mpsc::UnboundedSender<i32>) -> Result<Vec<JoinHandle<()>>> {
    // Everything that can be caught, but for what belongs to this process: SIGCHLD, SIGPIPE, SIGURG, SIGWINCH and
    // job control.
    const SIGNALS: &[i32] = &[1, 2, 3, 10, 12, 14, 15, 16, 18, 24, 25, 26, 27, 29, 30];
    SIGNALS
        .iter()
        .map(|&number| {
            let mut arrivals = signal(SignalKind::from_raw(number))
                .map_err(|e| Failure::new(format!("catch signal {number}: {e}")))?;
            let sender = sender.clone();
            Ok(tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    if sender.send(number).is_err() {
                        break;
                    }
                }
            }))
        })
        .collect()
}
