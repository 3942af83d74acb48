//! The commands that move a container along its life: start, kill, pause, resume, delete; and its state.

use boxship_oci::runtime::Status;
use boxship_runtime::{Container, Error};
use boxship_sys::signal::Signal;

use super::arguments::{Arguments, Flag, switch};
use super::failure::{Failure, Result};
use super::list::Entry;
use super::{Context, print};

pub(super) const KILL_FLAGS: &[Flag] =
    &[switch("all", Some('a'), "send it to every process of the container")];
pub(super) const DELETE_FLAGS: &[Flag] = &[switch("force", Some('f'), "kill the container first if it runs")];

pub(super) fn start(context: &Context, arguments: &Arguments) -> Result<u8> {
    let container = context.container(arguments)?;
    match container.status()? {
        Status::Created => container.start()?,
        Status::Stopped => return Err(Failure::new("cannot start a container that has stopped")),
        Status::Running => return Err(Failure::new("cannot start an already running container")),
        other => return Err(Failure::new(format!("cannot start a container in the {other} state"))),
    }
    Ok(0)
}

pub(super) fn kill(context: &Context, arguments: &Arguments) -> Result<u8> {
    let container = context.container(arguments)?;
    let all = arguments.has("all");
    let text = arguments.rest.get(1).map_or("SIGTERM", String::as_str);
    // Signal 0 only asks whether the container runs.
    if text == "0" {
        return if is_alive(&container)? { Ok(0) } else { Err(not_running()) };
    }
    let signal = Signal::parse(text).ok_or_else(|| Failure::new(format!("unknown signal {text:?}")))?;
    if !all && !is_alive(&container)? {
        return Err(not_running());
    }
    match container.kill(signal, all) {
        // A stopped container may have left processes behind; with --all none is no failure.
        Err(Error::Status { .. }) if all => Ok(0),
        Err(Error::Status { .. }) => Err(not_running()),
        other => Ok(other.map(|()| 0)?),
    }
}

fn is_alive(container: &Container) -> Result<bool> {
    Ok(container.status()? != Status::Stopped)
}

/// The words that engines look for.
fn not_running() -> Failure {
    Failure::new("container not running")
}

pub(super) fn pause(context: &Context, arguments: &Arguments) -> Result<u8> {
    context.container(arguments)?.pause()?;
    Ok(0)
}

pub(super) fn resume(context: &Context, arguments: &Arguments) -> Result<u8> {
    context.container(arguments)?.resume()?;
    Ok(0)
}

pub(super) fn delete(context: &Context, arguments: &Arguments) -> Result<u8> {
    let force = arguments.has("force");
    let id = arguments.rest.first().map(String::as_str).unwrap_or_default();
    if id.is_empty() {
        return Err(Failure::new("container id cannot be empty"));
    }
    let container = match Container::load(&context.root, id) {
        Err(Error::NotFound { .. }) if force => return Ok(0),
        other => other?,
    };
    match container.status()? {
        Status::Stopped => container.delete(force)?,
        // What waits since creation has run nothing: no force is needed.
        Status::Created => container.delete(true)?,
        _ if force => container.delete(true)?,
        other => {
            return Err(Failure::new(format!("cannot delete container {id} that is not stopped: {other}")));
        }
    }
    Ok(0)
}

pub(super) fn state(context: &Context, arguments: &Arguments) -> Result<u8> {
    let entry = Entry::of(&context.container(arguments)?)?;
    print(&serde_json::to_string_pretty(&entry)?)
}

pub(super) fn checkpoint(_: &Context, _: &Arguments) -> Result<u8> {
    Err(Failure::new("checkpoint is not supported by this runtime: stop the container instead"))
}

pub(super) fn restore(_: &Context, _: &Arguments) -> Result<u8> {
    Err(Failure::new("restore is not supported by this runtime: create the container anew"))
}
