//! `import`: an image from an archive of a file system.

use std::io;

use boxship_client::Query;
use boxship_oci::reference::Reference;
use http::Method;

use super::progress;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `import`.
pub const IMPORT: Command = Command {
    name: "import",
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    about: "Import the contents from a tarball to create a filesystem image",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[
        Flag::list("change", "Apply Dockerfile instruction to the created image").short('c'),
        Flag::value("message", "string", "Set commit message for imported image").short('m'),
        Flag::value("platform", "string", "Set platform if server is multi-platform capable"),
    ],
    shared: &[],
    aliases: &["image import", "import"],
    action: action!(import),
};

async fn import(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let (source, name) = (parsed.operand(0), parsed.operand(1));
    if !name.is_empty() {
        Reference::parse(name).map_err(|why| Failure::new(why.to_string()))?;
    }
    let remote = source.starts_with("http://") || source.starts_with("https://");
    let mut query = Query::new()
        .set("fromSrc", if remote { source } else { "-" })
        .maybe("repo", (!name.is_empty()).then_some(name))
        .maybe("message", parsed.filled("message"))
        .maybe("platform", parsed.filled("platform"));
    for change in parsed.list("change") {
        query = query.set("changes", change);
    }
    let path = "/images/create";
    let client = invocation.client().await?;
    let body = if remote {
        client.request(Method::POST, path, query, None::<&()>).await?
    } else if source == "-" {
        client.upload(path, query, tokio::io::stdin()).await?
    } else {
        client.upload(path, query, super::open(source).await?).await?
    };
    progress::show(body, &mut io::stdout(), false).await?;
    Ok(0)
}
