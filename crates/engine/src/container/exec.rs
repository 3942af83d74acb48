//! Exec: further processes in a running container.
//!
//! ```text
//! created ──start──▶ running ──(its process ends)──▶ ended ──(minutes)──▶ forgotten
//!     └──(start fails: 126, 127)───────────────────────┘
//! ```
//! Their state is here, not in the container's; the news of an end comes through the container's driver. They are
//! forgotten with their container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boxship_api as api;
use boxship_shim::protocol::{self, FailureKind, Request as Ask, Streams};
use tokio::sync::watch;

use super::Attachment;
use super::attach::{Shape, Source};
use super::detach_keys::DetachKeys;
use super::handle::{Container, Snapshot};
use super::names;
use super::state::Status;
use crate::shim_link::Joined;
use crate::{Engine, Error, Kind, Result, error::blocking, spec};

/// How long an ended exec can be asked about.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Never more than so many remembered per engine.
const MOST: usize = 10_000;

/// Where an exec is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Created,
    Starting,
    Running { pid: i32 },
    Ended { pid: i32, code: i32, at: Instant },
}

/// One exec.
pub(crate) struct Exec {
    pub(super) id: String,
    container: String,
    config: api::exec::ExecCreateRequest,
    user: String,
    phase: watch::Sender<Phase>,
}

