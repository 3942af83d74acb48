//! Commands on networks.

pub mod connect;
pub mod create;
pub mod disconnect;
pub mod ls;
pub mod prune;
#[cfg(test)]
mod recorded;
pub mod rm;
pub mod why;

use boxship_client::Client;

use crate::failure::{Failure, Result};

/// The path of a request about a network: `/networks/NAME/what`.
fn path(name: &str, what: &str) -> Result<String> {
    let what = if what.is_empty() { String::new() } else { format!("/{what}") };
    Ok(format!("/networks/{}{what}", Client::segment(named("network", name)?)))
}

/// A name without white space around it; an empty one names nothing.
fn named<'a>(kind: &str, name: &'a str) -> Result<&'a str> {
    match name.trim() {
        "" => Err(Failure::new(format!("invalid {kind} name or ID: value is empty"))),
        name => Ok(name),
    }
}
