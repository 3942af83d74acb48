//! Supervises one container: streams, terminal, log, exit; outlives the daemon.
//!
//! Three roles meet here:
//! * [`main`], the hidden `boxship shim`: one process for each container start. It creates the container through
//!   `runtime` in its own process, holds its streams, writes its log, reaps it and leaves `exit.json`.
//! * The client half, used by the engine: [`launch()`] starts a shim; [`protocol`] is what is spoken with it (typed,
//!   pure: usable over any stream, synchronous or not); [`client`] speaks it blocking; [`log::Reader`] reads what it logged.
//! * [`init::main`], the hidden `boxship init`: process 1 of `--init` containers.
//!
//! A shim never starts a thread, never allocates by the size of what passes through it, and never needs the daemon:
//! what it must tell is in `exit.json` and the log, whether or not anybody listens.

pub mod client;
mod error;
pub mod exit;
pub mod init;
mod launch;
pub mod log;
pub mod protocol;
mod relay;
mod role;
mod supervise;

pub use error::{Error, Result};
pub use exit::Exit;
pub use launch::{Launched, launch};
pub use role::main;
