//! The commands, one file each.

pub mod account;
pub mod container;
pub mod image;
pub mod inspect;
pub mod manifest;
pub mod network;
pub mod registry;
pub mod system;

/// Wraps an async function as the action of a command.
macro_rules! action {
    ($function:expr) => {
        |invocation| Box::pin($function(invocation))
    };
}

pub(crate) use action;
