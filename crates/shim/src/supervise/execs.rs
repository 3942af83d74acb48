//! Further processes in the container: their start, their streams, their end.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use boxship_runtime::{ExecOptions, Started, Stdio};
use boxship_sys::{fd, heap, process, pty};

use super::{
    Owner, Supervisor,
    connection::Purpose,
    failure,
    session::{Read, Session},
};
use crate::{
    Exit,
    log::Stream,
    protocol::{Event, ExecRequest, Failure, Phase, Streams},
};

/// How long output may come after a process has ended, from what it left in the background (Docker's two seconds).
const GRACE: Duration = Duration::from_secs(2);

/// A further process.
#[derive(Debug)]
pub(super) struct Exec {
    pub number: u32,
    pub id: String,
    pub pid: i32,
    pub session: Session,
    /// Absent once it was reaped.
    pidfd: Option<OwnedFd>,
    ended: Option<(Exit, Instant)>,
    told: bool,
}

impl Exec {
    pub(super) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// When its end is told even if its output is held open.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ended.as_ref().filter(|_| !self.told).map(|(_, at)| *at + GRACE)
    }
}

impl Supervisor {
    /// Runs a process; its number and, if it is attached, the owner of its streams.
    pub(super) fn exec(&mut self, request: ExecRequest) -> Result<(i32, Owner), Failure> {
        if self.execs.iter().any(|exec| exec.id == request.id && !exec.told) {
            return Err(failure::state("exec is running already"));
        }
        let container = match (&self.container, self.phase) {
            (Some(container), Phase::Running) => container,
            (_, Phase::Paused) => return Err(failure::state("container is paused")),
            _ => return Err(failure::state("container is not running")),
        };
        let ExecRequest { id, mut process, attach, console_size } = request;
        process.console_size = process.console_size.or(console_size);
        // The shim's own protection from the kernel's killer must not be inherited.
        process.oom_score_adj = process.oom_score_adj.or(Some(self.oom_score_adj));
        let size = process.console_size;
        let (stdio, ours) = streams(process.terminal, attach).map_err(|error| failure::internal(&error))?;
        let options = ExecOptions { process, stdio, ..ExecOptions::default() };
        let Started { pid, pidfd, console, .. } =
            container.exec(options).map_err(|error| failure::from_runtime(&error))?;
        let session = match console {
            Some(master) => {
                if let Some(size) = size {
                    // The runtime sets it as well; a terminal of another size is still a terminal.
                    let _ = pty::resize(master.as_fd(), size.height as u16, size.width as u16);
                }
                let _ = rustix::io::ioctl_fionbio(&master, true);
                Session::terminal(master, attach.stdin).unwrap_or_default()
            }
            None => ours,
        };
        // The specification was read and its filter compiled for this.
        heap::trim();
        let number = self.number();
        self.execs.push(Exec { number, id, pid, session, pidfd: Some(pidfd), ended: None, told: false });
        Ok((pid, Owner::Exec(number)))
    }

    /// An exec's process has ended: it is reaped.
    pub(super) fn exec_ended(&mut self, number: u32) {
        let Some(exec) = self.execs.iter_mut().find(|exec| exec.number == number) else { return };
        let Some(pidfd) = exec.pidfd() else { return };
        let exit = match process::try_wait(pidfd) {
            Ok(None) => return,
            Ok(Some(exit)) => exit,
            // Not ours to reap: nothing better can be said of it.
            Err(_) => process::Exit::Code(255),
        };
        exec.pidfd = None;
        exec.session.process_ended = true;
        exec.session.drop_input();
        exec.ended = Some((Exit::now(exit, false), Instant::now()));
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.pump(Owner::Exec(number), stream) == Read::Data {}
        }
    }

    /// Tells of ends when output is complete, and forgets execs that nothing holds open any more.
    pub(super) fn look_after_execs(&mut self) {
        for index in 0..self.execs.len() {
            let exec = &mut self.execs[index];
            let Some((exit, at)) = &exec.ended else { continue };
            if exec.told || exec.session.has_output() && at.elapsed() < GRACE && !self.ending.has_begun() {
                continue;
            }
            exec.told = true;
            let (number, id, exit) = (exec.number, exec.id.clone(), exit.clone());
            self.tell(&Event::ExecExit { id: id.clone(), exit: exit.clone() });
            self.answer_waiting(Some(&id), &exit);
            self.detach_all(Owner::Exec(number));
        }
        self.execs.retain(|exec| !exec.told || exec.session.has_output());
    }

    /// Lets the clients of a session go when they have taken all.
    pub(super) fn detach_all(&mut self, of: Owner) {
        for connection in &mut self.connections {
            if matches!(connection.purpose, Purpose::Attached { owner, .. } if owner == of) {
                connection.purpose = Purpose::Leaving;
            }
        }
    }
}

/// The process's ends of its streams, and ours. What isn't attached is the null device.
fn streams(terminal: bool, attach: Streams) -> crate::Result<(Stdio, Session)> {
    if terminal {
        return Ok((Stdio::Console, Session::default()));
    }
    let pipe = |wanted: bool| {
        let pipe = wanted.then(fd::pipe).transpose();
        pipe.map_err(|error| crate::Error::Call {
            action: "make a pipe",
            source: std::io::Error::from(error.errno),
        })
    };
    let ours = |file: OwnedFd| {
        let set = rustix::io::ioctl_fionbio(&file, true);
        set.map(|()| file)
            .map_err(|errno| crate::Error::Call { action: "set a pipe non-blocking", source: errno.into() })
    };
    let (stdin, input) = pipe(attach.stdin)?.unzip();
    let (stdout, output) = pipe(attach.stdout)?.map(|(read, write)| (write, read)).unzip();
    let (stderr, error) = pipe(attach.stderr)?.map(|(read, write)| (write, read)).unzip();
    let session = Session::piped(
        input.map(ours).transpose()?,
        output.map(ours).transpose()?,
        error.map(ours).transpose()?,
        true,
    );
    Ok((Stdio::Files { stdin, stdout, stderr }, session))
}
