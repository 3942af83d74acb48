//! `start`: starts containers that are there; `-a` stays with one.

use boxship_client::Query;
use serde_json::Value;

use super::path;
use super::run::{Exit, Proxy, check_terminal, streams_query, supervise};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::streams::Carry;

/// `start`.
pub const START: Command = Command {
    name: "start",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[
        Flag::switch("attach", "Attach stdout and stderr, and pass signals on").short('a'),
        Flag::value("detach-keys", "string", "Keys that detach from the container"),
        Flag::switch("interactive", "Attach stdin").short('i'),
    ],
    shared: &[],
    aliases: &["container start", "start"],
    action: action!(start),
};

async fn start(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    if parsed.on("attach") || parsed.on("interactive") {
        if parsed.operands.len() > 1 {
            return Err(Failure::new("you cannot start and attach multiple containers at once"));
        }
        return attached(invocation, parsed.operand(0)).await;
    }
    let client = invocation.client().await?;
    let mut failed = Vec::new();
    for name in &parsed.operands {
        match client.command(&path(name, "start"), Query::new()).await {
            Ok(()) => invocation.line(name)?,
            Err(error) => {
                invocation.complain(Failure::from(error).message());
                failed.push(name.as_str());
            }
        }
    }
    match failed.is_empty() {
        true => Ok(0),
        false => Err(Failure::new(format!("Error: failed to start containers: {}", failed.join(", ")))),
    }
}

async fn attached(invocation: &Invocation, name: &str) -> Result<u8> {
    let client = invocation.client().await?;
    let container: Value = client.get(&path(name, "json"), Query::new()).await?;
    let id = container["Id"].as_str().unwrap_or(name).to_string();
    let config = &container["Config"];
    let tty = config["Tty"] == true;
    let stdin = invocation.parsed.on("interactive") && config["OpenStdin"] == true;
    check_terminal(stdin, tty)?;
    let query = streams_query(&invocation.parsed, [stdin, true, true]);
    let removed = container["HostConfig"]["AutoRemove"] == true;
    let _signals = if tty { None } else { Some(Proxy::start(client, &id)?) };
    let attach = path(&id, "attach");
    let (hijacked, exit) = tokio::join!(
        client.hijack(&attach, query, None::<&()>),
        Exit::expect(client, &id, if removed { "removed" } else { "next-exit" }),
    );
    let (hijacked, exit) = (hijacked?, exit?);
    client.command(&path(&id, "start"), Query::new()).await?;
    let detach_keys = invocation.parsed.filled("detach-keys");
    let what = Carry { stdin, tty, detach_keys, signals_passed: !tty };
    Ok(supervise(client, &id, hijacked, what, exit).await?.unwrap_or(0))
}
