//! What can go wrong with a control group. Each variant names the operation and the object; the source is the
//! kernel's answer.

use std::io;
use std::path::PathBuf;

/// A failed operation on a control group.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory of the cgroup file system could not be used.
    #[error("{action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a value.
    #[error("write {value:?} to {}", path.display())]
    Write {
        /// The value as written.
        value: String,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file holds something other than the kernel's documented format.
    #[error("parse {}: unexpected {text:?}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What was found.
        text: String,
    },
    /// A system call on a descriptor failed.
    #[error("{action}")]
    Call {
        /// What was being done.
        action: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// No cgroup file system is mounted.
    #[error(
        "no cgroup file system is mounted below /sys/fs/cgroup (mount cgroup2 there, or the v1 controllers)"
    )]
    NotMounted,
    /// The device controller is needed for isolation and isn't there.
    #[error("the devices controller is not mounted: device rules cannot be enforced")]
    NoDevices,
    /// The systemd driver was asked for.
    #[error(
        "the systemd cgroup driver needs a running systemd (no /run/systemd/system here): \
         leave out --systemd-cgroup, or set the engine's cgroup driver to cgroupfs"
    )]
    Systemd,
    /// A requested resource has no controller here.
    #[error("{setting} cannot be set: the {controller} controller is not available in {}", path.display())]
    NoController {
        /// The setting asked for.
        setting: String,
        /// Its controller.
        controller: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A requested value is impossible.
    #[error("invalid {setting}: {reason}")]
    Invalid {
        /// The setting asked for.
        setting: &'static str,
        /// Why it cannot be.
        reason: String,
    },
    /// The directory exists and processes live in it.
    #[error("container's cgroup is not empty: {count} process(es) found in {}", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// The cgroup exists and is frozen: a process put into it would hang.
    #[error("container's cgroup unexpectedly frozen: {}", path.display())]
    Frozen {
        /// The directory.
        path: PathBuf,
    },
    /// The place in the tree cannot hold domain controllers.
    #[error("cannot enter cgroup {} with domain controllers: it is in {mode:?} mode", path.display())]
    Threaded {
        /// The directory.
        path: PathBuf,
        /// The content of `cgroup.type`.
        mode: String,
    },
    /// The freezer didn't come to rest.
    #[error("unable to freeze {}: processes keep appearing or are stuck in the kernel", path.display())]
    FreezeTimeout {
        /// The directory.
        path: PathBuf,
    },
}

/// The result of an operation on a control group.
pub type Result<T, E = Error> = std::result::Result<T, E>;
