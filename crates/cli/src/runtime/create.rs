//! `create` and `run`: from a bundle to a container, and with `run` to its program's end.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use boxship_oci::runtime::{Process, Spec};
use boxship_runtime::{Container, CreateOptions, Started, Stdio};

use super::arguments::{Arguments, Flag, switch, value};
use super::failure::{Failure, Result};
use super::{Context, foreground};

const BUNDLE: Flag = value("bundle", Some('b'), "folder of the bundle (default: the current one)");
pub(super) const CONSOLE_SOCKET: Flag =
    value("console-socket", None, "unix socket that receives the terminal's master");
pub(super) const PIDFD_SOCKET: Flag =
    value("pidfd-socket", None, "unix socket that receives the process's pidfd");
pub(super) const PID_FILE: Flag = value("pid-file", None, "file that receives the process number");
pub(super) const PRESERVE_FDS: Flag =
    value("preserve-fds", None, "pass on this many descriptors from number 3 on (besides $LISTEN_FDS)");
const NO_PIVOT: Flag =
    switch("no-pivot", None, "move the root instead of pivoting (for a root on an initramfs)");
const NO_NEW_KEYRING: Flag = switch("no-new-keyring", None, "keep the caller's session keyring");

pub(super) const CREATE_FLAGS: &[Flag] =
    &[BUNDLE, CONSOLE_SOCKET, PIDFD_SOCKET, PID_FILE, NO_PIVOT, NO_NEW_KEYRING, PRESERVE_FDS];

pub(super) const RUN_FLAGS: &[Flag] = &[
    BUNDLE,
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    PID_FILE,
    NO_PIVOT,
    NO_NEW_KEYRING,
    PRESERVE_FDS,
    switch("detach", Some('d'), "do not wait for the program"),
    switch("keep", None, "keep the container after its program's end"),
    switch("no-subreaper", None, "do not adopt orphans of the container"),
];

pub(super) fn create(context: &Context, arguments: &Arguments) -> Result<u8> {
    boxship_sys::exe::continue_sealed()?;
    make(context, arguments, true)?;
    Ok(0)
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<u8> {
    boxship_sys::exe::continue_sealed()?;
    let detach = arguments.has("detach");
    if !arguments.has("no-subreaper") {
        boxship_sys::process::become_subreaper()?;
    }
    // Signals that arrive from now on are the container's.
    let signals = if detach { None } else { Some(boxship_sys::signalfd::SignalFd::all()?) };
    let started = make(context, arguments, detach)?;
    let container = context.container(arguments)?;
    if let Err(error) = container.start() {
        let failure = Failure::from(error);
        remove(context, container);
        return Err(failure);
    }
    let Some(signals) = signals else { return Ok(0) };
    let result = foreground::attend(started, &signals);
    if !arguments.has("keep") {
        remove(context, container);
    }
    result
}

/// What can't be removed is told, but the program's exit code counts.
fn remove(context: &Context, container: Container) {
    if let Err(error) = container.delete(true) {
        context.log.warning(&error.chain());
    }
}

fn make(context: &Context, arguments: &Arguments, detach: bool) -> Result<Started> {
    let bundle = std::path::absolute(arguments.text("bundle").unwrap_or("."))?;
    let mut spec = load_spec(&bundle)?;
    let process = spec.process.as_mut().ok_or_else(|| Failure::new("process property must not be empty"))?;
    check_process(process)?;
    let id = arguments.rest.first().cloned().unwrap_or_default();
    if id.is_empty() {
        return Err(Failure::new("container id cannot be empty"));
    }
    let stdio = stdio(process, detach, arguments)?;
    let preserve_fds = passed_on(process, arguments)?;
    warn(context, process);
    let started = boxship_runtime::create(CreateOptions {
        root: context.root.clone(),
        id,
        bundle,
        spec,
        rootfs: None,
        stdio,
        preserve_fds,
        pid_file: arguments.text("pid-file").map(std::path::absolute).transpose()?,
        no_pivot: arguments.has("no-pivot"),
        no_new_keyring: arguments.has("no-new-keyring"),
        systemd_cgroup: context.systemd_cgroup,
    })?;
    send_pidfd(&started, arguments)?;
    Ok(started)
}

/// Told first: what can't be honoured may be why the rest fails.
pub(super) fn warn(context: &Context, process: &Process) {
    for warning in boxship_runtime::warnings(process) {
        context.log.warning(&warning);
    }
}

fn load_spec(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::new("JSON specification file config.json not found"));
        }
        other => {
            other.map_err(|error| Failure::from(error).while_doing(&format!("read {}", path.display())))?
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::from(error).while_doing(&format!("parse {}", path.display())))
}

/// What every process needs, in runc's words.
pub(super) fn check_process(process: &Process) -> Result<()> {
    let fail = |message: &str| Err(Failure::new(message));
    match () {
        () if process.cwd.as_os_str().is_empty() => fail("Cwd property must not be empty"),
        () if !process.cwd.is_absolute() => fail("Cwd must be an absolute path"),
        () if process.args.is_empty() => fail("args must not be empty"),
        () => Ok(()),
    }
}

/// Where the process has its streams. A terminal joined with ours has its size from the first moment.
pub(super) fn stdio(process: &mut Process, detach: bool, arguments: &Arguments) -> Result<Stdio> {
    match (process.terminal, detach, arguments.text("console-socket")) {
        (true, true, None) => {
            Err(Failure::new("cannot allocate tty if the runtime will detach without setting console socket"))
        }
        (true, true, Some(socket)) => Ok(Stdio::ConsoleSocket(PathBuf::from(socket))),
        (_, _, Some(_)) => {
            Err(Failure::new("cannot use console socket if the runtime will not detach or allocate tty"))
        }
        (true, false, None) => {
            process.console_size = process.console_size.or_else(foreground::our_size);
            Ok(Stdio::Console)
        }
        (false, _, None) => Ok(Stdio::Inherit),
    }
}

/// How many descriptors the process inherits: those of socket activation, told to it in its environment, and those
/// asked for.
pub(super) fn passed_on(process: &mut Process, arguments: &Arguments) -> Result<u32> {
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let listening = std::env::var("LISTEN_FDS").ok().filter(|_| ours).and_then(|count| count.parse().ok());
    let listening: u32 = listening.unwrap_or(0);
    if listening > 0 {
        process.env.push(format!("LISTEN_FDS={listening}"));
        process.env.push("LISTEN_PID=1".to_owned());
    }
    let asked: u32 = arguments.number("preserve-fds")?.unwrap_or(0);
    for number in 0..asked {
        let descriptor = 3_u32.saturating_add(listening).saturating_add(number);
        if !i32::try_from(descriptor).is_ok_and(boxship_sys::fd::is_open) {
            return Err(Failure::new(format!(
                "unable to stat preserved-fd {number} (of {asked}): descriptor {descriptor} is not open"
            )));
        }
    }
    Ok(listening.saturating_add(asked))
}

pub(super) fn send_pidfd(started: &Started, arguments: &Arguments) -> Result<()> {
    if let Some(path) = arguments.text("pidfd-socket") {
        let socket = boxship_sys::fd::connect(Path::new(path))?;
        boxship_sys::fd::send(socket.as_fd(), b"pidfd", &[started.pidfd.as_fd()])?;
    }
    Ok(())
}
