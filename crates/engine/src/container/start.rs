//! Start: a list of small steps. What fails leaves nothing behind and is told in Docker's words.

use std::ops::ControlFlow;
use std::path::PathBuf;

use boxship_oci::ContainerId;
use boxship_oci::runtime::Spec;
use boxship_shim::protocol::{FailureKind, LaunchRequest, Request as Ask};

use super::configuration::Configuration;
use super::driver::{Attended, Driver};
use super::health::{Check, Health};
use super::network_files::Addressing;
use super::request::Request;
use super::state::{self, Status};
use super::{log_target, network, network_files, specification};
use crate::network::sandbox::Sandbox;
use crate::shim_link::{self, ShimEvents};
use crate::spec::Joined;
use crate::{Engine, Error, Kind, Result, error::blocking};

/// What Docker's layers put before the runtime's own words; clients look for parts of it.
const PREFIX: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: \
                      runc create failed: unable to start container process: ";

const NOT_A_DIRECTORY: &str = "Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified \
                               host path exists and is the expected type";

/// A start that failed: the code its state keeps, the error its caller gets.
struct Failed {
    code: i32,
    error: Error,
}

impl From<Error> for Failed {
    /// Anything before the runtime: Docker's "unknown error" code.
    fn from(error: Error) -> Self {
        Self { code: 128, error }
    }
}

impl Engine {
    /// `POST /containers/{id}/start`; `NotModified` when it runs already.
    pub async fn container_start(&self, reference: &str) -> Result<()> {
        self.inner.registry.find(reference)?.ask(Request::Start).await
    }
}

impl Driver {
    /// A user starts it.
    pub(super) async fn start_by_user(&mut self) -> (Result<()>, ControlFlow<()>) {
        if let Err(error) = self.check_startable() {
            return (Err(error), ControlFlow::Continue(()));
        }
        self.restart_expected = false;
        self.backoff.reset();
        self.change(|state| {
            state.restart_count = 0;
            state.stopped_by_user = false;
        });
        self.start().await
    }

    /// Its policy starts it again. A start that fails ends the policy's efforts.
    pub(super) async fn restart_by_policy(&mut self) -> ControlFlow<()> {
        if self.engine.is_closing() {
            return ControlFlow::Continue(());
        }
        let (outcome, flow) = self.start().await;
        if let Err(error) = outcome {
            tracing::warn!(container = self.container.id, %error, "not restarted");
        }
        flow
    }

    fn check_startable(&self) -> Result<()> {
        self.check_open()?;
        match self.state().status {
            Status::Paused => Err(Error::conflict("cannot start a paused container, try unpause instead")),
            Status::Running | Status::Restarting => Err(Error::not_modified("container is already running")),
            Status::Removing | Status::Dead => {
                Err(Error::conflict("container is marked for removal and cannot be started"))
            }
            Status::Created | Status::Exited => Ok(()),
        }
    }

    /// Starts it, whoever wants it; the failure is recorded, and `--rm` removes what could not be started.
    async fn start(&mut self) -> (Result<()>, ControlFlow<()>) {
        match self.launch().await {
            Ok(()) => (Ok(()), ControlFlow::Continue(())),
            Err(failed) => {
                drop(self.container.take_waiting());
                self.change(|state| state.start_failed(failed.code, &failed.error.to_string()));
                let flow = match self.configuration().auto_remove() {
                    true => self.remove_itself().await,
                    false => ControlFlow::Continue(()),
                };
                (Err(failed.error), flow)
            }
        }
    }

    /// From state to process. The shim is listened to before the program starts: no end is too quick to be heard.
    async fn launch(&mut self) -> Result<(), Failed> {
        self.let_shim_leave().await?;
        if let Some(leaving) = self.leaving.take() {
            // Two overlays must not share one upper folder.
            let _ = leaving.await;
        }
        let outcome = self.launch_shim().await;
        if outcome.is_err() {
            self.leave_networks().await;
        }
        outcome
    }

