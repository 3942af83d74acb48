//! `stop`, `restart`, `pause`, `unpause`: one request for each container.

use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::{Flag, integer};
use crate::invocation::{AT_ONCE, Invocation};

const STOPPING: &[Flag] = &[
    Flag::value("signal", "string", "Signal that asks it to stop").short('s'),
    Flag::value("timeout", "int", "Seconds until it is killed; -1 waits for ever")
        .short('t')
        .check(integer)
        .alias("time"),
];

/// `stop`.
pub const STOP: Command = Command {
    name: "stop",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Stop one or more running containers",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: STOPPING,
    shared: &[],
    aliases: &["container stop", "stop"],
    action: action!(|i| each(i, "stop")),
};

/// `restart`.
pub const RESTART: Command = Command {
    name: "restart",
    about: "Restart one or more containers",
    aliases: &["container restart", "restart"],
    action: action!(|i| each(i, "restart")),
    ..STOP
};

/// `pause`.
pub const PAUSE: Command = Command {
    name: "pause",
    usage: "CONTAINER [CONTAINER...]",
    about: "Pause all processes within one or more containers",
    flags: &[],
    aliases: &["container pause", "pause"],
    action: action!(|i| each(i, "pause")),
    ..STOP
};

/// `unpause`.
pub const UNPAUSE: Command = Command {
    name: "unpause",
    about: "Unpause all processes within one or more containers",
    aliases: &["container unpause", "unpause"],
    action: action!(|i| each(i, "unpause")),
    ..PAUSE
};

async fn each(invocation: &Invocation, what: &'static str) -> Result<u8> {
    let client = invocation.client().await?;
    let parsed = &invocation.parsed;
    let query = Query::new().maybe("signal", parsed.filled("signal")).maybe("t", parsed.number("timeout"));
    // A restart keeps to the order: what is named first may be needed by what follows.
    let many = if what == "restart" { 1 } else { AT_ONCE };
    invocation
        .each(many, |name| {
            let query = query.clone();
            async move { Ok(client.command(&path(&name, what), query).await?) }
        })
        .await
}
