//! The client of registries: authentication, pull and push by the OCI distribution protocol.
//!
//! * [`Client`]: made once; shares connections, transfers and limits.
//! * [`Client::pull`]: an image into the store, each layer unpacked while it streams; interrupted pulls go on.
//! * [`Hosts`]: which servers are asked for a registry's name; [`Credentials`]: who asks.
//!
//! Everything from a registry is untrusted: lengths, counts and depths are bounded, every byte is verified against the
//! digest it was asked by, credentials go to the server they are for and its own site only.
//!
//! It never prints, never reads a user's home, and makes nothing visible in the store before it is whole.

mod answer;
mod auth;
mod challenge;
mod client;
mod error;
mod events;
mod fetch;
mod hosts;
mod hosts_toml;
mod layer;
mod manifest;
mod payload;
mod proxy;
mod pull;
mod repository;
mod resolve;
mod session;
mod tls;
mod transport;
mod url;

pub use auth::Credentials;
pub use client::{Client, Settings};
pub use error::{Answer, Error, Failure, Kind, Result};
pub use events::{Event, Events};
pub use hosts::{Abilities, Endpoint, FOLDERS, Hosts};
pub use proxy::Proxies;
pub use pull::{Pull, Pulled};
pub use repository::Fetched;
pub use session::Patience;
pub use tls::TlsRules;
pub use transport::Timeouts;
pub use url::{Scheme, Url};
