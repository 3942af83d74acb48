//! The driver: the one task that writes a container's state.
//!
//! It serves requests in order, hears its shim's events and keeps the clock of the restart policy. It never waits for
//! a container to end: stopping with patience is the caller's business (`stop.rs`), who asks for signals and watches
//! the snapshot. So a stop that waits out its timeout blocks nobody.

use std::ops::ControlFlow;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use boxship_shim::Exit;
use boxship_shim::protocol::Event;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::configuration::Configuration;
use super::handle::{Container, Snapshot};
use super::health::{Check, Probe};
use super::network_files::Addressing;
use super::probing;
use super::request::Request;
use super::restart_policy::{Backoff, wants_restart};
use super::state::{State, Status};
use crate::network::sandbox::Sandbox;
use crate::shim_link::{ShimEvents, reap};
use crate::{Engine, Error, Result};

/// How long a shim may take to clean up after its container's end.
const SHIM_LEAVES: Duration = Duration::from_secs(30);

/// The shim of a run: there from launch until its events end.
pub(super) struct Attended {
    /// What it tells.
    pub(super) events: ShimEvents,
    /// Its process, when we started it (not when we met it again).
    pub(super) process: Option<Child>,
    /// It told of the container's end.
    pub(super) ended: bool,
}

/// See the module.
pub(crate) struct Driver {
    pub(super) engine: Engine,
    pub(super) container: Arc<Container>,
    publish: watch::Sender<Snapshot>,
    requests: mpsc::UnboundedReceiver<Request>,
    pub(super) shim: Option<Attended>,
    /// The end of the last shim's process: with it goes the last hold on the container's mounts.
    pub(super) leaving: Option<JoinHandle<()>>,
    /// Its network while it runs.
    pub(super) sandbox: Option<Sandbox>,
    /// What its files say of addresses.
    pub(super) addressing: Addressing,
    pub(super) backoff: Backoff,
    /// When the policy starts it again.
    pub(super) restart_at: Option<Instant>,
    /// A user's restart is under way.
    pub(super) restart_expected: bool,
}

impl Driver {
    pub(super) fn new(
        engine: Engine,
        container: Arc<Container>,
        publish: watch::Sender<Snapshot>,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        Self {
            engine,
            container,
            publish,
            requests,
            shim: None,
            leaving: None,
            sandbox: None,
            addressing: Addressing::default(),
            backoff: Backoff::default(),
            restart_at: None,
            restart_expected: false,
        }
    }

