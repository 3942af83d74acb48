//! `kill`: sends a signal.

use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::Flag;
use crate::invocation::{AT_ONCE, Invocation};

/// `kill`.
pub const KILL: Command = Command {
    name: "kill",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Kill one or more running containers",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[Flag::value("signal", "string", "Signal to send").short('s')],
    shared: &[],
    aliases: &["container kill", "kill"],
    action: action!(kill),
};

async fn kill(invocation: &Invocation) -> Result<u8> {
    let client = invocation.client().await?;
    let query = Query::new().maybe("signal", invocation.parsed.filled("signal"));
    invocation
        .each(AT_ONCE, |name| {
            let query = query.clone();
            async move { Ok(client.command(&path(&name, "kill"), query).await?) }
        })
        .await
}
