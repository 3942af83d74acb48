//! `exec`: a further command in a running container.

use boxship_api::exec::{ExecCreateRequest, ExecCreateResponse, ExecInspectResponse, ExecStartRequest};
use boxship_client::{Client, Error, Query};

use super::attach::DETACHED;
use super::path;
use super::run::{check_terminal, resizing};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::streams::{self, Carried, Carry};
use crate::values::environment;

/// `exec`.
pub const EXEC: Command = Command {
    name: "exec",
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    about: "Execute a command in a running container",
    operands: Operands::AtLeast(2),
    mixed: false,
    flags: &[
        Flag::switch("detach", "Run the command in the background").short('d'),
        Flag::value("detach-keys", "string", "Keys that detach from the command"),
        Flag::list("env", "Set environment variables").short('e'),
        Flag::list("env-file", "Read environment variables from a file"),
        Flag::switch("interactive", "Keep stdin open, attached or not").short('i'),
        Flag::switch("privileged", "Give the command all rights"),
        Flag::switch("tty", "Give it a terminal").short('t'),
        Flag::value("user", "string", "User and group: name or id, [:group]").short('u'),
        Flag::value("workdir", "string", "Working folder of the command").short('w'),
    ],
    shared: &[],
    aliases: &["container exec", "exec"],
    action: action!(exec),
};

async fn exec(invocation: &Invocation) -> Result<u8> {
    let (parsed, detach) = (&invocation.parsed, invocation.parsed.on("detach"));
    let env = environment::variables(&parsed.list("env-file"), &parsed.list("env")).map_err(Failure::new)?;
    let (tty, stdin) = (parsed.on("tty"), parsed.on("interactive") && !detach);
    let size = crate::terminal::size().filter(|_| tty).map(|(rows, columns)| [rows.into(), columns.into()]);
    let request = ExecCreateRequest {
        user: parsed.filled("user").unwrap_or_default(),
        privileged: parsed.on("privileged"),
        tty,
        console_size: size,
        attach_stdin: stdin,
        attach_stdout: !detach,
        attach_stderr: !detach,
        detach_keys: parsed.filled("detach-keys").unwrap_or_default(),
        env: (!env.is_empty()).then_some(env),
        working_dir: parsed.filled("workdir").unwrap_or_default(),
        cmd: Some(parsed.operands[1..].to_vec()),
    };
    check_terminal(stdin, tty)?;
    let client = invocation.client().await?;
    let created: ExecCreateResponse =
        client.post(&path(parsed.operand(0), "exec"), Query::new(), &request).await?;
    let start = ExecStartRequest { detach, tty, console_size: size };
    let exec = |what: &str| format!("/exec/{}/{what}", created.id);
    if detach {
        client.request(http::Method::POST, &exec("start"), Query::new(), Some(&start)).await?.bytes().await?;
        return Ok(0);
    }
    let hijacked = client.hijack(&exec("start"), Query::new(), Some(&start)).await?;
    let detach_keys = parsed.filled("detach-keys");
    let carry = streams::carry(hijacked, Carry { stdin, tty, detach_keys, signals_passed: false });
    let resize = exec("resize");
    tokio::select! {
        carried = carry => match carried? {
            Carried::All => code(client, &exec("json")).await,
            Carried::Detached => Err(Failure::new(DETACHED)),
        },
        failure = resizing(client, &resize, tty) => Err(failure),
    }
}

/// The exit code; a command that still runs was detached from.
async fn code(client: &Client, path: &str) -> Result<u8> {
    let inspect: ExecInspectResponse = match client.get(path, Query::new()).await {
        // The output ended because the daemon is gone: nobody knows the code.
        Err(Error::Connect { .. }) => return Ok(255),
        other => other?,
    };
    Ok(if inspect.running { 0 } else { inspect.exit_code.unwrap_or(0) as u8 })
}
