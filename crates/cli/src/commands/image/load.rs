//! `load`: images from an archive.

use std::io::{self, IsTerminal};

use boxship_client::Query;

use super::progress;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `load`.
pub const LOAD: Command = Command {
    name: "load",
    usage: "[OPTIONS]",
    about: "Load an image from a tar archive or STDIN",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::value("input", "string", "Read from tar archive file, instead of STDIN").short('i'),
        Flag::value("platform", "string", "Load only the given platform variant (\"linux/amd64\")"),
        Flag::switch("quiet", "Suppress the load output").short('q'),
    ],
    shared: &[],
    aliases: &["image load", "load"],
    action: action!(load),
};

async fn load(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let terminal = io::stdout().is_terminal();
    let quiet = parsed.on("quiet") || !terminal;
    let query = Query::new()
        .set("quiet", u8::from(quiet))
        .maybe("platform", super::platform_json(invocation, parsed.filled("platform"), 48).await?);
    let input = parsed.filled("input");
    if input.is_none() && io::stdin().is_terminal() {
        return Err(Failure::new("requested load from stdin, but stdin is empty"));
    }
    let file = match &input {
        Some(path) => Some(super::open(path).await?),
        None => None,
    };
    let client = invocation.client().await?;
    let body = match file {
        Some(file) => client.upload("/images/load", query, file).await?,
        None => client.upload("/images/load", query, tokio::io::stdin()).await?,
    };
    progress::show(body, &mut io::stdout(), terminal).await?;
    Ok(0)
}
