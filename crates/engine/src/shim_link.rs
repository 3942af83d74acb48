//! Shims as the engine meets them: launched from a sealed executable, then spoken to over their sockets without
//! blocking an async thread.
//!
//! Every question is a conversation of its own. Nothing is retried: a socket nobody listens at says that the shim is
//! gone, and `exit.json` or the kernel tells the rest.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxship_shim::protocol::{
    self, Event, Failure, FailureKind, LaunchRequest, Request, Response, State, Streams,
};
use boxship_shim::{Exit, Launched};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::{Error, Kind, Result, error::blocking};

/// Starts shims.
#[derive(Clone)]
pub(crate) struct Launcher {
    executable: Arc<OwnedFd>,
}

impl Launcher {
    /// From the executable at `path`, or from a sealed view of our own.
    pub(crate) fn new(path: Option<&Path>) -> Result<Self> {
        let executable = match path {
            Some(path) => {
                let open = |error| {
                    Error::caused(Kind::Internal, format!("open executable {}", path.display()), error)
                };
                OwnedFd::from(File::open(path).map_err(open)?)
            }
            None => boxship_sys::exe::sealed()
                .map_err(|error| Error::caused(Kind::Internal, "seal our executable", error))?,
        };
        Ok(Self { executable: Arc::new(executable) })
    }

    /// Launches one; its answer is the runtime's.
    pub(crate) async fn launch(&self, request: LaunchRequest) -> Result<Launched, boxship_shim::Error> {
        let executable = self.executable.clone();
        let launched =
            tokio::task::spawn_blocking(move || boxship_shim::launch(executable.as_fd(), &request)).await;
        launched.unwrap_or_else(|_| {
            Err(boxship_shim::Error::Refused(Failure::new(FailureKind::Internal, "launching a shim failed")))
        })
    }
}

/// The shim whose files are in one folder below the exec root.
#[derive(Clone, Debug)]
pub(crate) struct ShimLink {
    directory: PathBuf,
}

/// A byte stream after an answer: what came with the answer, then the socket.
pub(crate) struct Joined {
    /// Read first.
    pub(crate) early: Vec<u8>,
    /// The rest.
    pub(crate) socket: UnixStream,
}

/// The events of a shim, in order, until it is gone.
pub(crate) struct ShimEvents {
    conversation: Conversation,
}

impl ShimLink {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The record of how it ended, if it did.
    pub(crate) fn exit_record(&self) -> Option<Exit> {
        Exit::read(&self.directory).unwrap_or_else(|error| {
            tracing::warn!(%error, folder = %self.directory.display(), "exit record unreadable");
            None
        })
    }

    /// One question, one answer.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Response, boxship_shim::Error> {
        let mut conversation = Conversation::open(&self.directory).await?;
        conversation.ask(request).await
    }

    /// A question whose answer says only that it is done.
    pub(crate) async fn tell(&self, request: &Request) -> Result<()> {
        self.ask(request).await.map(|_| ()).map_err(into_error)
    }

    /// Where it stands, and everything to come.
    pub(crate) async fn events(&self) -> Result<(State, ShimEvents), boxship_shim::Error> {
        let mut conversation = Conversation::open(&self.directory).await?;
        match conversation.ask(&Request::Events).await? {
            Response::State(state) => Ok((state, ShimEvents { conversation })),
            _ => Err(unexpected()),
        }
    }

    /// Joins the container's streams.
    pub(crate) async fn attach(&self, streams: Streams) -> Result<Joined, boxship_shim::Error> {
        let mut conversation = Conversation::open(&self.directory).await?;
        match conversation.ask(&Request::Attach(streams)).await? {
            Response::Attached { .. } => Ok(conversation.join()),
            _ => Err(unexpected()),
        }
    }

    /// Runs a further process: its pid and streams.
    pub(crate) async fn exec(
        &self,
        request: protocol::ExecRequest,
    ) -> Result<(i32, Joined), boxship_shim::Error> {
        let mut conversation = Conversation::open(&self.directory).await?;
        match conversation.ask(&Request::Exec(Box::new(request))).await? {
            Response::ExecStarted { pid } => Ok((pid, conversation.join())),
            _ => Err(unexpected()),
        }
    }
}

impl ShimEvents {
    /// The next event; `None` when the shim is gone. Safe to drop halfway: nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.conversation.line().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "events of a shim ended badly");
                None
            })?;
            match protocol::decode(&line, "shim") {
                Ok(event) => return Some(event),
                Err(error) => tracing::warn!(%error, "event not understood"),
            }
        }
    }
}

struct Conversation {
    socket: UnixStream,
    received: Vec<u8>,
}

impl Conversation {
    async fn open(directory: &Path) -> Result<Self, boxship_shim::Error> {
        let path = protocol::socket_path(directory);
        let failed = |source| boxship_shim::Error::Connect { path: path.clone(), source };
        // A socket's address holds 108 bytes: long paths go through the folder's descriptor.
        let folder = File::open(directory).map_err(failed)?;
        let name = path.file_name().unwrap_or_default();
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        let socket = UnixStream::connect(short).await.map_err(failed)?;
        Ok(Self { socket, received: Vec::new() })
    }

    async fn ask(&mut self, request: &Request) -> Result<Response, boxship_shim::Error> {
        let talk = |action| move |source| boxship_shim::Error::Talk { action, source };
        self.socket.write_all(&protocol::encode(request)).await.map_err(talk("write to"))?;
        let ended = || talk("read from")(io::ErrorKind::UnexpectedEof.into());
        let line = self.line().await?.ok_or_else(ended)?;
        match protocol::decode(&line, "shim")? {
            Response::Failed(failure) => Err(failure.into()),
            response => Ok(response),
        }
    }

    /// The next line; `None` at the end. What was received stays when this is dropped halfway.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, boxship_shim::Error> {
        loop {
            if let Some(line) = protocol::take_line(&mut self.received)? {
                return Ok(Some(line));
            }
            match self.socket.read_buf(&mut self.received).await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(source) => return Err(boxship_shim::Error::Talk { action: "read from", source }),
            }
        }
    }

    fn join(self) -> Joined {
        Joined { early: self.received, socket: self.socket }
    }
}

fn unexpected() -> boxship_shim::Error {
    Failure::new(FailureKind::Internal, "the shim's answer does not fit the question").into()
}

/// The engine's error for a shim's: what it says of itself, with the kind it names.
pub(crate) fn into_error(error: boxship_shim::Error) -> Error {
    let kind = match &error {
        boxship_shim::Error::Refused(failure) => match failure.kind {
            FailureKind::CommandNotFound | FailureKind::CommandNotExecutable | FailureKind::Invalid => {
                Kind::Invalid
            }
            FailureKind::State => Kind::Conflict,
            FailureKind::Internal => Kind::Internal,
        },
        _ => Kind::Internal,
    };
    match error {
        boxship_shim::Error::Refused(failure) => Error::new(kind, failure.message),
        other => Error::caused(kind, "speak to the shim", other),
    }
}

/// Waits for a launched shim to be gone, so that no zombie remains.
pub(crate) async fn reap(mut shim: std::process::Child) {
    let reaped = blocking(move || Ok(shim.wait()?)).await;
    if let Err(error) = reaped {
        tracing::warn!(%error, "shim not reaped");
    }
}
