//! What clients ask, one question for each connection, and the answers.

use boxship_oci::runtime::Resources;
use boxship_runtime::Container;
use boxship_sys::signal::{self, Signal};
use std::os::fd::{AsFd, OwnedFd};

use super::{Owner, Supervisor, connection::Purpose, failure};
use crate::{
    Exit,
    protocol::{
        self, Event, ExecRequest, Failure, FailureKind, Phase, RelayedPort, Request, Response, Streams,
    },
};

type Answer = Result<Response, Failure>;

impl Supervisor {
    pub(super) fn serve_request(&mut self, id: u32) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        let Some(line) = connection.take_request() else { return };
        let passed = connection.take_passed();
        let request = line.and_then(|line| protocol::decode(&line, "client"));
        let (answer, purpose) = match request {
            Ok(request) => self.answer(request, passed),
            Err(error) => (Some(Response::Failed(failure::internal(&error))), Purpose::Leaving),
        };
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        connection.purpose = purpose;
        if let Some(answer) = answer {
            connection.say(&answer);
        }
        let early = connection.has_early_input();
        if early && matches!(connection.purpose, Purpose::Attached { input_open: true, .. }) {
            self.serve_client_input(id);
        }
    }

    /// The answer, if there is one already, and what the connection is for from then on.
    fn answer(&mut self, request: Request, passed: Vec<OwnedFd>) -> (Option<Response>, Purpose) {
        let answer = match request {
            Request::Attach(streams) => return self.attach(streams),
            Request::Exec(request) => return self.exec_for_client(*request),
            Request::Wait { exec } => return self.wait_for(exec),
            Request::Events => return (Some(Response::State(self.state())), Purpose::Events),
            Request::Delete => return self.delete(),
            Request::State => Ok(Response::State(self.state())),
            Request::Start => self.start(),
            Request::Kill { signal, all } => self.kill(signal, all),
            Request::Resize { exec, height, width } => self.resize(exec.as_deref(), height, width),
            Request::CloseStdin { exec } => self.close_stdin(exec.as_deref()),
            Request::Pause => self.pause(),
            Request::Resume => self.resume(),
            Request::Update(resources) => self.update(&resources),
            Request::Stats => self.stats(),
            Request::Pids => self.pids(),
            Request::Relay(ports) => self.relay(ports, passed),
            Request::StopRelaying(ports) => {
                ports.iter().for_each(|port| self.relays.remove(port));
                Ok(Response::Done)
            }
            Request::Relayed => Ok(Response::Relayed(self.relays.ports())),
        };
        (Some(answer.unwrap_or_else(Response::Failed)), Purpose::Leaving)
    }

    fn live(&self) -> Result<&Container, Failure> {
        let live = self.container.as_ref().filter(|_| self.phase != Phase::Stopped);
        live.ok_or_else(|| failure::state("container is not running"))
    }

    fn start(&mut self) -> Answer {
        if self.phase != Phase::Created {
            return Err(failure::state("container is already running"));
        }
        self.live()?.start().map_err(|error| failure::from_runtime(&error))?;
        self.phase = Phase::Running;
        self.tell(&Event::Started);
        Ok(Response::Done)
    }

    fn kill(&mut self, number: i32, all: bool) -> Answer {
        let signal = Signal::from_number(number)
            .ok_or_else(|| Failure::new(FailureKind::Invalid, format!("invalid signal: {number}")))?;
        let container = self.live()?;
        if all {
            container.kill(signal, true).map_err(|error| failure::from_runtime(&error))?;
        } else {
            let sent = signal::send(self.pidfd.as_fd(), signal);
            sent.map_err(|error| Failure::new(FailureKind::State, error.to_string()))?;
        }
        // Frozen processes die only when thawed with cgroup v1; with v2 they die at once, and then there is nothing
        // left to thaw.
        if signal == Signal::KILL && self.phase == Phase::Paused {
            let _ = self.resume();
        }
        Ok(Response::Done)
    }

    fn pause(&mut self) -> Answer {
        match self.phase {
            Phase::Running => {}
            Phase::Paused => return Err(failure::state("container is already paused")),
            _ => return Err(failure::state("container is not running")),
        }
        self.live()?.pause().map_err(|error| failure::from_runtime(&error))?;
        self.phase = Phase::Paused;
        self.tell(&Event::Paused);
        Ok(Response::Done)
    }

    fn resume(&mut self) -> Answer {
        if self.phase != Phase::Paused {
            return Err(failure::state("container is not paused"));
        }
        self.live()?.resume().map_err(|error| failure::from_runtime(&error))?;
        self.phase = Phase::Running;
        self.tell(&Event::Resumed);
        Ok(Response::Done)
    }

    fn update(&self, resources: &Resources) -> Answer {
        self.live()?.update(resources).map_err(|error| failure::from_runtime(&error))?;
        Ok(Response::Done)
    }

    fn stats(&self) -> Answer {
        self.live()?;
        let stats = self.cgroup.stats().map_err(|error| failure::from_runtime(&error.into()))?;
        Ok(Response::Stats(Box::new(stats)))
    }

    fn pids(&self) -> Answer {
        let pids = self.live()?.pids().map_err(|error| failure::from_runtime(&error))?;
        Ok(Response::Pids(pids))
    }

    fn owner(&self, exec: Option<&str>) -> Result<Owner, Failure> {
        let Some(id) = exec else { return Ok(Owner::Container) };
        let exec = self.execs.iter().find(|exec| exec.id == id && exec.pidfd().is_some());
        exec.map(|exec| Owner::Exec(exec.number)).ok_or_else(|| failure::state("exec is not running"))
    }

    fn resize(&self, exec: Option<&str>, height: u16, width: u16) -> Answer {
        let owner = self.owner(exec)?;
        let resized = self.session_of(owner).map(|session| session.resize(height, width));
        match resized {
            Some(Ok(true)) => Ok(Response::Done),
            Some(Err(error)) => Err(Failure::new(FailureKind::Internal, error.to_string())),
            _ => Err(failure::state("process has no terminal")),
        }
    }

    fn close_stdin(&mut self, exec: Option<&str>) -> Answer {
        let owner = self.owner(exec)?;
        if let Some(session) = self.session_of_mut(owner) {
            session.end_input();
        }
        Ok(Response::Done)
    }

    fn relay(&mut self, ports: Vec<RelayedPort>, sockets: Vec<OwnedFd>) -> Answer {
        self.live()?;
        if ports.len() != sockets.len() {
            let message = format!("{} ports to relay came with {} sockets", ports.len(), sockets.len());
            return Err(Failure::new(FailureKind::Invalid, message));
        }
        let before = self.relays.ports();
        for (at, (port, socket)) in ports.iter().zip(sockets).enumerate() {
            if let Err(error) = self.relays.add(*port, socket) {
                let new = ports[..at].iter().filter(|port| !before.iter().any(|old| old.is_at(port)));
                new.for_each(|port| self.relays.remove(port));
                let message = format!("relay {}: {error}", port.host);
                return Err(Failure::new(FailureKind::Internal, boxship_sys::error::plain(&message)));
            }
        }
        Ok(Response::Done)
    }

    fn attach(&self, streams: Streams) -> (Option<Response>, Purpose) {
        if self.ending.exit().is_some() {
            return (Some(Response::Failed(failure::state("container is not running"))), Purpose::Leaving);
        }
        // A client without input to give isn't asked for any.
        let input_open = streams.stdin;
        let purpose = Purpose::Attached { owner: Owner::Container, streams, input_open };
        (Some(Response::Attached { tty: self.session.tty }), purpose)
    }

    fn exec_for_client(&mut self, request: ExecRequest) -> (Option<Response>, Purpose) {
        let streams = request.attach;
        match self.exec(request) {
            Ok((pid, owner)) => {
                let attached = Purpose::Attached { owner, streams, input_open: streams.stdin };
                let purpose = if streams.any() { attached } else { Purpose::Leaving };
                (Some(Response::ExecStarted { pid }), purpose)
            }
            Err(failure) => (Some(Response::Failed(failure)), Purpose::Leaving),
        }
    }

    fn wait_for(&self, exec: Option<String>) -> (Option<Response>, Purpose) {
        if let Some(id) = &exec {
            if !self.execs.iter().any(|exec| exec.id == *id) {
                return (Some(Response::Failed(failure::state("exec is not running"))), Purpose::Leaving);
            }
        } else if let Some(exit) = self.exit_of_container() {
            return (Some(Response::Exit(exit.clone())), Purpose::Leaving);
        }
        (None, Purpose::Waiting { exec })
    }

    fn delete(&mut self) -> (Option<Response>, Purpose) {
        if let Some(container) = self.container.as_ref().filter(|_| self.phase != Phase::Stopped) {
            // Whatever fails here: the end of the first process is what is waited for.
            let _ = signal::send(self.pidfd.as_fd(), Signal::KILL);
            let _ = container.kill(Signal::KILL, true);
            if self.phase == Phase::Paused {
                let _ = self.resume();
            }
        }
        (None, Purpose::Deleting)
    }

    /// Answers those who wait for this end.
    pub(super) fn answer_waiting(&mut self, ended: Option<&str>, exit: &Exit) {
        for connection in &mut self.connections {
            if matches!(&connection.purpose, Purpose::Waiting { exec } if exec.as_deref() == ended) {
                connection.purpose = Purpose::Leaving;
                connection.say(&Response::Exit(exit.clone()));
            }
        }
    }
}
