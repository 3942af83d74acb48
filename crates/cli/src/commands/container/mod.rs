//! Commands on containers.

pub mod attach;
pub mod commit;
pub mod create;
pub mod diff;
mod endpoints;
pub mod exec;
mod flags;
pub mod kill;
pub mod life;
pub mod logs;
pub mod ls;
pub mod port;
pub mod prune;
#[cfg(test)]
mod recorded;
pub mod rename;
mod request;
pub mod rm;
pub mod run;
pub mod start;
pub mod stats;
pub mod top;
pub mod update;
pub mod wait;

use boxship_client::Client;

/// The path of a request about a container: `/containers/NAME/what`.
fn path(name: &str, what: &str) -> String {
    let what = if what.is_empty() { String::new() } else { format!("/{what}") };
    format!("/containers/{}{what}", Client::segment(name))
}
