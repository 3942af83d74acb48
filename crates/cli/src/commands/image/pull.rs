//! `pull`: asks the daemon to fetch an image.

use std::io::{self, IsTerminal};

use boxship_client::{Body, Query};
use boxship_oci::reference::Reference;
use http::Method;

use super::progress;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `pull`.
pub const PULL: Command = Command {
    name: "pull",
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::switch("all-tags", "Download all tagged images in the repository").short('a'),
        Flag::switch("disable-content-trust", "Skip image verification").default("true"),
        Flag::value("platform", "string", "Set platform if server is multi-platform capable"),
        Flag::switch("quiet", "Suppress verbose output").short('q'),
    ],
    shared: &[],
    aliases: &["image pull", "pull"],
    action: action!(pull),
};

async fn pull(invocation: &Invocation) -> Result<u8> {
    let (parsed, name) = (&invocation.parsed, invocation.parsed.operand(0));
    let (quiet, all) = (parsed.on("quiet"), parsed.on("all-tags"));
    if !parsed.on_or("disable-content-trust", true) {
        return Err(Failure::new(
            "--disable-content-trust=false is not supported: there is no content trust",
        ));
    }
    let reference = Reference::parse(name).map_err(|why| Failure::new(why.to_string()))?;
    if all && !reference.is_name_only() {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    let mut full = reference.clone();
    if !all && reference.is_name_only() {
        full = full.tagged();
        if !quiet {
            invocation.line("Using default tag: latest")?;
        }
    }
    let body = ask(invocation, &full).await?;
    if quiet {
        progress::show(body, &mut io::sink(), false).await?;
    } else {
        progress::show(body, &mut io::stdout(), io::stdout().is_terminal()).await?;
    }
    invocation.line(full.canonical())?;
    Ok(0)
}

/// Fetches the image of `run` and `create`; what happens is told on standard error.
pub async fn quietly(invocation: &Invocation, image: &str, quiet: bool) -> Result<()> {
    let reference = Reference::parse(image).map_err(|why| Failure::new(why.to_string()))?;
    let body = ask(invocation, &reference.tagged()).await?;
    match quiet {
        true => progress::show(body, &mut io::sink(), false).await,
        false => progress::show(body, &mut io::stderr(), io::stderr().is_terminal()).await,
    }
}

async fn ask(invocation: &Invocation, reference: &Reference) -> Result<Body> {
    let digest = reference.digest().map(ToString::to_string);
    let tag = digest.or_else(|| reference.tag().map(String::from));
    let query = Query::new()
        .set("fromImage", reference.familiar_name())
        .maybe("tag", tag)
        .maybe("platform", invocation.parsed.filled("platform"));
    super::ask_registry(invocation, Method::POST, "/images/create", query, reference.domain()).await
}
