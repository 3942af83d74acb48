//! Engine API wire types, versions, stream framing, filters and the error body. Pure data.
//!
//! One module per noun, one structure per body, in the field order and with the nulls that Docker 28 (API 1.51)
//! writes. Types are used in both directions: read leniently as Go does, written to the last field like Docker.
//! Nothing here validates, converts between versions, or knows HTTP.

pub mod auth;
pub mod container;
pub mod error;
pub mod event;
pub mod exec;
pub mod filters;
pub mod framing;
pub mod image;
mod json;
pub mod mount;
pub mod network;
#[cfg(test)]
mod nulls;
pub mod plugin;
pub mod port;
pub mod progress;
mod read;
mod str_slice;
pub mod swarm;
pub mod system;
pub mod timestamp;
pub mod version;
pub mod volume;

pub use error::ErrorResponse;
pub use filters::Filters;
pub use json::Empty;
pub use str_slice::StrSlice;
pub use version::ApiVersion;
