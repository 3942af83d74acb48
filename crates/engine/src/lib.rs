//! The domain: containers, exec, images, events. No HTTP, no printing.
//!
//! [`Engine`] is the one door. It is a cheap clone over shared state; its methods are async and take and give
//! `api` types. One driver task per container is the only writer of that container's state
//! ([`container`] draws the state machine); everything else reads snapshots.
//!
//! The engine never listens, never knows an HTTP status, never forks: it starts shims and speaks to them.

mod config;
pub mod container;
mod df;
mod engine;
mod error;
pub mod events;
pub mod image;
mod info;
pub mod network;
mod prune;
mod reconcile;
mod shim_link;
pub mod spec;

pub use config::EngineConfig;
pub use df::DiskUsageOptions;
pub use engine::Engine;
pub use error::{Error, Kind, Result};
