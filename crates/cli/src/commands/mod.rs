//! The commands, one file each.

pub mod account;
pub mod container;
pub mod image;
pub mod inspect;
pub mod manifest;
pub mod network;
pub mod registry;
pub mod system;

use boxship_distribution::Proxies;

use crate::failure::{Failure, Result};

/// Wraps an async function as the action of a command.
macro_rules! action {
    ($function:expr) => {
        |invocation| Box::pin($function(invocation))
    };
}

pub(crate) use action;

/// The proxies that the environment names, for what talks to registries from here.
fn proxies() -> Result<Proxies> {
    let variable =
        |upper: &str, lower: &str| std::env::var(upper).or_else(|_| std::env::var(lower)).unwrap_or_default();
    let (http, https) = (variable("HTTP_PROXY", "http_proxy"), variable("HTTPS_PROXY", "https_proxy"));
    Proxies::new(&http, &https, &variable("NO_PROXY", "no_proxy"))
        .map_err(|why| Failure::new(boxship_sys::error::plain(&why.to_string())))
}