    /// The network is set up while the shim makes the container; its program starts when both are done.
    async fn launch_shim(&mut self) -> Result<(), Failed> {
        let request = self.prepare().await?;
        let raise = network::raise(self.engine.clone(), self.configuration(), self.sandbox.take());
        let (raised, launched) = tokio::join!(raise, self.engine.inner.launcher.launch(request));
        self.sandbox = raised.sandbox;
        let launched = match launched {
            Ok(launched) => launched,
            Err(error) => {
                self.discard_bundle().await;
                return Err(refused(error));
            }
        };
        let released = match (raised.outcome, self.container.shim.events().await) {
            (Err(error), _) => Err(network::explain(error).into()),
            (Ok(()), Ok((_, events))) => match self.relay_ports().await {
                Ok(()) => self.release().await.map(|()| events),
                Err(error) => Err(network::explain(error).into()),
            },
            (Ok(()), Err(error)) => Err(refused(error)),
        };
        match released {
            Ok(events) => {
                self.attend(events, Some(launched.shim));
                let (pid, at) = (launched.pid.unsigned_abs(), state::now());
                let health = Check::of(&self.configuration().config).map(|_| Health::default());
                let connections = self.connections();
                self.tell_joined();
                self.change(|state| {
                    state.started(pid, at);
                    state.health = health;
                    state.network = connections;
                });
                self.tell("start", &[]);
                self.tell_linked();
                Ok(())
            }
            Err(failed) => {
                // It may be gone already, with all its traces.
                let _ = self.container.shim.tell(&Ask::Delete).await;
                shim_link::reap(launched.shim).await;
                self.discard_bundle().await;
                Err(failed)
            }
        }
    }

    /// Listens to a shim from now on.
    pub(super) fn attend(&mut self, events: ShimEvents, process: Option<std::process::Child>) {
        self.shim = Some(Attended { events, process, ended: false });
    }

