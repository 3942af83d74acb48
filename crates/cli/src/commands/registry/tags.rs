//! `registry tags`: the tags of a repository.

use std::time::UNIX_EPOCH;

use boxship_registry::admin;

use super::{STORAGE, failed, repository, storage};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::Flag;
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::time;

/// `registry tags`.
pub const TAGS: Command = Command {
    name: "tags",
    usage: "[OPTIONS] REPOSITORY",
    about: "List the tags of a repository",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        STORAGE,
        Flag::value("format", "string", format::HELP),
        Flag::switch("no-trunc", "Don't truncate output"),
    ],
    shared: &[],
    aliases: &[],
    action: action!(tags),
};

const LISTING: Listing = Listing {
    headings: &[("Tag", "TAG"), ("Digest", "DIGEST"), ("MediaType", "MEDIA TYPE"), ("PushedSince", "PUSHED")],
    table: "table {{.Tag}}\t{{.Digest}}\t{{.MediaType}}\t{{.PushedSince}}",
    kind: "*formatter.tagContext",
};

async fn tags(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let tags = admin::tags(&storage(invocation)?, &repository(parsed.operand(0))?).map_err(failed)?;
    let whole = parsed.on("no-trunc");
    let rows: Vec<Row> = tags
        .iter()
        .map(|info| {
            let digest = if whole { info.digest.to_string() } else { info.digest.short().to_string() };
            let pushed = info.pushed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
            Row::new(vec![
                ("Tag", info.tag.as_str().into()),
                ("Digest", digest.into()),
                ("MediaType", info.media_type.clone().unwrap_or_else(|| "<missing>".into()).into()),
                ("PushedSince", time::ago(pushed).into()),
            ])
        })
        .collect();
    invocation.print(format::listing(&LISTING, parsed.text("format").unwrap_or_default(), &rows)?)?;
    Ok(0)
}
