//! The shim at work: one loop over the processes it has started, their streams, and the clients that ask.
//!
//! ```text
//! Created ──Start──▶ Running ◀─Pause/Resume─▶ Paused
//!    └────────┬─────────┴─────────────────────┘
//!        init ends: kill the rest ─ drain output ─ log, exit.json, events ─ remove cgroup and state ─ clients drain ─ gone
//! ```
//!
//! Output goes to the log first, then to every attached client. While a client has not taken what it was sent, that
//! output is not read further, so the container waits and the shim does not grow. Clients that are gone are dropped.

mod connection;
mod ending;
mod execs;
pub(crate) mod failure;
mod requests;
mod session;

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::net::UnixListener,
    path::PathBuf,
    time::Instant,
};

use boxship_runtime::{
    Container,
    cgroup::{Cgroup, OomEvents},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    Exit,
    log::{Stream, Writer},
    protocol::{Event, Phase, State},
    relay::{self, Relays},
};
use connection::{Connection, Purpose};
use execs::Exec;
use session::{Read, Session};

/// More clients than any daemon has; what comes beyond is turned away.
const MAX_CONNECTIONS: usize = 512;

/// Whose streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Container,
    Exec(u32),
}

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy)]
enum Token {
    Listener,
    Init,
    Oom,
    Output(Owner, Stream),
    Input(Owner),
    Exec(u32),
    Connection(u32),
    Relay(relay::Token),
}

/// A container under supervision.
#[derive(Debug)]
pub(crate) struct Supervisor {
    directory: PathBuf,
    /// Absent once it is deleted.
    container: Option<Container>,
    cgroup: Cgroup,
    oom: Option<OomEvents>,
    oom_killed: bool,
    /// The kernel ends all its processes with the first one.
    own_pid_namespace: bool,
    oom_score_adj: i32,
    pid: i32,
    pidfd: OwnedFd,
    phase: Phase,
    session: Session,
    log: Writer,
    execs: Vec<Exec>,
    listener: UnixListener,
    connections: Vec<Connection>,
    relays: Relays,
    /// Numbers for connections and execs.
    next: u32,
    buffer: Vec<u8>,
    ending: ending::Ending,
    /// Keeps the mounts alive while the exit is told, so that nobody waits for their removal.
    _mounts: Option<File>,
}

/// What a new supervisor takes over.
pub(crate) struct Parts {
    pub directory: PathBuf,
    pub container: Container,
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub streams: Streams,
    pub log: Writer,
    pub listener: UnixListener,
    pub own_pid_namespace: bool,
    pub oom_score_adj: i32,
    pub started: bool,
}

/// Our ends of the container's streams.
pub(crate) enum Streams {
    Terminal { master: OwnedFd, open_stdin: bool },
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd, stdin_once: bool },
}

impl Supervisor {
    pub(crate) fn new(parts: Parts) -> std::io::Result<Self> {
        let session = match parts.streams {
            Streams::Terminal { master, open_stdin } => Session::terminal(master, open_stdin)?,
            Streams::Pipes { stdin, stdout, stderr, stdin_once } => {
                Session::piped(stdin, Some(stdout), Some(stderr), stdin_once)
            }
        };
        let cgroup = parts.container.cgroup();
        parts.listener.set_nonblocking(true)?;
        Ok(Self {
            // Without memory controller there is nothing to hear of.
            oom: cgroup.oom_event_fd().ok(),
            cgroup,
            oom_killed: false,
            _mounts: File::open(format!("/proc/{}/ns/mnt", parts.pid)).ok(),
            directory: parts.directory,
            container: Some(parts.container),
            own_pid_namespace: parts.own_pid_namespace,
            oom_score_adj: parts.oom_score_adj,
            pid: parts.pid,
            pidfd: parts.pidfd,
            phase: if parts.started { Phase::Running } else { Phase::Created },
            session,
            log: parts.log,
            execs: Vec::new(),
            listener: parts.listener,
            connections: Vec::new(),
            relays: Relays::default(),
            next: 0,
            buffer: Vec::new(),
            ending: ending::Ending::default(),
        })
    }

    /// Works until the container has ended, everything is told, and nothing is left.
    pub(crate) fn run(mut self) {
        while !self.is_over() {
            for (token, flags) in self.wait() {
                self.dispatch(token, flags);
            }
            if self.log.has_work() {
                self.log.work();
            }
            self.look_after_execs();
            self.look_after_ending();
            self.look_after_execs();
            self.relays.tidy();
            self.connections.retain(|connection| !connection.is_over());
        }
    }

