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
    let mut code = 0;
    for name in &parsed.operands {
        let bare = name.trim_matches('/');
        let removed = match bare.is_empty() {
            true => Err(Failure::new("container name cannot be empty")),
            false => client.delete(&path(bare, ""), query.clone()).await.map_err(Failure::from),
        };
        match removed {
            Ok(_) => invocation.line(name)?,
            Err(failure) => {
                // Who forces it wants it gone, and it is not there.
                let gone = matches!(&failure, Failure::Client(error) if error.status() == Some(404));
                invocation.complain(failure.message());
                code = if force && gone { code } else { 1 };
            }
        }
    }
    Ok(code)
}
