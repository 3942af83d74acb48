//! `registry rm`: removes tags, manifests, repositories. Their blobs go with the next collection.

use boxship_registry::name::Reference;
use boxship_registry::{Storage, admin};

use super::{STORAGE, failed, repository, storage};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `registry rm`.
pub const RM: Command = Command {
    name: "rm",
    usage: "[OPTIONS] REPOSITORY[:TAG|@DIGEST] [REPOSITORY[:TAG|@DIGEST]...]",
    about: "Remove tags, manifests or whole repositories; 'registry gc' gives their space back",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[STORAGE, Flag::switch("all", "Remove the whole repository")],
    shared: &[],
    aliases: &["registry rm", "registry remove"],
    action: action!(rm),
};

async fn rm(invocation: &Invocation) -> Result<u8> {
    let storage = storage(invocation)?;
    let all = invocation.parsed.on("all");
    invocation
        .each(1, |operand| {
            let removed = remove(&storage, &operand, all);
            async move { removed }
        })
        .await
}

fn remove(storage: &Storage, operand: &str, all: bool) -> Result<()> {
    let (name, reference) = match operand.split_once('@').or_else(|| operand.split_once(':')) {
        Some((name, reference)) => (name, Some(reference)),
        None => (operand, None),
    };
    let name = repository(name)?;
    match (reference, all) {
        (None, true) => admin::remove_repository(storage, &name).map_err(failed),
        (None, false) => Err(Failure::new(format!(
            "{name}: name a tag or a digest, or remove the whole repository with --all"
        ))),
        (Some(_), true) => {
            Err(Failure::new(format!("{operand}: --all takes the name of a repository alone")))
        }
        (Some(text), false) => {
            let reference: Reference =
                text.parse().map_err(|why| Failure::new(format!("{operand}: {why}")))?;
            admin::remove(storage, &name, &reference).map_err(failed)
        }
    }
}
