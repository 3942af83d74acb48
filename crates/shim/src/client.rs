//! A small blocking client of a shim, for callers that aren't asynchronous (and for tests).

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, BorrowedFd},
    os::unix::net::UnixStream,
    path::Path,
};

use crate::{
    Error, Result,
    protocol::{self, Event, RelayedPort, Request, Response},
};

/// One conversation with a shim.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects to the shim of the container whose folder below the exec root is `directory`.
    pub fn open(directory: &Path) -> Result<Self> {
        let path = protocol::socket_path(directory);
        let folder = File::open(directory).map_err(|source| Error::Connect { path: path.clone(), source })?;
        let socket = UnixStream::connect(protocol::short_socket_path(&folder));
        let socket = socket.map_err(|source| Error::Connect { path, source })?;
        Ok(Self { socket, received: Vec::new() })
    }

    /// Asks and waits for the answer; a failure is an [`Error::Refused`].
    pub fn ask(&mut self, request: &Request) -> Result<Response> {
        let written = self.socket.write_all(&protocol::encode(request));
        written.map_err(|source| Error::Talk { action: "write to", source })?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Response> {
        match self.line()? {
            Some(line) => match protocol::decode(&line, "shim")? {
                Response::Failed(failure) => Err(failure.into()),
                response => Ok(response),
            },
            None => {
                Err(Error::Talk { action: "read from", source: std::io::ErrorKind::UnexpectedEof.into() })
            }
        }
    }

    /// After [`Request::Events`]: the next event, `None` when the shim is gone.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        self.line()?.map(|line| protocol::decode(&line, "shim")).transpose()
    }

    /// The stream after [`Response::Attached`], with what was already received of it.
    pub fn into_stream(self) -> (UnixStream, Vec<u8>) {
        (self.socket, self.received)
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(line) = protocol::take_line(&mut self.received)? {
                return Ok(Some(line));
            }
            let read = self.socket.read(&mut buffer);
            match read.map_err(|source| Error::Talk { action: "read from", source })? {
                0 => return Ok(None),
                length => self.received.extend_from_slice(&buffer[..length]),
            }
        }
    }
}

/// Asks one question in a conversation of its own.
pub fn ask(directory: &Path, request: &Request) -> Result<Response> {
    Connection::open(directory)?.ask(request)
}

/// Hands bound sockets over to be relayed. What was handed over before something failed stays so.
pub fn relay(directory: &Path, ports: &[(RelayedPort, BorrowedFd<'_>)]) -> Result<()> {
    for some in ports.chunks(boxship_sys::fd::MAX_PASSED) {
        let (told, sockets): (Vec<RelayedPort>, Vec<BorrowedFd<'_>>) = some.iter().copied().unzip();
        let mut connection = Connection::open(directory)?;
        let line = protocol::encode(&Request::Relay(told));
        boxship_sys::fd::send(connection.socket.as_fd(), &line, &sockets)
            .map_err(|error| Error::Talk { action: "write to", source: error.errno.into() })?;
        connection.answer()?;
    }
    Ok(())
}

/// What a shim relays.
pub fn relayed(directory: &Path) -> Result<Vec<RelayedPort>> {
    match ask(directory, &Request::Relayed)? {
        Response::Relayed(ports) => Ok(ports),
        _ => Err(Error::Talk { action: "understand", source: std::io::ErrorKind::InvalidData.into() }),
    }
}
