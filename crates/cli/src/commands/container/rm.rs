//! `rm`: removes containers.

use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `rm`.
pub const RM: Command = Command {
    name: "rm",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[
        Flag::switch("force", "Kill a running container first").short('f'),
        Flag::switch("link", "Remove a link (there are none)").short('l'),
        Flag::switch("volumes", "Remove the container's anonymous volumes too").short('v'),
    ],
    shared: &[],
    aliases: &["container rm", "container remove", "rm"],
    action: action!(rm),
};

async fn rm(invocation: &Invocation) -> Result<u8> {
    let client = invocation.client().await?;
    let parsed = &invocation.parsed;
    let force = parsed.on("force");
    let query =
        Query::new().flag("v", parsed.on("volumes")).flag("link", parsed.on("link")).flag("force", force);
    invocation
        .each(|name| {
            let query = query.clone();
            async move {
                let name = name.trim_matches('/');
                if name.is_empty() {
                    return Err(Failure::new("container name cannot be empty"));
                }
                client.delete(&path(name, ""), query).await.map(drop).map_err(Failure::from)
            }
        })
        .await
}
