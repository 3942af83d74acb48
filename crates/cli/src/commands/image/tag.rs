//! `tag`: a further name for an image.

use boxship_client::Query;
use boxship_oci::reference::Reference;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// `tag`.
pub const TAG: Command = Command {
    name: "tag",
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    operands: Operands::Exactly(2),
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &["image tag", "tag"],
    action: action!(tag),
};

async fn tag(invocation: &Invocation) -> Result<u8> {
    let (source, target) = (invocation.parsed.operand(0), invocation.parsed.operand(1));
    let parse = |name: &str| {
        Reference::parse(name).map_err(|why| {
            Failure::new(format!("Error parsing reference: {name:?} is not a valid repository/tag: {why}"))
        })
    };
    parse(source)?;
    let target = parse(target)?;
    if target.digest().is_some() {
        return Err(Failure::new("refusing to create a tag with a digest reference"));
    }
    let target = target.tagged();
    let query = Query::new().set("repo", target.familiar_name()).maybe("tag", target.tag());
    invocation.client().await?.command(&path(source, "tag"), query).await?;
    Ok(0)
}