    /// Waits for something to happen and tells what did.
    fn wait(&mut self) -> Vec<(Token, PollFlags)> {
        let timeout = self.timeout();
        let watched = self.watched();
        let mut asked: Vec<PollFd<'_>> =
            watched.iter().map(|(_, file, flags)| PollFd::from_borrowed_fd(*file, *flags)).collect();
        // Interrupted or not: the next round looks again.
        let _ = poll(&mut asked, timeout.as_ref());
        let happened = watched.iter().zip(&asked).filter(|(_, asked)| !asked.revents().is_empty());
        happened.map(|((token, ..), asked)| (*token, asked.revents())).collect()
    }

    fn timeout(&self) -> Option<Timespec> {
        if self.log.has_work() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let sessions = std::iter::once(&self.session).chain(self.execs.iter().map(|exec| &exec.session));
        let retries = sessions.filter_map(Session::retry_at);
        let next = retries
            .chain(self.execs.iter().filter_map(Exec::deadline))
            .chain(self.ending.deadline())
            .chain(self.relays.deadline())
            .min()?;
        let left = next.saturating_duration_since(Instant::now());
        Some(Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) + 1 })
    }

    fn watched(&self) -> Vec<(Token, BorrowedFd<'_>, PollFlags)> {
        let mut watched = vec![(Token::Listener, self.listener.as_fd(), PollFlags::IN)];
        if !self.ending.has_begun() {
            watched.push((Token::Init, self.pidfd.as_fd(), PollFlags::IN));
            watched.extend(self.oom.iter().map(|oom| (Token::Oom, oom.as_fd(), PollFlags::IN)));
        }
        self.watch_session(&mut watched, Owner::Container, &self.session);
        for exec in &self.execs {
            if let Some(pidfd) = exec.pidfd() {
                watched.push((Token::Exec(exec.number), pidfd, PollFlags::IN));
            }
            self.watch_session(&mut watched, Owner::Exec(exec.number), &exec.session);
        }
        for connection in &self.connections {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::OUT, connection.is_behind());
            flags.set(PollFlags::IN, self.wants_from(connection));
            // Its end is seen when its input has been taken; until then a hang-up would only wake us for nothing.
            if flags.is_empty() && matches!(connection.purpose, Purpose::Attached { input_open: true, .. }) {
                continue;
            }
            watched.push((Token::Connection(connection.id), connection.socket().as_fd(), flags));
        }
        watched
            .extend(self.relays.watch().map(|(token, socket, flags)| (Token::Relay(token), socket, flags)));
        watched
    }

    fn watch_session<'a>(
        &'a self,
        watched: &mut Vec<(Token, BorrowedFd<'a>, PollFlags)>,
        owner: Owner,
        session: &'a Session,
    ) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let output = session.output(stream).filter(|_| !self.is_held_back(owner, stream));
            watched.extend(output.map(|output| (Token::Output(owner, stream), output, PollFlags::IN)));
        }
        if let Some((input, waiting)) = session.input() {
            // A terminal's hang-up is noticed (and judged) where it is read.
            if waiting || !session.tty {
                let flags = if waiting { PollFlags::OUT } else { PollFlags::empty() };
                watched.push((Token::Input(owner), input, flags));
            }
        }
    }

    /// Whether an attached client has not yet taken what it was sent.
    fn is_held_back(&self, owner: Owner, stream: Stream) -> bool {
        self.connections.iter().any(|connection| connection.is_behind() && hears(connection, owner, stream))
    }

    fn wants_from(&self, connection: &Connection) -> bool {
        match &connection.purpose {
            Purpose::Asking => true,
            Purpose::Attached { owner, input_open: true, .. } => {
                // Input of a process without any is read too: its end must be noticed.
                self.session_of(*owner).is_none_or(|session| session.takes_input() || !session.has_input())
            }
            _ => false,
        }
    }

    fn session_of(&self, owner: Owner) -> Option<&Session> {
        match owner {
            Owner::Container => Some(&self.session),
            Owner::Exec(number) => {
                self.execs.iter().find(|exec| exec.number == number).map(|exec| &exec.session)
            }
        }
    }

    fn session_of_mut(&mut self, owner: Owner) -> Option<&mut Session> {
        match owner {
            Owner::Container => Some(&mut self.session),
            Owner::Exec(number) => {
                self.execs.iter_mut().find(|exec| exec.number == number).map(|exec| &mut exec.session)
            }
        }
    }

    fn dispatch(&mut self, token: Token, flags: PollFlags) {
        match token {
            Token::Listener => self.accept(),
            Token::Init => self.init_ended(),
            Token::Oom => self.look_for_oom(),
            Token::Output(owner, stream) => {
                self.pump(owner, stream);
            }
            Token::Input(owner) => self.serve_input(owner, flags),
            Token::Exec(number) => self.exec_ended(number),
            Token::Connection(id) => self.serve(id, flags),
            Token::Relay(token) => self.relays.serve(token, flags),
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            let id = self.number();
            if let Ok(connection) = Connection::new(id, socket)
                && self.connections.len() < MAX_CONNECTIONS
            {
                self.connections.push(connection);
            }
        }
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// Reads an output once and hands it on.
    fn pump(&mut self, owner: Owner, stream: Stream) -> Read {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut tty = false;
        let read = self.session_of_mut(owner).map_or(Read::End, |session| {
            tty = session.tty;
            session.read(stream, &mut buffer)
        });
        match (&read, owner) {
            (Read::Data, Owner::Container) => self.log.write(stream, &buffer),
            (Read::End, Owner::Container) => self.log.end(stream),
            _ => {}
        }
        if read == Read::Data {
            let clients = self.connections.iter_mut().filter(|connection| hears(connection, owner, stream));
            clients.for_each(|connection| connection.output(tty, stream, &buffer));
        }
        self.buffer = buffer;
        read
    }

    fn serve_input(&mut self, owner: Owner, flags: PollFlags) {
        let Some(session) = self.session_of_mut(owner) else { return };
        if flags.contains(PollFlags::OUT) {
            session.flush_input();
        } else if flags.intersects(PollFlags::ERR | PollFlags::HUP) {
            session.drop_input();
        }
    }

    fn serve(&mut self, id: u32, flags: PollFlags) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        if flags.contains(PollFlags::OUT) && connection.flush() {
            self.ending.note_progress();
        }
        let gone = flags.intersects(PollFlags::HUP | PollFlags::ERR);
        match connection.purpose {
            Purpose::Asking if flags.intersects(PollFlags::IN | PollFlags::HUP) => self.serve_request(id),
            Purpose::Attached { input_open: true, .. } if flags.contains(PollFlags::IN) => {
                self.serve_client_input(id)
            }
            Purpose::Attached { input_open: true, .. } if gone => connection.stop_sending(),
            _ if gone => connection.hang_up(),
            _ => {}
        }
    }

    /// Takes input from an attached client.
    fn serve_client_input(&mut self, id: u32) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        let Purpose::Attached { owner, .. } = connection.purpose else { return };
        match connection.take_input() {
            Some(bytes) => {
                if let Some(session) = self.session_of_mut(owner) {
                    session.write(&bytes);
                }
            }
            None => {
                let ends =
                    self.session_of(owner).is_none_or(|session| session.ends_input || !session.has_input());
                let connection = self.connections.iter_mut().find(|connection| connection.id == id);
                if let Some(connection) = connection {
                    match &mut connection.purpose {
                        Purpose::Attached { input_open, .. } if ends => *input_open = false,
                        // As in Docker: where the end of a client's input isn't the end of the process's, it is the
                        // end of the attachment.
                        purpose => *purpose = Purpose::Leaving,
                    }
                }
                self.client_input_ended(owner);
            }
        }
    }

    fn client_input_ended(&mut self, owner: Owner) {
        if let Some(session) = self.session_of_mut(owner)
            && session.ends_input
        {
            session.end_input();
        }
    }

    fn look_for_oom(&mut self) {
        if let Some(oom) = &self.oom
            && oom.drain().is_err()
        {
            self.oom = None;
        }
        self.count_oom();
    }

    fn count_oom(&mut self) {
        if !self.oom_killed && self.cgroup.oom_kill_count().is_ok_and(|count| count > 0) {
            self.oom_killed = true;
            self.tell(&Event::Oom);
        }
    }

    /// Tells everybody who listens.
    fn tell(&mut self, event: &Event) {
        for connection in
            self.connections.iter_mut().filter(|connection| connection.purpose == Purpose::Events)
        {
            connection.say(event);
        }
    }

    fn state(&self) -> State {
        let running = self.execs.iter().filter(|exec| exec.pidfd().is_some());
        State {
            phase: self.phase,
            pid: self.pid,
            execs: running.map(|exec| (exec.id.clone(), exec.pid)).collect(),
            exit: self.ending.exit().cloned(),
        }
    }

    fn exit_of_container(&self) -> Option<&Exit> {
        self.ending.exit()
    }
}

/// Whether a client is attached to this output.
fn hears(connection: &Connection, of: Owner, stream: Stream) -> bool {
    match &connection.purpose {
        Purpose::Attached { owner, streams, .. } => {
            *owner == of
                && match stream {
                    Stream::Stdout => streams.stdout,
                    Stream::Stderr => streams.stderr,
                }
        }
        _ => false,
    }
}
