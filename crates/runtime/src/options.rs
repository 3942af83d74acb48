//! What callers ask for and get: plain data, no behaviour.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use boxship_oci::runtime::{Mount, Process, Spec};

/// Where a container's first process, or an additional one, has its standard streams.
#[derive(Debug, Default)]
pub enum Stdio {
    /// Those of the caller.
    #[default]
    Inherit,
    /// These; an absent one is the null device.
    Files {
        /// Standard input.
        stdin: Option<OwnedFd>,
        /// Standard output.
        stdout: Option<OwnedFd>,
        /// Standard error.
        stderr: Option<OwnedFd>,
    },
    /// A new terminal of the container, whose master is handed back ([`Started::console`]).
    /// For a process whose specification says `terminal`.
    Console,
    /// A new terminal of the container, whose master is sent to this unix socket.
    ConsoleSocket(PathBuf),
}

/// How to create a container.
#[derive(Debug, Default)]
pub struct CreateOptions {
    /// Holds a folder for each container: `<root>/<id>/state.json`.
    pub root: PathBuf,
    /// The container's name, unique in `root`.
    pub id: String,
    /// The bundle: relative paths of the specification start here.
    pub bundle: PathBuf,
    /// The specification.
    pub spec: Spec,
    /// A root file system to mount inside the container's mount namespace instead of binding `root.path`:
    /// type `overlay` with options `lowerdir=…` (or several `lowerdir+=…`), `upperdir=…`, `workdir=…`.
    pub rootfs: Option<Mount>,
    /// Standard streams.
    pub stdio: Stdio,
    /// How many descriptors from number 3 on the container's process inherits.
    pub preserve_fds: u32,
    /// Receives the process number.
    pub pid_file: Option<PathBuf>,
    /// Do not use pivot_root: move the root mount and chroot (needed on an initramfs).
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// The systemd cgroup driver was asked for.
    pub systemd_cgroup: bool,
}

/// How to run an additional process in a running container.
#[derive(Debug, Default)]
pub struct ExecOptions {
    /// The process, complete: what it does not say does not come from the container, except no_new_privs' seccomp
    /// filter. See [`Container::process`](crate::Container::process) for a copy of the container's own to start from.
    pub process: Process,
    /// Standard streams.
    pub stdio: Stdio,
    /// How many descriptors from number 3 on the process inherits.
    pub preserve_fds: u32,
    /// Receives the process number.
    pub pid_file: Option<PathBuf>,
    /// Folders below the container's cgroups to enter, by controller (v2: under the empty name).
    pub subgroups: std::collections::BTreeMap<String, String>,
    /// Also when the container is paused: the call then lasts until it is resumed.
    pub ignore_paused: bool,
    /// Do not limit the process to the container's seccomp filter (`--privileged` containers have none anyway).
    pub without_seccomp: bool,
}

/// A process just made, a child of the caller.
#[derive(Debug)]
pub struct Started {
    /// Its number, for people and files.
    pub pid: i32,
    /// Holds it.
    pub pidfd: OwnedFd,
    /// The terminal's master, with [`Stdio::Console`].
    pub console: Option<OwnedFd>,
    /// What was asked for and could not be honoured, such as capabilities this kernel does not know.
    pub warnings: Vec<String>,
}
