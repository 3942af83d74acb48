//! `registry ls`: the repositories of a registry.

use boxship_registry::admin;

use super::{STORAGE, failed, storage};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::invocation::Invocation;

/// `registry ls`.
pub const LS: Command = Command {
    name: "ls",
    usage: "[OPTIONS]",
    about: "List the repositories of a registry",
    operands: Operands::None,
    mixed: true,
    flags: &[STORAGE],
    shared: &[],
    aliases: &["registry ls", "registry list"],
    action: action!(ls),
};

async fn ls(invocation: &Invocation) -> Result<u8> {
    for name in admin::repositories(&storage(invocation)?).map_err(failed)? {
        invocation.line(name.as_str())?;
    }
    Ok(0)
}
