//! The engine's half of a launch: starts a shim from the sealed executable and hands it its request.

use std::{
    io::{Read, Write},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    os::unix::net::UnixStream,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use crate::{
    Error, Result,
    protocol::{self, LaunchRequest, LaunchResponse},
};

/// A launched container.
#[derive(Debug)]
pub struct Launched {
    /// The container's first process on the host.
    pub pid: i32,
    /// The shim. It ends right after its Events streams end: wait for it then, so that no zombie remains.
    pub shim: Child,
}

/// Starts a shim and has it create the container; returns when that is done. Blocks for some milliseconds.
///
/// `executable` is our own, sealed (see `boxship_sys::exe::sealed`).
///
/// # Errors
/// [`Error::Refused`] when the container could not be created: nothing remains then, the shim is reaped.
pub fn launch(executable: BorrowedFd<'_>, request: &LaunchRequest) -> Result<Launched> {
    let id = request.id.as_str();
    let spawn_error = |source| Error::Spawn { id: id.to_owned(), source };
    let (ours, theirs) = UnixStream::pair().map_err(spawn_error)?;
    let mut shim = Command::new(format!("/proc/self/fd/{}", executable.as_raw_fd()))
        .arg0("boxship")
        .args(["shim", id])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(spawn_error)?;
    match converse(ours, request) {
        Ok(LaunchResponse::Created { pid }) => Ok(Launched { pid, shim }),
        Ok(LaunchResponse::Failed(failure)) => {
            reap(&mut shim);
            Err(failure.into())
        }
        Err(error) => {
            // Without its answer nobody knows what it holds: it cleans up when told so by its death.
            let _ = shim.kill();
            reap(&mut shim);
            Err(error)
        }
    }
}

fn converse(mut socket: UnixStream, request: &LaunchRequest) -> Result<LaunchResponse> {
    let talk = |action| move |source| Error::Talk { action, source };
    socket.write_all(&protocol::encode(request)).map_err(talk("write to"))?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).map_err(talk("read from"))?;
    if answer.is_empty() {
        return Err(Error::Silent { id: request.id.to_string() });
    }
    protocol::decode(&answer, "shim")
}

/// It has said its last word; the wait is for its exit only.
fn reap(shim: &mut Child) {
    let _ = shim.wait();
}
