//! The OCI runtime: containers from a specification, through their life, to nothing left behind.
//!
//! [`create`] makes one whose process waits; a [`Container`] found by [`Container::load`] or [`list`] is started,
//! joined by further processes ([`Container::exec`]), paused, killed and deleted. Synchronous, never starts a thread,
//! and must be called from a process with one thread that runs from a sealed executable
//! ([`boxship_sys::exe::continue_sealed`]): parts of it go on inside the container before its program does.
//!
//! How a container is made (each step in a file of its own):
//!
//! ```text
//! caller: plan ─ cgroup ─ bind sources, overlay (detached mounts) ─ clone3 ──────────── hooks ─ limits ─ record
//! child:                                  └ namespaces ─ mounts ─ devices ─ pivot ─ masks ─ rights ─ fifo ─ seccomp ─ exec
//! ```

mod accounts;
pub mod cgroup;
mod child;
mod child_process;
mod container;
mod create;
mod error;
mod exec;
mod foreign;
mod hooks;
mod limits;
mod message;
mod mount_options;
mod names;
mod options;
mod plan;
mod process_plan;
mod program;
mod record;
pub mod seccomp;
mod security;
mod supervisor;
mod sysctl;
mod trees;

pub use container::{Container, list};
pub use create::create;
pub use error::{Error, Result};
pub use message::Step;
pub use mount_options::known_words as known_mount_options;
pub use options::{CreateOptions, ExecOptions, Started, Stdio};
pub use process_plan::warnings;
pub use record::Record;
pub use security::{has_apparmor, has_selinux};
