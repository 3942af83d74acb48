//! The streams of one process: its output to be read, its input to be written, its terminal.
//!
//! Never holds more than one chunk of input; output isn't held here at all.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use boxship_sys::pty;
use rustix::io::Errno;

use crate::log::Stream;

/// How much is read at a time: all that a pipe holds.
pub(super) const CHUNK: usize = 64 * 1024;

/// A terminal that nobody has open is looked at again after this time: a program may close and reopen it.
const REOPEN: Duration = Duration::from_millis(100);

/// The streams of one process.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// One terminal instead of pipes.
    pub tty: bool,
    /// The end of a client's input is the end of the process's.
    pub ends_input: bool,
    /// The process has ended: what can't be read now will not come.
    pub process_ended: bool,
    outputs: [Option<OwnedFd>; 2],
    hung: Option<Instant>,
    input: Option<Input>,
}

#[derive(Debug)]
struct Input {
    file: OwnedFd,
    pending: Vec<u8>,
    ending: bool,
}

/// What an attempt to read brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The buffer holds output.
    Data,
    /// Nothing at the moment.
    Nothing,
    /// The stream is at its end, and closed.
    End,
}

impl Session {
    pub(super) fn piped(
        stdin: Option<OwnedFd>,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
        ends_input: bool,
    ) -> Self {
        Self { ends_input, outputs: [stdout, stderr], input: stdin.map(Input::new), ..Self::default() }
    }

    /// `master` plays both ways; input is taken only if `with_input`.
    pub(super) fn terminal(master: OwnedFd, with_input: bool) -> std::io::Result<Self> {
        let input = if with_input { Some(Input::new(master.try_clone()?)) } else { None };
        Ok(Self { tty: true, outputs: [Some(master), None], input, ..Self::default() })
    }

    pub(super) fn output(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        if self.hung.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        self.outputs[index(stream)].as_ref().map(AsFd::as_fd)
    }

    /// Whether any output may still come.
    pub(super) fn has_output(&self) -> bool {
        self.outputs.iter().any(Option::is_some)
    }

    /// When a terminal that nobody has open is to be looked at again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.hung
    }

    /// Reads once into `buffer`, which is emptied before.
    pub(super) fn read(&mut self, stream: Stream, buffer: &mut Vec<u8>) -> Read {
        buffer.clear();
        let Some(file) = &self.outputs[index(stream)] else { return Read::End };
        buffer.reserve(CHUNK);
        match rustix::io::read(file, rustix::buffer::spare_capacity(buffer)) {
            Ok(length) if length > 0 => {
                self.hung = None;
                Read::Data
            }
            Err(Errno::AGAIN | Errno::INTR) => Read::Nothing,
            // All programs have closed the terminal, but one may open it again.
            Err(Errno::IO) if self.tty && !self.process_ended => {
                self.hung = Some(Instant::now() + REOPEN);
                Read::Nothing
            }
            Ok(_) | Err(_) => {
                self.close_output(stream);
                Read::End
            }
        }
    }

    pub(super) fn close_output(&mut self, stream: Stream) {
        self.outputs[index(stream)] = None;
    }

    /// Whether a client's input is wanted at the moment.
    pub(super) fn takes_input(&self) -> bool {
        self.input.as_ref().is_some_and(|input| input.pending.is_empty() && !input.ending)
    }

    /// Whether there is an input at all.
    pub(super) fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// The input's descriptor, and whether it waits to be written.
    pub(super) fn input(&self) -> Option<(BorrowedFd<'_>, bool)> {
        self.input.as_ref().map(|input| (input.file.as_fd(), !input.pending.is_empty()))
    }

    /// Writes a client's input, keeping what doesn't fit.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(input) = &mut self.input {
            input.pending.extend_from_slice(bytes);
            self.flush_input();
        }
    }

    /// Writes what is kept. An input that nobody reads any more is closed.
    pub(super) fn flush_input(&mut self) {
        let Some(input) = &mut self.input else { return };
        while !input.pending.is_empty() {
            match rustix::io::write(&input.file, &input.pending) {
                Ok(length) => {
                    input.pending.drain(..length);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.input = None;
                    return;
                }
            }
        }
        input.pending = Vec::new();
        if input.ending {
            self.input = None;
        }
    }

    /// Ends the input when all is written. A terminal's input has no end of its own.
    pub(super) fn end_input(&mut self) {
        if self.tty {
            return;
        }
        if let Some(input) = &mut self.input {
            input.ending = true;
            self.flush_input();
        }
    }

    /// Nobody reads the input any more.
    pub(super) fn drop_input(&mut self) {
        self.input = None;
    }

    /// Changes the terminal's size; false without a terminal.
    pub(super) fn resize(&self, height: u16, width: u16) -> Result<bool, boxship_sys::Error> {
        match (&self.outputs[0], self.tty) {
            (Some(master), true) => pty::resize(master.as_fd(), height, width).map(|()| true),
            _ => Ok(false),
        }
    }
}

impl Input {
    fn new(file: OwnedFd) -> Self {
        Self { file, pending: Vec::new(), ending: false }
    }
}

fn index(stream: Stream) -> usize {
    usize::from(stream.number() - 1)
}