    /// Lives as long as the container (or the engine).
    pub(crate) async fn run(mut self) {
        let _prober = probing::watch(&self.engine, &self.container);
        loop {
            let restart_at = self.restart_at;
            let flow = tokio::select! {
                biased;
                event = next_event(&mut self.shim) => {
                    self.on_shim(event).await
                }
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await,
                    None => ControlFlow::Break(()),
                },
                () = until(restart_at) => {
                    self.restart_at = None;
                    self.restart_by_policy().await
                }
            };
            if flow.is_break() {
                return;
            }
        }
    }

    async fn serve(&mut self, request: Request) -> ControlFlow<()> {
        // Replies to callers who went away are dropped: what they asked for is done all the same.
        match request {
            Request::Start(reply) => {
                let (outcome, flow) = self.start_by_user().await;
                let _ = reply.send(outcome);
                return flow;
            }
            Request::Signal { signal, reply } => drop(reply.send(self.signal(signal).await)),
            Request::Settle(reply) => drop(reply.send(Ok(()))),
            Request::Pause(reply) => drop(reply.send(self.pause().await)),
            Request::Unpause(reply) => drop(reply.send(self.unpause().await)),
            Request::ExpectRestart(reply) => {
                self.restart_expected = self.state().is_running();
                let _ = reply.send(Ok(()));
            }
            Request::Rename { name, reply } => drop(reply.send(self.rename(&name).await)),
            Request::Connect { network, settings, reply } => {
                drop(reply.send(self.connect(&network, *settings).await));
            }
            Request::Disconnect { network, force, reply } => {
                drop(reply.send(self.disconnect(&network, force).await));
            }
            Request::Update { update, reply } => drop(reply.send(self.update(&update).await)),
            Request::Unlink { alias, reply } => drop(reply.send(self.unlink(&alias).await)),
            Request::Refresh => {
                if let Err(error) = self.refresh_files().await {
                    tracing::warn!(container = self.container.id, %error, "its files keep old addresses");
                }
            }
            Request::Probed { probe, started_at } => self.probed(probe, started_at),
            Request::Remove(reply) => {
                let outcome = self.remove().await;
                let flow = if outcome.is_ok() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
                let _ = reply.send(outcome);
                return flow;
            }
            Request::Quit(reply) => {
                let _ = reply.send(Ok(()));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// A probe of its health has ended; one of an earlier run comes too late.
    fn probed(&self, probe: Probe, started_at: i64) {
        let (state, configuration) = (self.state(), self.configuration());
        let Some(check) = Check::of(&configuration.config) else { return };
        if state.status != Status::Running || state.started_at != started_at {
            return;
        }
        let mut health = state.health.unwrap_or_default();
        let changed = health.probed(probe, &check, started_at);
        let action = format!("health_status: {}", health.verdict.word());
        self.change(|state| state.health = Some(health));
        if changed {
            self.engine.tell_container(&configuration, &action, &[]);
        }
    }

    /// How it is.
    pub(super) fn state(&self) -> State {
        self.publish.borrow().state.clone()
    }

    /// What was asked.
    pub(super) fn configuration(&self) -> Arc<Configuration> {
        self.publish.borrow().configuration.clone()
    }

    /// Changes the state: everybody sees it, its row follows.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        self.publish.send_modify(|snapshot| change(&mut snapshot.state));
        self.engine.inner.rows.save_state(&self.container.id, &self.publish.borrow().state);
    }

    /// Changes the state for watchers alone: its row is gone.
    pub(super) fn show(&self, change: impl FnOnce(&mut State)) {
        self.publish.send_modify(|snapshot| change(&mut snapshot.state));
    }

    /// Shows a configuration that is durable already.
    pub(super) fn adopt(&self, configuration: Configuration) {
        self.publish.send_modify(|snapshot| snapshot.configuration = Arc::new(configuration));
    }

    /// Tells an event of this container.
    pub(super) fn tell(&self, action: &str, extra: &[(&str, String)]) {
        self.engine.tell_container(&self.configuration(), action, extra);
    }

    /// What its shim says; `None`: it is gone.
    async fn on_shim(&mut self, event: Option<Event>) -> ControlFlow<()> {
        match event {
            Some(Event::Exit(exit)) => {
                if let Some(shim) = &mut self.shim {
                    shim.ended = true;
                }
                self.on_exit(&exit).await
            }
            Some(Event::Oom) => {
                self.change(|state| state.oom_killed = true);
                self.tell("oom", &[]);
                ControlFlow::Continue(())
            }
            Some(Event::ExecExit { id, exit }) => {
                self.on_exec_exit(&id, exit.code);
                ControlFlow::Continue(())
            }
            Some(Event::Started | Event::Paused | Event::Resumed) => ControlFlow::Continue(()),
            None => self.on_shim_gone().await,
        }
    }

    /// An exec ended.
    fn on_exec_exit(&self, id: &str, code: i32) {
        if self.engine.inner.execs.ended(id, code) {
            self.tell("exec_die", &[("execID", id.to_owned()), ("exitCode", code.to_string())]);
        }
    }

    /// The container ended: state, event, and what its policy or `--rm` wants.
    pub(super) async fn on_exit(&mut self, exit: &Exit) -> ControlFlow<()> {
        let state = self.state();
        if !state.is_alive() {
            return ControlFlow::Continue(());
        }
        let configuration = self.configuration();
        let at = exit.time.as_nanosecond() as i64;
        let ran = Duration::from_nanos((at - state.started_at).max(0) as u64);
        let restart = !self.restart_expected
            && !self.engine.is_closing()
            && wants_restart(
                &configuration.host_config.restart_policy,
                exit.code,
                state.restart_count,
                state.stopped_by_user,
            );
        for id in self.engine.inner.execs.running_in(&self.container.id) {
            self.on_exec_exit(&id, 137);
        }
        // Whoever sees that it ended finds its ports and addresses free.
        let left = self.leave_networks().await;
        self.change(|state| {
            state.oom_killed |= exit.oom_killed;
            state.ended(exit.code, at, restart);
            state.restart_count += u32::from(restart);
        });
        self.tell("die", &[("execDuration", ran.as_secs().to_string()), ("exitCode", exit.code.to_string())]);
        left.iter().for_each(|network| self.tell_network("disconnect", network));
        if restart {
            self.restart_at = Some(Instant::now() + self.backoff.next(ran));
            return ControlFlow::Continue(());
        }
        if configuration.auto_remove() && !self.restart_expected {
            return self.remove_itself().await;
        }
        ControlFlow::Continue(())
    }

    /// The shim is gone. If it did not tell of the end, its record does; without one it was killed.
    async fn on_shim_gone(&mut self) -> ControlFlow<()> {
        let Some(shim) = self.shim.take() else { return ControlFlow::Continue(()) };
        self.leaving = shim.process.map(|process| tokio::spawn(reap(process)));
        if shim.ended {
            return ControlFlow::Continue(());
        }
        let exit = match self.container.shim.exit_record() {
            Some(exit) => exit,
            None => {
                tracing::warn!(container = self.container.id, "its shim ended without a word");
                self.engine.remove_leftovers(&self.container.id).await;
                Exit { code: 137, time: jiff::Timestamp::now(), oom_killed: false }
            }
        };
        self.on_exit(&exit).await
    }

    /// Waits until the shim of the last run has removed its traces. Its process may take longer to end (the kernel
    /// takes the mounts apart with it), which only a new run must wait for.
    pub(super) async fn let_shim_leave(&mut self) -> Result<()> {
        let Some(mut shim) = self.shim.take() else { return Ok(()) };
        let leaves = async { while shim.events.next().await.is_some() {} };
        if tokio::time::timeout(SHIM_LEAVES, leaves).await.is_err() {
            self.shim = Some(shim);
            return Err(Error::internal(format!(
                "the shim of container {} does not finish its work",
                self.container.id
            )));
        }
        self.leaving = shim.process.map(|process| tokio::spawn(reap(process)));
        Ok(())
    }

    /// Signals it; tells how often it had ended before. A stopping signal is the user's will: its policy obeys.
    async fn signal(&mut self, signal: i32) -> Result<u64> {
        let state = self.state();
        if !state.is_running() {
            return Err(Error::not_running(&self.container.id));
        }
        let stops = is_stopping(signal, &self.configuration());
        if stops && !self.engine.is_closing() {
            self.change(|state| state.stopped_by_user = true);
        }
        if !state.is_alive() {
            if stops {
                self.restart_at = None;
                self.change(|state| {
                    // Waiters for the end of a container that only waits to be restarted are told now.
                    state.status = super::state::Status::Exited;
                    state.exits += 1;
                });
            }
            return Ok(state.exits);
        }
        let request = boxship_shim::protocol::Request::Kill { signal, all: false };
        match self.container.shim.tell(&request).await {
            Ok(()) => {}
            // It ended by itself meanwhile: its exit is on the way.
            Err(_) if self.container.shim.exit_record().is_some() => {}
            Err(error) => {
                let message = format!("Cannot kill container {}: {error}", self.container.id);
                return Err(Error::new(error.kind(), message));
            }
        }
        if stops && state.status == super::state::Status::Paused {
            // Frozen processes see no signal; that it is thawed is shown by its end.
            let _ = self.container.shim.tell(&boxship_shim::protocol::Request::Resume).await;
            self.change(|state| state.status = super::state::Status::Running);
        }
        self.tell("kill", &[("signal", signal.to_string())]);
        Ok(state.exits)
    }

    /// Whether starts are still allowed.
    pub(super) fn check_open(&self) -> Result<()> {
        if self.engine.inner.closing.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the engine is shutting down"));
        }
        Ok(())
    }
}

/// Whether a user who sends it wants the container to end.
fn is_stopping(signal: i32, configuration: &Configuration) -> bool {
    const INT: i32 = 2;
    const QUIT: i32 = 3;
    const KILL: i32 = 9;
    const TERM: i32 = 15;
    match configuration.config.stop_signal.is_empty() {
        true => matches!(signal, INT | QUIT | KILL | TERM),
        false => signal == KILL || signal == configuration.stop_signal(),
    }
}

async fn next_event(shim: &mut Option<Attended>) -> Option<Event> {
    match shim {
        Some(shim) => shim.events.next().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_signals_stop() {
        let mut configuration = Configuration::default();
        for (signal, expect) in [(9, true), (15, true), (2, true), (1, false), (10, false)] {
            assert_eq!(is_stopping(signal, &configuration), expect, "{signal}");
        }
        configuration.config.stop_signal = "SIGQUIT".into();
        for (signal, expect) in [(9, true), (3, true), (15, false)] {
            assert_eq!(is_stopping(signal, &configuration), expect, "{signal}");
        }
    }
}
