//! The client of registries: authentication, pull and push by the OCI distribution protocol.
//!
//! * [`Client`]: made once; shares connections, transfers and limits.
//! * [`Client::pull`]: an image into the store, each layer unpacked while it streams; interrupted pulls go on.
//! * [`Client::push`]: an image of the store to a registry; [`Client::complete`] brings back what was not kept.
//! * [`Client::login`], [`Client::inspect`], [`Client::search`]: questions that move no image.
//! * [`Upstream`]: a registry as its mirror sees it, without a store.
//! * [`Hosts`]: which servers are asked for a registry's name; [`Credentials`]: who asks.
//!
//! Everything from a registry is untrusted: lengths, counts and depths are bounded, every byte is verified against the
//! digest it was asked by, credentials go to the server they are for and its own site only.
//!
//! It never prints, never reads a user's home, and makes nothing visible in the store before it is whole.

mod answer;
mod ask;
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
mod pack;
mod payload;
mod proxy;
mod pull;
mod push;
mod remote;
mod repair;
mod repository;
mod session;
mod sink;
mod tls;
mod transport;
mod upload;
mod upstream;
mod url;

pub use ask::{Inspected, SearchResult};
pub use auth::Credentials;
pub use client::{Client, Settings};
pub use error::{Answer, Error, Failure, Kind, Result};
pub use events::{Event, Events};
pub use hosts::{Abilities, Endpoint, FOLDERS, Hosts};
pub use proxy::Proxies;
pub use pull::{Pull, Pulled};
pub use push::{Push, Pushed};
pub use remote::Remote;
pub use repository::Fetched;
pub use session::Patience;
pub use tls::TlsRules;
pub use transport::Timeouts;
pub use upstream::{Download, Listed, Upstream};
pub use url::{Scheme, Url};
