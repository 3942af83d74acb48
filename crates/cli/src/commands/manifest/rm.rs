//! `manifest rm`: forgets indexes that were being put together.

use super::{kept, reference};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// `manifest rm`.
pub const RM: Command = Command {
    name: "rm",
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    about: "Delete one or more manifest lists from local storage",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &[],
    action: action!(rm),
};

async fn rm(invocation: &Invocation) -> Result<u8> {
    let kept = kept(invocation);
    let removed = |name: &String| -> Result<()> {
        let list = reference(name)?;
        match kept.list(&list)? {
            Some(_) => kept.remove(&list),
            None => Err(super::kept::missing(&list)),
        }
    };
    let failed: Vec<String> = invocation
        .parsed
        .operands
        .iter()
        .filter_map(|name| removed(name).err().map(|failure| failure.message()))
        .collect();
    if failed.is_empty() { Ok(0) } else { Err(Failure::new(failed.join("\n"))) }
}
