//! The shim's process: out of its parent's session, its container created, then supervising.

use std::{
    fs,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    process::ExitCode,
};

use boxship_oci::{
    OverlayMount,
    runtime::{Mount, NamespaceKind, Spec},
};
use boxship_runtime::{Container, CreateOptions, Started, Stdio};
use boxship_sys::{exe, fd, heap, path, process, signal::Signal, signal_wait};

use crate::{
    Error, Result,
    log::Writer,
    protocol::{self, Failure, FailureKind, LaunchRequest, LaunchResponse},
    supervise::{Parts, Streams, Supervisor, failure},
};

/// As containerd's shim: the kernel should find nearly everybody else first when memory is short.
const OOM_SCORE: &str = "-999";

/// The hidden `shim` role: standard input is the socket of the launch.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // Who launched it has been told already, or is gone.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> Result<()> {
    heap::stay_small();
    exe::continue_sealed().map_err(call("run from a sealed executable"))?;
    let mut socket = detach()?;
    let supervisor = match receive(&mut socket).and_then(|request| launch(request, &mut socket)) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            let failure = match error {
                Error::Refused(failure) => failure,
                other => failure::internal(&other),
            };
            answer(&mut socket, &LaunchResponse::Failed(failure));
            return Err(Error::Silent { id: String::new() });
        }
    };
    drop(socket);
    // Most of what was needed so far is never needed again.
    heap::trim();
    heap::forget_code();
    supervisor.run();
    Ok(())
}

/// Leaves everything that ties this process to the one that started it, but the socket.
fn detach() -> Result<UnixStream> {
    let socket = fd::duplicate_number(0).map_err(call("take over the launch socket"))?;
    let null = path::open_null_device().map_err(call("open the null device"))?;
    for number in 0..3 {
        fd::place(null.as_fd(), number).map_err(call("let go of standard streams"))?;
    }
    // Already a leader when started by hand from a shell: then it has a session that is good enough.
    let _ = process::start_session();
    for name in ["HUP", "INT", "QUIT", "TERM", "PIPE", "USR1", "USR2", "ALRM"] {
        // A signal meant for the daemon (`killall -HUP boxship`) must not end containers.
        if let Some(signal) = Signal::parse(name) {
            signal_wait::ignore(signal).map_err(call("ignore a signal"))?;
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    std::env::set_current_dir("/").map_err(Error::file("enter", "/"))?;
    // Not permitted without CAP_SYS_RESOURCE: then it stays as it is.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    Ok(UnixStream::from(socket))
}

fn receive(socket: &mut UnixStream) -> Result<LaunchRequest> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(line) = protocol::take_line(&mut received)? {
            return protocol::decode(&line, "launch request");
        }
        match socket
            .read(&mut buffer)
            .map_err(|source| Error::Talk { action: "read launch request for", source })?
        {
            0 => {
                return Err(Error::Talk {
                    action: "read launch request for",
                    source: io::ErrorKind::UnexpectedEof.into(),
                });
            }
            length => received.extend_from_slice(&buffer[..length]),
        }
    }
}

/// The launcher may have died meanwhile: the container is there all the same, for the next one to find.
fn answer(socket: &mut UnixStream, response: &LaunchResponse) {
    let _ = socket.write_all(&protocol::encode(response));
    let _ = socket.shutdown(std::net::Shutdown::Both);
}

/// Creates the container, answers, and leaves a supervisor; or leaves nothing.
fn launch(request: LaunchRequest, socket: &mut UnixStream) -> Result<Supervisor> {
    let log = Writer::open(&request.log)?;
    let path = protocol::socket_path(&request.directory);
    let listener = listen(&request.directory)?;
    let result = create(request, log, listener);
    match &result {
        Ok((_, pid)) => answer(socket, &LaunchResponse::Created { pid: *pid }),
        Err(_) => {
            let _ = fs::remove_file(path);
        }
    }
    result.map(|(supervisor, _)| supervisor)
}