    /// Joins the clients that wait, then starts the created container.
    async fn release(&self) -> Result<(), Failed> {
        for client in self.container.take_waiting() {
            match self.container.shim.attach(client.streams).await {
                // A client that went away meanwhile takes nothing with it.
                Ok(joined) => drop(client.reply.send(joined)),
                Err(error) => tracing::warn!(container = self.container.id, %error, "client not attached"),
            }
        }
        match self.container.shim.ask(&Ask::Start).await {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Gathers everything a launch needs; leases addresses, makes the namespace, the bundle and the files it mounts.
    async fn prepare(&mut self) -> Result<LaunchRequest> {
        let configuration = self.configuration();
        let joined = specification::join(&self.engine, &configuration)?;
        let engine = self.engine.clone();
        let (sandbox, request) = blocking(move || {
            let sandbox = network::create(&engine, &configuration).map_err(network::explain)?;
            let request = request(&engine, &configuration, joined, sandbox.as_ref());
            Ok((sandbox, request))
        })
        .await?;
        self.sandbox = sandbox;
        let (request, addressing) = request?;
        self.addressing = addressing;
        Ok(request)
    }

    async fn discard_bundle(&self) {
        let directory = self.engine.store().paths().exec_container(&self.container.id);
        let removed = blocking(move || Ok(remove_folder(&directory)?)).await;
        if let Err(error) = removed {
            tracing::warn!(container = self.container.id, %error, "bundle not removed");
        }
    }
}

/// What the shim is told; the bundle and the files it mounts are made.
fn request(
    engine: &Engine,
    configuration: &Configuration,
    joined: Joined,
    sandbox: Option<&Sandbox>,
) -> Result<(LaunchRequest, Addressing)> {
    let paths = engine.store().paths();
    let directory = paths.exec_container(&configuration.id);
    let addressing = network::addressing(engine, configuration, sandbox, true)?;
    let files = network_files::write(engine, configuration, &addressing)?;
    let namespace = sandbox.and_then(Sandbox::path);
    let spec = specification::derive(engine, configuration, joined, namespace, &files)?;
    write_bundle(&directory, &spec)?;
    let request = LaunchRequest {
        id: parse_id(configuration)?,
        bundle: directory.clone(),
        rootfs: Some(engine.root_of(&configuration.id)?),
        runtime_root: paths.runtime(),
        open_stdin: configuration.config.open_stdin,
        stdin_once: configuration.config.stdin_once,
        log: log_target::of(engine, configuration)?,
        directory,
        spec,
        start: false,
    };
    Ok((request, addressing))
}

fn parse_id(configuration: &Configuration) -> Result<ContainerId> {
    configuration.id.parse().map_err(|error| Error::caused(Kind::Internal, "read a container's id", error))
}

/// A new folder for the run (what the last one left is removed), for root only, with the specification in it: execs
/// are derived from it, also by an engine that comes later.
fn write_bundle(directory: &PathBuf, spec: &Spec) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    remove_folder(directory)?;
    let failed =
        |error| Error::caused(Kind::Internal, format!("write bundle {}", directory.display()), error);
    std::fs::DirBuilder::new().mode(0o700).create(directory).map_err(failed)?;
    let text = serde_json::to_vec(spec).expect("specifications have string keys only");
    std::fs::write(directory.join("config.json"), text).map_err(failed)
}

/// Removes a folder and all in it; it may be gone already.
pub(super) fn remove_folder(directory: &PathBuf) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Docker's code, status and words for a start that shim or runtime refused.
fn refused(error: boxship_shim::Error) -> Failed {
    let invalid =
        matches!(&error, boxship_shim::Error::Refused(failure) if failure.kind == FailureKind::Invalid);
    let (code, text) = explain(error);
    let kind = if code != 128 || invalid { Kind::Invalid } else { Kind::Internal };
    Failed { code, error: Error::new(kind, as_of_runtime(PREFIX, text)) }
}

/// The words of a refusal by the runtime; users and groups Docker looks up before it asks its runtime.
pub(super) fn as_of_runtime(prefix: &str, text: String) -> String {
    if text.starts_with("unable to find ") { text } else { format!("{prefix}{text}") }
}

/// The exit code that Docker gives a process that could not be started, and the reason with Docker's additions.
/// (Docker has only the text to go by, and adds "permission denied" so that its client finds it.)
pub(super) fn explain(error: boxship_shim::Error) -> (i32, String) {
    let kind = match &error {
        boxship_shim::Error::Refused(failure) => Some(failure.kind),
        _ => None,
    };
    let text = shim_link::into_error(error).to_string();
    let lower = text.to_lowercase();
    let says = |words: &str| lower.contains(words);
    match kind {
        _ if says("permission denied") => (126, text),
        _ if says("is a directory") => (126, format!("{text}: permission denied")),
        _ if says("not a directory") => (127, format!("{text}: {NOT_A_DIRECTORY}")),
        _ if says("executable file not found") || says("no such file or directory") => (127, text),
        Some(FailureKind::CommandNotExecutable) => (126, text),
        Some(FailureKind::CommandNotFound) => (127, text),
        _ => (128, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_shim::protocol::Failure;

    #[test]
    fn folders_are_told_as_docker_tells_them() {
        let failure = Failure::new(FailureKind::CommandNotExecutable, "exec: \"/etc\": is a directory");
        assert_eq!(
            explain(failure.into()),
            (126, "exec: \"/etc\": is a directory: permission denied".to_owned())
        );
        let failure = Failure::new(FailureKind::Internal, "mount x: not a directory");
        assert_eq!(explain(failure.into()).0, 127);
    }

    #[test]
    fn codes_of_failed_starts() {
        for (kind, message, code, outcome) in [
            (
                FailureKind::CommandNotFound,
                "exec: \"foo\": executable file not found in $PATH",
                127,
                Kind::Invalid,
            ),
            (FailureKind::CommandNotExecutable, "exec: \"/x\": permission denied", 126, Kind::Invalid),
            (FailureKind::CommandNotExecutable, "exec: \"/x\": exec format error", 126, Kind::Invalid),
            (FailureKind::Internal, "mount /x: no such file or directory", 127, Kind::Invalid),
            (FailureKind::Internal, "write cgroup: invalid argument", 128, Kind::Internal),
        ] {
            let failed = refused(Failure::new(kind, message).into());
            assert_eq!((failed.code, failed.error.kind()), (code, outcome), "{message}");
            let text = failed.error.to_string();
            assert!(text.starts_with("failed to create task for container") && text.ends_with(message));
        }
    }
}
