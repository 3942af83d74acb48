//! `network rm`: removes networks.

use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `network rm`.
pub const RM: Command = Command {
    name: "rm",
    usage: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[Flag::switch("force", "Don't fail for a network that isn't there").short('f')],
    shared: &[],
    aliases: &["network rm", "network remove"],
    action: action!(rm),
};

async fn rm(invocation: &Invocation) -> Result<u8> {
    let force = invocation.parsed.on("force");
    let client = invocation.client().await?;
    let mut failed = false;
    for name in &invocation.parsed.operands {
        let path = match super::path(name, "") {
            Ok(path) => path,
            Err(failure) => {
                invocation.complain(failure.message());
                failed = true;
                continue;
            }
        };
        match client.delete(&path, Query::new()).await {
            Ok(_) => invocation.line(name)?,
            Err(error) if force && error.status() == Some(404) => {}
            Err(error) => {
                invocation.complain(Failure::from(error).message());
                failed = true;
            }
        }
    }
    if failed { Err(Failure::new("exit status 1")) } else { Ok(0) }
}
