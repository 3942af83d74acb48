//! One connection of a client: a request, an answer, and perhaps a stream after that.
//!
//! What a client has not taken is kept here, never more than what was read in one go: whoever feeds it stops reading
//! until it has drained.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use boxship_sys::fd;
use serde::Serialize;

use super::Owner;
use crate::{
    Result,
    log::Stream,
    protocol::{self, Streams},
};

/// A listener to events that is this far behind is dropped; it can ask anew.
const EVENTS_BEHIND: usize = 64 * 1024;
/// How much input is taken at a time.
const INPUT: usize = 16 * 1024;

/// What a connection is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its request has not come wholly.
    Asking,
    /// Answered: closed when all is taken.
    Leaving,
    /// Carries streams.
    Attached { owner: Owner, streams: Streams, input_open: bool },
    /// Hears of events.
    Events,
    /// Wants to know how something ends.
    Waiting { exec: Option<String> },
    /// Wants to hear that all is gone.
    Deleting,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub id: u32,
    pub purpose: Purpose,
    socket: UnixStream,
    received: Vec<u8>,
    /// Descriptors that came with the request.
    passed: Vec<OwnedFd>,
    out: Vec<u8>,
    /// It takes nothing any more, though its input may not be at its end.
    deaf: bool,
    gone: bool,
}

/// Closing a socket with something unread in it would make the client's next read fail instead of telling it the end.
impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        let mut buffer = [0; INPUT];
        while self.socket.read(&mut buffer).is_ok_and(|length| length > 0) {}
    }
}

impl Connection {
    pub(super) fn new(id: u32, socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let (received, passed, out) = Default::default();
        Ok(Self { id, purpose: Purpose::Asking, socket, received, passed, out, deaf: false, gone: false })
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Whether something waits to be taken by the client.
    pub(super) fn is_behind(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether it can be dropped.
    pub(super) fn is_over(&self) -> bool {
        self.gone || self.purpose == Purpose::Leaving && self.out.is_empty()
    }

    /// The client is gone.
    pub(super) fn hang_up(&mut self) {
        self.gone = true;
    }

    /// The client takes nothing any more; what it has sent may still be read.
    pub(super) fn stop_sending(&mut self) {
        self.deaf = true;
        self.out = Vec::new();
    }

    /// Reads what there is of a request; a whole one is given out.
    pub(super) fn take_request(&mut self) -> Option<Result<Vec<u8>>> {
        let mut buffer = [0; 4096];
        loop {
            match protocol::take_line(&mut self.received) {
                Ok(None) => {}
                other => return other.transpose(),
            }
            match fd::receive(self.socket.as_fd(), &mut buffer) {
                Ok((0, _)) => {
                    self.gone = true;
                    return None;
                }
                Ok((length, passed)) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    let room = fd::MAX_PASSED.saturating_sub(self.passed.len());
                    self.passed.extend(passed.into_iter().take(room));
                }
                Err(error) => {
                    self.note(&error.errno.into());
                    return None;
                }
            }
        }
    }

    /// The descriptors that came with the request.
    pub(super) fn take_passed(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.passed)
    }

    /// Input: what came along with the request first. `None` at its end.
    pub(super) fn take_input(&mut self) -> Option<Vec<u8>> {
        if !self.received.is_empty() {
            return Some(std::mem::take(&mut self.received));
        }
        let mut buffer = [0; INPUT];
        match self.socket.read(&mut buffer) {
            Ok(0) => None,
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(error) => {
                self.note(&error);
                Some(Vec::new())
            }
        }
    }

    /// Whether input came along with the request.
    pub(super) fn has_early_input(&self) -> bool {
        !self.received.is_empty()
    }

    pub(super) fn say<T: Serialize>(&mut self, message: &T) {
        self.send(&protocol::encode(message), &[]);
        if self.purpose == Purpose::Events && self.out.len() > EVENTS_BEHIND {
            self.gone = true;
        }
    }

    /// Sends output in the form that the client expects.
    pub(super) fn output(&mut self, tty: bool, stream: Stream, bytes: &[u8]) {
        if tty {
            self.send(bytes, &[]);
        } else {
            self.send(&protocol::frame_header(stream.number(), bytes.len() as u32), bytes);
        }
    }

    fn send(&mut self, head: &[u8], body: &[u8]) {
        if self.gone || self.deaf {
            return;
        }
        let mut sent = 0;
        if self.out.is_empty() {
            match self.socket.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
                Ok(length) => sent = length,
                Err(error) => self.note(&error),
            }
        }
        let of_head = sent.min(head.len());
        self.out.extend_from_slice(&head[of_head..]);
        self.out.extend_from_slice(&body[sent - of_head..]);
    }

    /// Sends what is kept; tells whether anything moved.
    pub(super) fn flush(&mut self) -> bool {
        let mut moved = false;
        while !self.out.is_empty() && !self.gone {
            match self.socket.write(&self.out) {
                Ok(length) => {
                    self.out.drain(..length);
                    moved = length > 0;
                }
                Err(error) => {
                    self.note(&error);
                    break;
                }
            }
        }
        if self.out.is_empty() {
            self.out = Vec::new();
        }
        moved
    }

    fn note(&mut self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            self.gone = true;
        }
    }
}
