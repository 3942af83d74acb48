//! `manifest create`: begins an index of images.

use super::part::Part;
use super::{INSECURE, fetched, kept, reference, remote};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `manifest create`.
pub const CREATE: Command = Command {
    name: "create",
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    about: "Create a local manifest list for annotating and pushing to a registry",
    operands: Operands::AtLeast(2),
    mixed: true,
    flags: &[Flag::switch("amend", "Amend an existing manifest list").short('a'), INSECURE],
    shared: &[],
    aliases: &[],
    action: action!(create),
};

async fn create(invocation: &Invocation) -> Result<u8> {
    let (name, images) = (invocation.parsed.operand(0), &invocation.parsed.operands[1..]);
    let list = reference(name).map_err(|failure| {
        Failure::new(format!("error parsing name for manifest list {name}: {}", failure.message()))
    })?;
    let kept = kept(invocation);
    if kept.list(&list)?.is_some() && !invocation.parsed.on("amend") {
        return Err(Failure::new("refusing to amend an existing manifest list with no --amend flag"));
    }
    for name in images {
        let image = reference(name)?;
        let part = match kept.get(&list, &image)? {
            Some(part) => part,
            None => {
                let remote = remote(invocation, &image).await?;
                let fetched = fetched(&remote, &image).await?;
                Part::fetch(&remote, image.clone(), fetched, None).await?
            }
        };
        kept.save(&list, &image, &part)?;
    }
    invocation.line(format!("Created manifest list {}", list.canonical()))?;
    Ok(0)
}
