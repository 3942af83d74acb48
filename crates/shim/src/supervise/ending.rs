//! The end of the container, step by step, and then of the shim.

use std::{
    fs,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use boxship_sys::process;

use super::{Owner, Supervisor, connection::Purpose, session::Read};
use crate::{
    Exit,
    log::Stream,
    protocol::{self, Event, Phase, Response},
};

/// How long output may come after the end, if something outside the container holds it open.
const DRAIN: Duration = Duration::from_millis(500);
/// How long a client may leave the rest of its output untouched.
const STALLED: Duration = Duration::from_secs(3);

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// How the first process ended, and when that was noticed.
    ended: Option<(process::Exit, Instant)>,
    exit: Option<Exit>,
    /// When a client last took something.
    progress: Option<Instant>,
}

impl Ending {
    pub(super) fn has_begun(&self) -> bool {
        self.ended.is_some()
    }

    /// The exit, once it is recorded.
    pub(super) fn exit(&self) -> Option<&Exit> {
        self.exit.as_ref()
    }

    pub(super) fn note_progress(&mut self) {
        if self.exit.is_some() {
            self.progress = Some(Instant::now());
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match (&self.exit, &self.ended, self.progress) {
            (Some(_), _, Some(progress)) => Some(progress + STALLED),
            (None, Some((_, at)), _) => Some(*at + DRAIN),
            _ => None,
        }
    }
}

impl Supervisor {
    /// The first process has ended: it is reaped, what is left of the container killed, its output read.
    pub(super) fn init_ended(&mut self) {
        let exit = match process::try_wait(self.pidfd.as_fd()) {
            Ok(None) => return,
            Ok(Some(exit)) => exit,
            Err(_) => process::Exit::Code(255),
        };
        self.ending.ended = Some((exit, Instant::now()));
        // Its ports are another's as soon as its end is told.
        self.relays.clear();
        self.count_oom();
        if !self.own_pid_namespace {
            // What can't be killed stays behind and is reported by the removal of the cgroup.
            let _ = self.cgroup.kill_all();
        }
        self.session.process_ended = true;
        self.session.drop_input();
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.pump(Owner::Container, stream) == Read::Data {}
        }
    }

    /// Takes the next step when it is due.
    pub(super) fn look_after_ending(&mut self) {
        let Some((exit, at)) = self.ending.ended else { return };
        if self.ending.exit.is_none() && (!self.session.has_output() || at.elapsed() >= DRAIN) {
            self.record(exit);
            self.remove();
        }
    }

    /// Makes the end known: log, file, listeners.
    fn record(&mut self, exit: process::Exit) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.session.has_output() {
                self.log.end(stream);
                self.session.close_output(stream);
            }
        }
        self.phase = Phase::Stopped;
        let exit = Exit::now(exit, self.oom_killed);
        // If even this small file can't be written, those who listen still hear of it.
        let _ = exit.write(&self.directory);
        self.ending.exit = Some(exit.clone());
        self.ending.progress = Some(Instant::now());
        self.tell(&Event::Exit(exit.clone()));
        self.answer_waiting(None, &exit);
        self.detach_all(Owner::Container);
        self.connections.iter_mut().for_each(|connection| {
            connection.flush();
        });
    }

    /// Removes cgroup and runtime state; slow, and nobody waits for it but the next start.
    fn remove(&mut self) {
        self.connections.retain(|connection| !connection.is_over());
        self.oom = None;
        if let Some(container) = self.container.take() {
            // A failing poststop hook or a cgroup that won't go can be told to nobody; `boxship runtime` finds both.
            let _ = container.delete(true);
        }
        while self.log.work() {}
        for connection in &mut self.connections {
            if connection.purpose == Purpose::Deleting {
                connection.purpose = Purpose::Leaving;
                connection.say(&Response::Done);
            }
        }
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        if self.ending.exit.is_none() || self.execs.iter().any(|exec| exec.pidfd().is_some()) {
            return false;
        }
        let behind = self.connections.iter().any(|connection| {
            connection.is_behind() && matches!(connection.purpose, Purpose::Leaving | Purpose::Events)
        });
        let stalled = self.ending.progress.is_some_and(|progress| progress.elapsed() >= STALLED);
        let over = !behind || stalled;
        if over {
            // Before anybody finds the socket without a listener.
            let _ = fs::remove_file(protocol::socket_path(&self.directory));
        }
        over
    }
}