impl Exec {
    /// Waits until it has ended.
    pub(super) async fn wait_ended(&self) {
        // An error: nobody writes it any more.
        let _ = self.phase.subscribe().wait_for(|phase| matches!(phase, Phase::Ended { .. })).await;
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    fn streams(&self) -> Streams {
        Streams {
            stdin: self.config.attach_stdin,
            stdout: self.config.attach_stdout,
            stderr: self.config.attach_stderr,
        }
    }

    /// Takes the right to start it.
    fn claim(&self) -> Result<()> {
        let mut outcome = Ok(());
        self.phase.send_modify(|phase| match phase {
            Phase::Created => *phase = Phase::Starting,
            Phase::Starting | Phase::Running { .. } => {
                outcome = Err(Error::conflict(format!("exec command {} is already running", self.id)));
            }
            Phase::Ended { .. } => {
                outcome = Err(Error::conflict(format!("exec command {} has already run", self.id)));
            }
        });
        outcome
    }

    fn words(&self) -> String {
        self.config.cmd.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// All execs, by id.
#[derive(Default)]
pub(crate) struct Execs {
    by_id: Mutex<HashMap<String, Arc<Exec>>>,
}

impl Execs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one; forgets those that ended long ago.
    fn insert(&self, exec: Arc<Exec>) {
        let mut all = self.lock();
        all.retain(|_, exec| !matches!(exec.phase(), Phase::Ended { at, .. } if at.elapsed() > REMEMBERED));
        if all.len() >= MOST {
            all.retain(|_, exec| !matches!(exec.phase(), Phase::Ended { .. } | Phase::Created));
        }
        all.insert(exec.id.clone(), exec);
    }

    fn find(&self, id: &str) -> Result<Arc<Exec>> {
        self.lock().get(id).cloned().ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    /// Records the end of one; false when it is unknown or ended before.
    pub(crate) fn ended(&self, id: &str, code: i32) -> bool {
        let Some(exec) = self.lock().get(id).cloned() else { return false };
        exec.phase.send_if_modified(|phase| {
            let pid = match *phase {
                Phase::Ended { .. } => return false,
                Phase::Running { pid } => pid,
                Phase::Created | Phase::Starting => 0,
            };
            *phase = Phase::Ended { pid, code, at: Instant::now() };
            true
        })
    }

    /// Ids of those that run in a container.
    pub(crate) fn running_in(&self, container: &str) -> Vec<String> {
        let all = self.lock();
        let runs = |exec: &&Arc<Exec>| {
            exec.container == container && matches!(exec.phase(), Phase::Running { .. } | Phase::Starting)
        };
        let mut ids: Vec<_> = all.values().filter(runs).map(|exec| exec.id.clone()).collect();
        ids.sort();
        ids
    }

    /// Forgets one that nobody will ask about.
    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Forgets those of a container that is gone.
    pub(crate) fn forget_container(&self, container: &str) {
        self.lock().retain(|_, exec| exec.container != container);
    }
}

/// The container must run: in Docker's words if not.
fn check_running(container: &Container, reference: &str) -> Result<()> {
    match container.state().status {
        Status::Running => Ok(()),
        Status::Paused => Err(Error::conflict(format!(
            "Container {reference} is paused, unpause the container before exec"
        ))),
        Status::Restarting => Err(Error::restarting(&container.id)),
        _ => Err(Error::not_running(&container.id)),
    }
}

impl Engine {
    /// `POST /containers/{id}/exec`.
    pub async fn exec_create(
        &self,
        reference: &str,
        config: api::exec::ExecCreateRequest,
    ) -> Result<api::exec::ExecCreateResponse> {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        let container = self.inner.registry.find(reference)?;
        check_running(&container, reference)?;
        DetachKeys::parse(&config.detach_keys, "escape")?;
        let configuration = container.configuration();
        let user = match config.user.is_empty() {
            true => configuration.config.user.clone(),
            false => config.user.clone(),
        };
        let exec = Arc::new(Exec {
            id: names::new_id()?.as_str().to_owned(),
            container: container.id.clone(),
            user,
            config,
            phase: watch::channel(Phase::Created).0,
        });
        let action = format!("exec_create: {}", exec.words());
        self.tell_container(&configuration, &action, &[("execID", exec.id.clone())]);
        let id = exec.id.clone();
        self.inner.execs.insert(exec);
        Ok(api::exec::ExecCreateResponse { id })
    }

    /// `POST /exec/{id}/start` with `Detach`: returns when it runs.
    pub async fn exec_start_detached(
        &self,
        exec_id: &str,
        config: api::exec::ExecStartRequest,
    ) -> Result<()> {
        let (exec, container) = self.find_exec(exec_id)?;
        exec.claim()?;
        self.run_exec(&exec, &container, &config, Streams::default()).await.map(drop)
    }

    /// `POST /exec/{id}/start` attached: joined before the process starts.
    pub async fn exec_start(&self, exec_id: &str, config: api::exec::ExecStartRequest) -> Result<Attachment> {
        let (exec, container) = self.find_exec(exec_id)?;
        let keys = DetachKeys::parse(&exec.config.detach_keys, "escape")?;
        let streams = exec.streams();
        exec.claim()?;
        let tty = exec.config.tty;
        // The connection is a stream by now, as Docker sees it: a failure is told in it, the code by inspect.
        let source = match self.run_exec(&exec, &container, &config, streams).await {
            Ok(joined) if streams.any() => Source::Ready(joined),
            Ok(_) => Source::None,
            Err(error) => Source::Message(format!("{error}\r\n")),
        };
        Ok(Attachment {
            tty: config.tty,
            engine: self.clone(),
            container,
            exec: Some(exec),
            source,
            replay: None,
            stdin: streams.stdin,
            keys: tty.then_some(keys),
            shape: Shape::new(tty, config.tty),
        })
    }

    fn find_exec(&self, exec_id: &str) -> Result<(Arc<Exec>, Arc<Container>)> {
        let exec = self.inner.execs.find(exec_id)?;
        let container =
            self.inner.registry.by_id(&exec.container).ok_or_else(|| Error::no_container(exec_id))?;
        check_running(&container, &container.id)?;
        Ok((exec, container))
    }

    /// Starts the claimed process; a failure is its end, with the code a shell would give.
    async fn run_exec(
        &self,
        exec: &Arc<Exec>,
        container: &Arc<Container>,
        config: &api::exec::ExecStartRequest,
        attach: Streams,
    ) -> Result<Joined> {
        let configuration = container.configuration();
        let action = format!("exec_start: {}", exec.words());
        self.tell_container(&configuration, &action, &[("execID", exec.id.clone())]);
        let size = config.console_size.or(exec.config.console_size);
        let outcome = match self.exec_process(exec, container).await {
            Ok(process) => {
                let console_size =
                    size.map(|[height, width]| boxship_oci::runtime::ConsoleSize { height, width });
                let request = protocol::ExecRequest { id: exec.id.clone(), process, attach, console_size };
                container.shim.exec(request).await.map_err(refused)
            }
            Err(error) => Err((126, error)),
        };
        match outcome {
            Ok((pid, joined)) => {
                // Unless its end was told already.
                exec.phase.send_if_modified(|phase| {
                    let starting = *phase == Phase::Starting;
                    if starting {
                        *phase = Phase::Running { pid };
                    }
                    starting
                });
                Ok(joined)
            }
            Err((code, error)) => {
                self.inner.execs.ended(&exec.id, code);
                Err(error)
            }
        }
    }

    /// The process, derived from the specification that the container was started with.
    async fn exec_process(
        &self,
        exec: &Arc<Exec>,
        container: &Arc<Container>,
    ) -> Result<boxship_oci::runtime::Process> {
        let path = self.store().paths().exec_container(&container.id).join("config.json");
        let (exec, Snapshot { configuration, .. }) = (exec.clone(), container.snapshot());
        let engine = self.clone();
        blocking(move || {
            let unreadable = |error: &dyn std::fmt::Display| {
                Error::internal(format!("read specification of container {}: {error}", configuration.id))
            };
            let text = std::fs::read(&path).map_err(|error| unreadable(&error))?;
            let spec = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
            let (config, host_config) = (&configuration.config, &configuration.host_config);
            spec::exec_process(&spec, config, host_config, &exec.config, &engine.inner.host)
        })
        .await
    }

    /// `POST /exec/{id}/resize`.
    pub async fn exec_resize(&self, exec_id: &str, height: u16, width: u16) -> Result<()> {
        let (exec, container) = self.find_exec(exec_id)?;
        let mut phase = exec.phase.subscribe();
        let started = phase.wait_for(|phase| matches!(phase, Phase::Running { .. } | Phase::Ended { .. }));
        // The client resizes as soon as it asked for the start.
        let phase = match tokio::time::timeout(Duration::from_secs(10), started).await {
            Ok(Ok(phase)) => *phase,
            _ => return Err(Error::internal("timeout waiting for exec session ready")),
        };
        match phase {
            Phase::Running { .. } => {
                let ask = Ask::Resize { exec: Some(exec.id.clone()), height, width };
                container.shim.tell(&ask).await
            }
            _ => Err(Error::invalid("exec process is not started")),
        }
    }

    /// `GET /exec/{id}/json`.
    pub async fn exec_inspect(&self, exec_id: &str) -> Result<api::exec::ExecInspectResponse> {
        let exec = self.inner.execs.find(exec_id)?;
        let (running, exit_code, pid) = match exec.phase() {
            Phase::Created | Phase::Starting => (false, None, 0),
            Phase::Running { pid } => (true, None, pid),
            Phase::Ended { pid, code, .. } => (false, Some(code.into()), pid),
        };
        let mut words = exec.config.cmd.iter().flatten().cloned();
        Ok(api::exec::ExecInspectResponse {
            id: exec.id.clone(),
            running,
            exit_code,
            process_config: api::exec::ExecProcessConfig {
                tty: exec.config.tty,
                entrypoint: words.next().unwrap_or_default(),
                arguments: Some(words.collect()),
                privileged: Some(exec.config.privileged),
                user: exec.user.clone(),
            },
            open_stdin: exec.config.attach_stdin,
            open_stderr: exec.config.attach_stderr,
            open_stdout: exec.config.attach_stdout,
            can_remove: false,
            container_id: exec.container.clone(),
            detach_keys: String::new(),
            pid: pid.into(),
        })
    }
}

/// What Docker says before its runtime's words.
const PREFIX: &str = "OCI runtime exec failed: exec failed: unable to start container process: ";

/// Code and words of an exec that could not be started.
fn refused(error: boxship_shim::Error) -> (i32, Error) {
    let kind = match &error {
        boxship_shim::Error::Refused(failure) => failure.kind,
        _ => FailureKind::Internal,
    };
    let (code, text) = super::start::explain(error);
    let text = super::start::as_of_runtime(PREFIX, text);
    let error_kind = match (kind, code) {
        (FailureKind::State, _) => Kind::Conflict,
        (FailureKind::Internal, 128) => Kind::Internal,
        _ => Kind::Invalid,
    };
    // Docker's code of an exec that did not start for any other reason is 126.
    (if code == 128 { 126 } else { code }, Error::new(error_kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(id: &str, container: &str) -> Arc<Exec> {
        Arc::new(Exec {
            id: id.into(),
            container: container.into(),
            config: api::exec::ExecCreateRequest::default(),
            user: String::new(),
            phase: watch::channel(Phase::Created).0,
        })
    }

    #[test]
    fn a_life() {
        let execs = Execs::default();
        let one = exec("e1", "c1");
        execs.insert(one.clone());
        execs.insert(exec("e2", "c2"));
        one.claim().unwrap();
        assert_eq!(one.claim().unwrap_err().to_string(), "exec command e1 is already running");
        assert_eq!(execs.running_in("c1"), ["e1"]);
        assert!(execs.ended("e1", 3));
        assert!(!execs.ended("e1", 4), "told once");
        assert!(!execs.ended("nobody", 4));
        assert_eq!(one.claim().unwrap_err().to_string(), "exec command e1 has already run");
        execs.forget_container("c1");
        assert_eq!(execs.find("e1").err().unwrap().to_string(), "No such exec instance: e1");
        assert!(execs.find("e2").is_ok());
    }
}
