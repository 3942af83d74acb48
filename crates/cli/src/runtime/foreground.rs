//! Staying with a process until its end: signals go to it, its terminal is joined with ours, orphans are reaped.
//!
//! One thread and one poll loop. Our terminal is put back as it was however the loop ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use boxship_oci::runtime::ConsoleSize;
use boxship_runtime::Started;
use boxship_sys::signal::{self, Signal};
use boxship_sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use rustix::termios::{OptionalActions, Termios, Winsize};

use super::failure::Result;

/// Waits for the process and answers its exit code; 128 and the signal when one ended it.
pub(super) fn attend(started: Started, signals: &SignalFd) -> Result<u8> {
    let terminal = started.console.map(Terminal::join).transpose()?;
    let mut attended = Attended { pid: started.pid, pidfd: started.pidfd, terminal, exit: None };
    loop {
        attended.wait(signals)?;
        attended.take_signals(signals)?;
        if let Some(code) = attended.exit {
            if let Some(terminal) = &mut attended.terminal {
                terminal.drain();
            }
            return Ok(code);
        }
    }
}

struct Attended {
    pid: i32,
    pidfd: OwnedFd,
    terminal: Option<Terminal>,
    exit: Option<u8>,
}

impl Attended {
    /// Sleeps until something happens, and moves bytes.
    fn wait(&mut self, signals: &SignalFd) -> Result<()> {
        let mut polled = vec![PollFd::new(signals, PollFlags::IN)];
        if let Some(terminal) = &self.terminal {
            polled.extend(terminal.polled());
        }
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready: Vec<PollFlags> = polled.iter().skip(1).map(PollFd::revents).collect();
        match &mut self.terminal {
            Some(terminal) => terminal.serve(&ready),
            None => Ok(()),
        }
    }

    fn take_signals(&mut self, signals: &SignalFd) -> Result<()> {
        while let Some(signal) = signals.next()? {
            match signal.number() {
                CHILD => self.reap()?,
                // Writing to a closed output is seen where it is written.
                PIPE => {}
                _ if signal == Signal::WINCH => {
                    if let Some(terminal) = &self.terminal {
                        terminal.resize();
                    }
                }
                _ => match signal::send(self.pidfd.as_fd(), signal) {
                    Err(error) if error.errno != Errno::SRCH => return Err(error.into()),
                    _ => {}
                },
            }
        }
        Ok(())
    }

    /// Several ends may have been told by one signal; all but the attended one's are orphans'.
    fn reap(&mut self) -> Result<()> {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Pid::from_raw(self.pid) == Some(pid) => {
                    self.exit = Some(code(status))
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

const CHILD: i32 = 17;
const PIPE: i32 = 13;

fn code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    let code = status.exit_status().or(signal).unwrap_or(255);
    u8::try_from(code).unwrap_or(255)
}

/// The container's terminal joined with ours.
struct Terminal {
    master: OwnedFd,
    /// Our terminal's settings, to be put back.
    saved: Option<Termios>,
    /// Typed, but not yet taken by the container.
    pending: Vec<u8>,
    input_open: bool,
    output_open: bool,
}

/// More than this is not read ahead of the container.
const READ_AHEAD: usize = 64 * 1024;

impl Terminal {
    fn join(master: OwnedFd) -> Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | rustix::fs::OFlags::NONBLOCK)?;
        let saved = rustix::termios::tcgetattr(stdin()).ok();
        let terminal = Self { master, saved, pending: Vec::new(), input_open: true, output_open: true };
        if let Some(saved) = &terminal.saved {
            let mut raw = saved.clone();
            raw.make_raw();
            rustix::termios::tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        }
        terminal.resize();
        Ok(terminal)
    }

    /// The container's terminal gets the size of ours, if we have one.
    fn resize(&self) {
        if let Some(size) = window() {
            // It fails only when the container has closed it.
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    /// In the order that `serve` expects.
    fn polled(&self) -> Vec<PollFd<'_>> {
        let mut output = if self.output_open { PollFlags::IN } else { PollFlags::empty() };
        output.set(PollFlags::OUT, !self.pending.is_empty() && self.output_open);
        let mut polled = Vec::with_capacity(2);
        if self.output_open {
            polled.push(PollFd::new(&self.master, output));
            if self.input_open && self.pending.len() < READ_AHEAD {
                polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
            }
        }
        polled
    }

    fn serve(&mut self, ready: &[PollFlags]) -> Result<()> {
        let (master, input) = (ready.first().copied(), ready.get(1).copied());
        if master.is_some_and(|flags| flags.contains(PollFlags::OUT)) {
            self.give()?;
        }
        if master.is_some_and(|flags| flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)) {
            self.show();
        }
        if input.is_some_and(|flags| !flags.is_empty()) {
            self.listen()?;
        }
        Ok(())
    }

    /// From our keyboard.
    fn listen(&mut self) -> Result<()> {
        let mut buffer = [0_u8; 4096];
        match rustix::io::read(stdin(), &mut buffer) {
            Ok(0) | Err(Errno::IO) => self.input_open = false,
            Ok(count) => {
                self.pending.extend_from_slice(&buffer[..count]);
                self.give()?;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    /// To the container.
    fn give(&mut self) -> Result<()> {
        while !self.pending.is_empty() {
            match rustix::io::write(&self.master, &self.pending) {
                Ok(count) => {
                    self.pending.drain(..count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The container has closed its side.
                Err(Errno::IO) => self.pending.clear(),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// From the container to our screen; tells whether there was something.
    fn show(&mut self) -> bool {
        let mut buffer = [0_u8; 16 * 1024];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(0) | Err(Errno::IO) => self.output_open = false,
            Ok(count) => {
                write_all(&buffer[..count]);
                return true;
            }
            Err(_) => {}
        }
        false
    }

    /// What the program wrote last is still in the terminal when it has ended.
    fn drain(&mut self) {
        while self.output_open && self.show() {}
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            // Nothing can be done about a terminal that has gone.
            let _ = rustix::termios::tcsetattr(stdin(), OptionalActions::Now, saved);
        }
    }
}

fn window() -> Option<Winsize> {
    let ours = [stdin(), stdout()].into_iter().find_map(|fd| rustix::termios::tcgetwinsize(fd).ok());
    ours.filter(|size| size.ws_row > 0 || size.ws_col > 0)
}

/// The size of our terminal, if we have one.
pub(super) fn our_size() -> Option<ConsoleSize> {
    window().map(|size| ConsoleSize { height: size.ws_row.into(), width: size.ws_col.into() })
}

fn stdin() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

fn stdout() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}

/// A screen that has gone must not end the container.
fn write_all(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut polled = [PollFd::from_borrowed_fd(stdout(), PollFlags::OUT)];
                let _ = poll(&mut polled, None);
            }
            Err(_) => return,
        }
    }
}
