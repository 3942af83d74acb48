//! Standard streams to and from a container: output as it comes, input until it ends, signals and resizes beside.

use std::io::{self, Write};

use boxship_api::framing::{Decoder, Stream};
use boxship_client::{Body, Client, Hijacked, Query};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::detach::Keys;
use crate::failure::{Failure, Result};
use crate::terminal::{self, Raw};

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// How many SIGINT and SIGTERM it takes to leave a container that ignores them.
const PATIENCE: usize = 3;
/// The exit code of a program that SIGPIPE ended.
const BROKEN_PIPE: u8 = 141;

/// What is carried.
#[derive(Debug, Clone, Default)]
pub struct Carry {
    /// Input to the container.
    pub stdin: bool,
    /// The container has a terminal: bytes are raw, one stream.
    pub tty: bool,
    /// The keys that detach, as given.
    pub detach_keys: Option<String>,
    /// Signals are passed on to the container, so they don't end this process.
    pub signals_passed: bool,
}

/// How carrying ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The output ended.
    All,
    /// The user pressed the keys that detach.
    Detached,
}

/// Carries until the output ends or the user detaches. With a terminal on both sides, ours is raw meanwhile.
pub async fn carry(hijacked: Hijacked, what: Carry) -> Result<Carried> {
    let raw = what.tty && what.stdin && io::IsTerminal::is_terminal(&io::stdin());
    let _raw = if raw {
        Some(Raw::enter().map_err(|e| Failure::new(format!("set the terminal: {e}")))?)
    } else {
        None
    };
    let keys = raw.then(|| Keys::new(what.detach_keys.as_deref()));
    let (output, input) = tokio::io::split(hijacked.stream);
    let fed = async {
        match what.stdin {
            true => feed(input, keys).await,
            // Kept until the output ends: dropping it would close the connection.
            false => {
                let _input = input;
                std::future::pending().await
            }
        }
    };
    tokio::select! {
        carried = copy_out(output, what.tty) => carried.map(|()| Carried::All),
        () = fed => Ok(Carried::Detached),
        code = killed(), if raw && !what.signals_passed => Err(Failure::silent(code)),
    }
}

/// Sends standard input until it ends (which ends the container's) or the keys were pressed (which ends this).
async fn feed(mut input: impl AsyncWrite + Unpin, mut keys: Option<Keys>) {
    let mut stdin = tokio::io::stdin();
    let mut piece = vec![0; PIECE];
    loop {
        let read = match stdin.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        let (passed, detached) = match &mut keys {
            Some(keys) => keys.filter(&piece[..read]),
            None => (piece[..read].to_vec(), false),
        };
        // A broken stream shows in the output.
        if input.write_all(&passed).await.is_err() || input.flush().await.is_err() {
            break;
        }
        if detached {
            return;
        }
    }
    let _ = input.shutdown().await;
    std::future::pending().await
}

async fn copy_out(mut output: impl AsyncRead + Unpin, tty: bool) -> Result<()> {
    let mut sink = Sink::new(tty);
    let mut piece = vec![0; PIECE];
    loop {
        match output.read(&mut piece).await {
            Ok(0) => return Ok(()),
            Ok(read) => sink.write(&piece[..read]).map_err(told)?,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(Failure::new(format!("read from the container: {error}"))),
        }
    }
}

/// Nobody reads a container's output any more: told here, while listings and logs end silently as all programs do.
fn told(failure: Failure) -> Failure {
    match failure {
        Failure::Code(message, BROKEN_PIPE) if message.is_empty() => {
            Failure::new("write /dev/stdout: broken pipe")
        }
        other => other,
    }
}

/// Ends when SIGINT and SIGTERM have come [`PATIENCE`] times in all: the container does not listen to them, and the
/// user wants to leave. Until then they, and SIGUSR1, don't end this process.
pub async fn insisted() -> Failure {
    let watch = |kind| signal(kind).ok();
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt()), watch(SignalKind::terminate()));
    let _user = watch(SignalKind::user_defined1());
    for _ in 0..PATIENCE {
        tokio::select! {
            () = arrival(&mut interrupt) => {}
            () = arrival(&mut terminate) => {}
        }
    }
    Failure::new(format!("\ngot {PATIENCE} SIGTERM/SIGINTs, forcefully exiting"))
}

async fn arrival(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Waits for a signal that ends this process, so that the terminal is put right before; gives the exit code.
async fn killed() -> u8 {
    let watch = |kind| signal(kind).ok();
    let (mut hangup, mut interrupt) = (watch(SignalKind::hangup()), watch(SignalKind::interrupt()));
    let (mut quit, mut terminate) = (watch(SignalKind::quit()), watch(SignalKind::terminate()));
    tokio::select! {
        () = arrival(&mut hangup) => 129,
        () = arrival(&mut interrupt) => 130,
        () = arrival(&mut quit) => 131,
        () = arrival(&mut terminate) => 143,
    }
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
        io::ErrorKind::BrokenPipe => Failure::silent(BROKEN_PIPE),
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
