//! `attach`: joins the streams of a running container.

use boxship_client::{Client, Query};
use serde_json::Value;

use super::path;
use super::run::{Exit, Proxy, check_terminal, streams_query, supervise};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::streams::Carry;
use crate::terminal;

/// What `attach` and `exec`, unlike `run` and `start`, say when the user detaches: they fail then.
pub const DETACHED: &str = "read escape sequence";

/// `attach`.
pub const ATTACH: Command = Command {
    name: "attach",
    usage: "[OPTIONS] CONTAINER",
    about: "Attach local standard input, output, and error streams to a running container",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::value("detach-keys", "string", "Keys that detach from the container"),
        Flag::switch("no-stdin", "Don't attach stdin"),
        Flag::switch("sig-proxy", "Pass received signals to the process").default("true"),
    ],
    shared: &[],
    aliases: &["container attach", "attach"],
    action: action!(attach),
};

async fn attach(invocation: &Invocation) -> Result<u8> {
    let (client, parsed) = (invocation.client().await?, &invocation.parsed);
    let container: Value = client.get(&path(parsed.operand(0), "json"), Query::new()).await?;
    let state = &container["State"];
    let refused = match () {
        () if state["Running"] != true => "You cannot attach to a stopped container, start it first",
        () if state["Paused"] == true => "You cannot attach to a paused container, unpause it first",
        () if state["Restarting"] == true => {
            "You cannot attach to a restarting container, wait until it is running"
        }
        () => "",
    };
    if !refused.is_empty() {
        return Err(Failure::new(refused));
    }
    let id = container["Id"].as_str().unwrap_or_default().to_string();
    let tty = container["Config"]["Tty"] == true;
    let stdin = !parsed.on("no-stdin") && container["Config"]["OpenStdin"] == true;
    check_terminal(stdin, tty)?;
    let query = streams_query(parsed, [stdin, true, true]);
    let proxied = parsed.on_or("sig-proxy", true) && !tty;
    let _signals = if proxied { Some(Proxy::start(client, &id)?) } else { None };
    let attach = path(&id, "attach");
    let (hijacked, exit) =
        tokio::join!(client.hijack(&attach, query, None::<&()>), Exit::expect(client, &id, ""));
    if tty {
        redraw(client, &id).await;
    }
    let what = Carry { stdin, tty, detach_keys: parsed.filled("detach-keys"), signals_passed: proxied };
    let ended = supervise(client, &id, hijacked?, what, exit?).await?;
    ended.ok_or_else(|| Failure::new(DETACHED))
}

/// Makes the program in the container draw its screen again, which we have not seen: a shell's prompt, say. It does
/// so when its terminal changes; the right size follows.
async fn redraw(client: &Client, id: &str) {
    if let Some((rows, columns)) = terminal::size() {
        let other = Query::new().set("h", rows.saturating_add(1)).set("w", columns.saturating_add(1));
        // The right size follows anyhow, and tells what is wrong.
        let _ = client.command(&path(id, "resize"), other).await;
    }
}
