//! `diff`: what a container changed in its root.

use boxship_api::container::{ChangeKind, FilesystemChange};
use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::invocation::Invocation;

/// `diff`.
pub const DIFF: Command = Command {
    name: "diff",
    usage: "CONTAINER",
    about: "Inspect changes to files or directories on a container's filesystem",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &["container diff", "diff"],
    action: action!(diff),
};

async fn diff(invocation: &Invocation) -> Result<u8> {
    let client = invocation.client().await?;
    let changes: Option<Vec<FilesystemChange>> =
        client.get(&path(invocation.parsed.operand(0), "changes"), Query::new()).await?;
    for change in changes.unwrap_or_default() {
        let kind = match change.kind {
            ChangeKind::Modified => "C",
            ChangeKind::Added => "A",
            ChangeKind::Deleted => "D",
        };
        invocation.line(format!("{kind} {}", change.path))?;
    }
    Ok(0)
}