fn create(request: LaunchRequest, log: Writer, listener: UnixListener) -> Result<(Supervisor, i32)> {
    let LaunchRequest {
        id,
        bundle,
        mut spec,
        rootfs,
        runtime_root,
        directory,
        open_stdin,
        stdin_once,
        start,
        ..
    } = request;
    let own_pid_namespace = has_own_pid_namespace(&spec);
    let process = spec.process.get_or_insert_default();
    let oom_score_adj = *process.oom_score_adj.get_or_insert(0);
    let (stdio, ends) = streams(process.terminal, open_stdin)?;
    let options = CreateOptions {
        root: runtime_root.clone(),
        id: id.to_string(),
        bundle,
        spec,
        rootfs: rootfs.map(overlay),
        stdio,
        ..CreateOptions::default()
    };
    let Started { pid, pidfd, console, .. } = boxship_runtime::create(options).map_err(refused)?;
    let container = Container::load(&runtime_root, id.as_str()).map_err(refused)?;
    if start && let Err(error) = container.start() {
        let failure = refused(error);
        let _ = container.delete(true);
        return Err(failure);
    }
    let streams = match (console, ends) {
        (Some(master), _) => {
            nonblocking(&master)?;
            Streams::Terminal { master, open_stdin }
        }
        (None, Some(Ends { stdin, stdout, stderr })) => Streams::Pipes { stdin, stdout, stderr, stdin_once },
        (None, None) => {
            return Err(Failure::new(FailureKind::Internal, "the runtime gave no terminal").into());
        }
    };
    let parts = Parts {
        directory,
        container,
        pid,
        pidfd,
        streams,
        log,
        listener,
        own_pid_namespace,
        oom_score_adj,
        started: start,
    };
    let supervisor =
        Supervisor::new(parts).map_err(|source| Error::Call { action: "begin to supervise", source })?;
    Ok((supervisor, pid))
}

/// The control socket, for this user only; what an earlier run of the container left is removed.
fn listen(directory: &std::path::Path) -> Result<UnixListener> {
    let path = protocol::socket_path(directory);
    for old in [&path, &protocol::exit_path(directory)] {
        match fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::File { action: "remove", path: old.clone(), source: error });
            }
            _ => {}
        }
    }
    let folder = fs::File::open(directory).map_err(Error::file("open", directory))?;
    let listener =
        UnixListener::bind(protocol::short_socket_path(&folder)).map_err(Error::file("listen at", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(Error::file("protect", &path))?;
    Ok(listener)
}

fn has_own_pid_namespace(spec: &Spec) -> bool {
    let namespaces = spec.linux.as_ref().map(|linux| linux.namespaces.as_slice()).unwrap_or_default();
    namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Pid && namespace.path.is_none())
}

/// Our ends of pipes.
struct Ends {
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

fn streams(terminal: bool, open_stdin: bool) -> Result<(Stdio, Option<Ends>)> {
    if terminal {
        return Ok((Stdio::Console, None));
    }
    let (stdin, input) = if open_stdin { Some(pipe()?) } else { None }.unzip();
    let (output, stdout) = pipe()?;
    let (error, stderr) = pipe()?;
    for ours in [&output, &error].into_iter().chain(&input) {
        nonblocking(ours)?;
    }
    let stdio = Stdio::Files { stdin, stdout: Some(stdout), stderr: Some(stderr) };
    Ok((stdio, Some(Ends { stdin: input, stdout: output, stderr: error })))
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    fd::pipe().map_err(call("make a pipe"))
}

fn nonblocking(file: &OwnedFd) -> Result<()> {
    rustix::io::ioctl_fionbio(file, true)
        .map_err(|errno| Error::Call { action: "set a stream non-blocking", source: errno.into() })
}

/// The root filesystem in the runtime's terms, layers one by one so that their number and names don't matter.
fn overlay(rootfs: OverlayMount) -> Mount {
    let option = |name: &str, path: &std::path::Path| format!("{name}={}", path.display());
    let mut options: Vec<String> = rootfs.lower.iter().map(|lower| option("lowerdir+", lower)).collect();
    options.push(option("upperdir", &rootfs.upper));
    options.push(option("workdir", &rootfs.work));
    options.extend(rootfs.options);
    Mount { kind: Some("overlay".to_owned()), source: Some("overlay".into()), options, ..Mount::default() }
}

fn refused(error: boxship_runtime::Error) -> Error {
    failure::from_runtime(&error).into()
}

fn call(action: &'static str) -> impl FnOnce(boxship_sys::Error) -> Error {
    move |error| Error::Call { action, source: error.errno.into() }
}
