//! `rename`.

use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// `rename`.
pub const RENAME: Command = Command {
    name: "rename",
    usage: "CONTAINER NEW_NAME",
    about: "Rename a container",
    operands: Operands::Exactly(2),
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &["container rename", "rename"],
    action: action!(rename),
};

async fn rename(invocation: &Invocation) -> Result<u8> {
    let (old, new) = (invocation.parsed.operand(0).trim(), invocation.parsed.operand(1).trim());
    if old.is_empty() || new.is_empty() {
        return Err(Failure::new("Error: Neither old nor new names may be empty"));
    }
    let renamed =
        invocation.client().await?.command(&path(old, "rename"), Query::new().set("name", new)).await;
    if let Err(error) = renamed {
        invocation.complain(Failure::from(error).message());
        return Err(Failure::new(format!("Error: failed to rename container named {old}")));
    }
    Ok(0)
}
