//! Engine API client: unix, tcp, tcp with TLS, ssh; hijacked streams.
//!
//! [`Client`] sends one request and gives back its answer, whose body may be read as a whole, as lines of JSON or as a
//! stream. It never prints, never reads the environment (that is the command line's business) and never decides what
//! an error means to a user.
//!
//! Start to first byte counts here: nothing is asked before the first request. The version is sent as the newest this
//! client knows; a daemon that is older says so in its refusal, and the request is sent again with what it speaks.

mod address;
mod body;
mod client;
mod connect;
mod error;
mod tls;

pub use address::Address;
pub use body::{Body, Lines};
pub use client::{Client, Hijacked, Query};
pub use connect::Stream;
pub use error::{Error, Result};
pub use tls::TlsFiles;
