//! The registry server: the OCI distribution protocol over a folder of blobs, and the commands that keep that folder
//! in order.
//!
//! [`Storage`] is the folder and all that is promised about it; `http` turns requests into calls of it; `auth` says
//! who may do what; `mirror` fetches what another registry has; [`gc`] removes what nobody needs; [`admin`] is what commands ask of the folder. The storage is
//! synchronous and knows no HTTP; the server calls it on threads that may block. Nothing here knows the daemon, its
//! images or its files.

pub mod admin;
mod auth;
pub mod error;
pub mod gc;
mod http;
mod mirror;
pub mod name;
mod serve;
mod storage;

pub use auth::{AccessConfig, Anonymous};
pub use error::{Error, Result};
pub use mirror::MirrorConfig;
pub use serve::{Config, Server, open_log, run};
pub use storage::Storage;
