//! `push`: asks the daemon to send an image to its registry.

use std::io::{self, IsTerminal};

use boxship_client::Query;
use boxship_oci::reference::Reference;
use http::Method;

use super::progress;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `push`.
pub const PUSH: Command = Command {
    name: "push",
    usage: "[OPTIONS] NAME[:TAG]",
    about: "Upload an image to a registry",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::switch("all-tags", "Push all tags of an image to the repository").short('a'),
        Flag::switch("disable-content-trust", "Skip image signing").default("true"),
        Flag::value("platform", "string", "Push only the image of this platform (\"linux/amd64\")"),
        Flag::switch("quiet", "Suppress verbose output").short('q'),
    ],
    shared: &[],
    aliases: &["image push", "push"],
    action: action!(push),
};

async fn push(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let (quiet, all) = (parsed.on("quiet"), parsed.on("all-tags"));
    if !parsed.on_or("disable-content-trust", true) {
        return Err(Failure::new(
            "--disable-content-trust=false is not supported: there is no content trust",
        ));
    }
    let platform = super::platform_json(invocation, parsed.filled("platform"), 46).await?;
    let mut reference = Reference::parse(parsed.operand(0)).map_err(|why| Failure::new(why.to_string()))?;
    if all && !reference.is_name_only() {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    if !all && reference.is_name_only() {
        reference = reference.tagged();
        if !quiet {
            invocation.line("Using default tag: latest")?;
        }
    }
    if reference.digest().is_some() {
        return Err(Failure::new("cannot push a digest reference"));
    }
    let query = Query::new().maybe("tag", reference.tag()).maybe("platform", platform);
    let path = super::path(&reference.familiar_name(), "push");
    let body = super::ask_registry(invocation, Method::POST, &path, query, reference.domain()).await?;
    if !quiet {
        progress::show(body, &mut io::stdout(), io::stdout().is_terminal()).await?;
        return Ok(0);
    }
    progress::show(body, &mut io::sink(), false).await?;
    invocation.line(reference.canonical())?;
    Ok(0)
}
