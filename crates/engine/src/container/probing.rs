//! Probes containers that have a health check: one task beside the driver of each of them, which watches its state and
//! runs the check as an exec while the container runs. It writes nothing: outcomes go to the driver.

use std::sync::Arc;
use std::time::Duration;

use boxship_api::exec::{ExecCreateRequest, ExecStartRequest};
use boxship_api::framing::Decoder;
use boxship_sys::signal::Signal;
use tokio::io::AsyncReadExt;

use super::handle::Container;
use super::health::{Check, Probe};
use super::request::Request;
use super::state::{self, Status};
use crate::{Engine, Result};

/// How much of a probe's output is kept.
const MOST_OUTPUT: usize = 4096;

/// Ends its task when dropped.
pub(super) struct Prober(tokio::task::JoinHandle<()>);

impl Drop for Prober {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to watch a container; `None` when it has no check.
pub(super) fn watch(engine: &Engine, container: &Arc<Container>) -> Option<Prober> {
    let check = Check::of(&container.configuration().config)?;
    let (engine, container) = (engine.clone(), container.clone());
    Some(Prober(tokio::spawn(async move { probe_runs(&engine, &container, &check).await })))
}

/// Probes in every run of the container, until its driver is gone.
async fn probe_runs(engine: &Engine, container: &Container, check: &Check) {
    let mut watch = container.watch();
    loop {
        let running = watch.wait_for(|snapshot| snapshot.state.status == Status::Running).await;
        let Ok(run) = running.map(|snapshot| snapshot.state.started_at) else { return };
        let over = watch.wait_for(|snapshot| {
            snapshot.state.status != Status::Running || snapshot.state.started_at != run
        });
        tokio::select! {
            () = probe_run(engine, container, check, run) => {}
            outcome = over => if outcome.is_err() { return },
        }
    }
}

async fn probe_run(engine: &Engine, container: &Container, check: &Check, started_at: i64) {
    loop {
        let health = container.state().health.unwrap_or_default();
        let running = Duration::from_nanos((state::now() - started_at).max(0).unsigned_abs());
        tokio::time::sleep(check.pause(&health, running)).await;
        let probe = probe(engine, container, check).await;
        container.tell(Request::Probed { probe, started_at });
    }
}

/// One probe: runs the command, reads what it says, and kills it when it takes too long.
async fn probe(engine: &Engine, container: &Container, check: &Check) -> Probe {
    let start = state::now();
    let (code, output) = match run(engine, container, check).await {
        Ok(outcome) => outcome,
        Err(error) => (-1, error.to_string()),
    };
    Probe { start, end: state::now(), code, output }
}

async fn run(engine: &Engine, container: &Container, check: &Check) -> Result<(i32, String)> {
    let request = ExecCreateRequest {
        cmd: Some(check.command.clone()),
        attach_stdout: true,
        attach_stderr: true,
        ..ExecCreateRequest::default()
    };
    let exec = engine.exec_create(&container.id, request).await?.id;
    let attachment = engine.exec_start(&exec, ExecStartRequest::default()).await?;
    let (ours, theirs) = tokio::io::duplex(MOST_OUTPUT);
    let mut output = Vec::new();
    let conversation = async {
        let moved = attachment.run(tokio::io::empty(), theirs);
        let (end, ()) = tokio::join!(moved, collect(ours, &mut output));
        end.map(drop)
    };
    let outcome = tokio::time::timeout(check.timeout, conversation).await;
    let text = String::from_utf8_lossy(&output).into_owned();
    let result = match outcome {
        Ok(Ok(())) => {
            let code = engine.exec_inspect(&exec).await?.exit_code.unwrap_or(-1);
            Ok((i32::try_from(code).unwrap_or(-1), text))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            kill(engine, &exec).await;
            let colon = if text.is_empty() { "" } else { ": " };
            Ok((-1, format!("Health check exceeded timeout ({:?}){colon}{text}", check.timeout)))
        }
    };
    engine.inner.execs.forget(&exec);
    result
}

/// Reads frames to their end and keeps the first bytes of what is in them.
async fn collect(mut stream: tokio::io::DuplexStream, output: &mut Vec<u8>) {
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; MOST_OUTPUT]);
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let mut rest = &buffer[..length];
        while let Ok(Some((_, payload))) = decoder.next(&mut rest) {
            let room = MOST_OUTPUT - output.len();
            output.extend_from_slice(&payload[..payload.len().min(room)]);
        }
    }
}

/// Kills a probe that hangs. Its shim holds it until it is reaped, so the number is still its own.
async fn kill(engine: &Engine, exec: &str) {
    let Ok(running) = engine.exec_inspect(exec).await else { return };
    let pid = i32::try_from(running.pid).ok().filter(|&pid| pid > 0 && running.running);
    if let Some(held) = pid.and_then(|pid| boxship_sys::process::open(pid).ok()) {
        use std::os::fd::AsFd;
        // It may end just now by itself.
        let _ = boxship_sys::signal::send(held.as_fd(), Signal::KILL);
    }
}
