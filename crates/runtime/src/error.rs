//! What can go wrong, as types: callers map them to exit codes and messages.

use std::path::PathBuf;

use boxship_oci::runtime::Status;
use boxship_sys::Errno;

use crate::message::Step;

/// The result of the runtime's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation of the runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that would not be one folder's name.
    #[error("invalid container id {id:?}")]
    InvalidId {
        /// As given.
        id: String,
    },
    /// There is such a container already.
    #[error("container with id exists: {id}")]
    Exists {
        /// The container.
        id: String,
    },
    /// There is no such container.
    #[error("container does not exist: {id}")]
    NotFound {
        /// The container.
        id: String,
    },
    /// The container is in a state that does not admit the operation.
    #[error("cannot {operation} a container in the {status} state")]
    Status {
        /// What was asked for.
        operation: &'static str,
        /// What it is.
        status: Status,
    },
    /// The specification asks for something impossible or contradictory.
    #[error("invalid specification: {0}")]
    Invalid(String),
    /// The specification asks for something this machine or this runtime does not have.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// A container could write the executable of this process through `/proc` (CVE-2019-5736): the program must first
    /// continue in a sealed copy ([`boxship_sys::exe::continue_sealed`]).
    #[error("this process does not run from a sealed executable")]
    Unsealed,
    /// A file of the runtime's own could not be read or written.
    #[error("{operation} {}", path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// `state.json` is not what this runtime writes.
    #[error("parse {}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
    /// A system call of the parent failed.
    #[error("{operation}")]
    System {
        /// What was being done.
        operation: &'static str,
        /// The call.
        #[source]
        source: boxship_sys::Error,
    },
    /// The container's control group.
    #[error("cgroup")]
    Cgroup(#[from] crate::cgroup::Error),
    /// The seccomp profile.
    #[error("seccomp")]
    Seccomp(#[from] crate::seccomp::Error),
    /// The program is nowhere on the container's PATH.
    #[error("exec: {program:?}: executable file not found in $PATH")]
    CommandNotFound {
        /// As given.
        program: String,
    },
    /// The program, given as a path, isn't there, is a folder, or may not be executed.
    #[error("exec: {program:?}: {}", why_not(program, *.errno))]
    CommandNotExecutable {
        /// As given.
        program: String,
        /// Why not.
        errno: Errno,
    },
    /// The working directory isn't there or may not be entered.
    #[error("chdir to cwd ({directory:?}) set in config.json failed: {}", boxship_sys::error::text(*.errno))]
    WorkingDirectory {
        /// As given.
        directory: String,
        /// Why not.
        errno: Errno,
    },
    /// A user or group that the container's files do not know.
    #[error("unable to find {what} {name}: no matching entries in {file} file")]
    NoSuchUser {
        /// `user` or `group`.
        what: &'static str,
        /// As given.
        name: String,
        /// `passwd` or `group`.
        file: &'static str,
    },
    /// A step in the container's process failed.
    #[error("{step}{}{object}: {}", if object.is_empty() { "" } else { " " }, boxship_sys::error::text(*.errno))]
    Child {
        /// Which one.
        step: Step,
        /// What it was about.
        object: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The container's process ended before it was ready, without a word.
    #[error("container init process ended while starting ({how})")]
    ChildGone {
        /// How it ended.
        how: String,
    },
    /// A hook failed.
    #[error("error running {point} hook #{index}: {reason}")]
    Hook {
        /// The point of the container's life.
        point: &'static str,
        /// Which one of that point.
        index: usize,
        /// How it failed.
        reason: String,
    },
}

fn why_not(program: &str, errno: Errno) -> String {
    match errno {
        Errno::NOENT | Errno::NOTDIR => format!("stat {program}: {}", boxship_sys::error::text(errno)),
        _ => boxship_sys::error::text(errno),
    }
}

impl Error {
    /// Names what the parent was doing when a call failed.
    pub(crate) fn system(operation: &'static str) -> impl FnOnce(boxship_sys::Error) -> Error {
        move |source| Error::System { operation, source }
    }

    /// Names the file that could not be used.
    pub(crate) fn file(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::File { operation, path: path.into(), source }
    }

    /// The error and all its sources on one line, as command lines print it.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            text.push_str(": ");
            let errno = source.downcast_ref::<std::io::Error>().and_then(Errno::from_io_error);
            // Rust would add the number and begin with a capital.
            text.push_str(&errno.map_or_else(|| source.to_string(), boxship_sys::error::text));
            next = source.source();
        }
        text
    }
}
