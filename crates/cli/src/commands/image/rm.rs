//! `rmi`, `image rm`: removes images or names of them.

use boxship_api::image::DeleteResponseItem;
use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `rmi`.
pub const RMI: Command = Command {
    name: "rmi",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Remove one or more images",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[
        Flag::switch("force", "Force removal of the image").short('f'),
        Flag::switch("no-prune", "Do not delete untagged parents"),
        Flag::value("platform", "strings", "Remove only the given platform variant (\"linux/amd64\")").many(),
    ],
    shared: &[],
    aliases: &["image rm", "image remove", "rmi"],
    action: action!(rmi),
};

async fn rmi(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let client = invocation.client().await?;
    let force = parsed.on("force");
    let mut query = Query::new().flag("force", force).flag("noprune", parsed.on("no-prune"));
    for platform in parsed.list("platform").iter().flat_map(|list| list.split(',')) {
        query =
            query.maybe("platforms", super::platform_json(invocation, Some(platform.to_string()), 50).await?);
    }
    let mut errors = Vec::new();
    let mut fatal = false;
    for name in &parsed.operands {
        match client.delete(&path(name, ""), query.clone()).await {
            Ok(bytes) => tell(invocation, &bytes)?,
            Err(error) => {
                // What isn't there needn't be forced.
                fatal |= error.status() != Some(404);
                errors.push(Failure::from(error).message());
            }
        }
    }
    if errors.is_empty() {
        return Ok(0);
    }
    if force && !fatal {
        invocation.complain(errors.join("\n"));
        return Ok(0);
    }
    Err(Failure::new(errors.join("\n")))
}

fn tell(invocation: &Invocation, bytes: &[u8]) -> Result<()> {
    let items: Option<Vec<DeleteResponseItem>> = serde_json::from_slice(bytes)
        .map_err(|e| Failure::new(format!("unexpected answer from the daemon: {e}")))?;
    for item in items.unwrap_or_default() {
        match item.deleted.is_empty() {
            true => invocation.line(format!("Untagged: {}", item.untagged))?,
            false => invocation.line(format!("Deleted: {}", item.deleted))?,
        }
    }
    Ok(())
}
