//! `image prune`: removes images that nothing uses.

use boxship_api::Filters;
use boxship_api::image::PruneReport;
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::values::{pairs, size};

/// `image prune`.
pub const PRUNE: Command = Command {
    name: "prune",
    usage: "[OPTIONS]",
    about: "Remove unused images",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::switch("all", "Remove all unused images, not just dangling ones").short('a'),
        Flag::value("filter", "filter", "Which ones (until=…, label=…)").many().check(pairs::check_filter),
        Flag::switch("force", "Don't ask").short('f'),
    ],
    shared: &[],
    aliases: &[],
    action: action!(prune),
};

async fn prune(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let all = parsed.on("all");
    let warning = match all {
        true => "WARNING! This will remove all images without at least one container associated to them.",
        false => "WARNING! This will remove all dangling images.",
    };
    if !parsed.on("force") && !invocation.confirm(warning)? {
        return Ok(0);
    }
    let filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    let (text, space) = images(invocation, filters, all).await?;
    if !text.is_empty() {
        invocation.line(text)?;
    }
    invocation.line(format!("Total reclaimed space: {}", size::human(space as f64, 4)))?;
    Ok(0)
}

/// Removes them; what to print, and the space that was given back.
pub async fn images(invocation: &Invocation, mut filters: Filters, all: bool) -> Result<(String, u64)> {
    filters.add("dangling", if all { "false" } else { "true" });
    let query = Query::new().set("filters", filters.to_json());
    let report: PruneReport =
        invocation.client().await?.post("/images/prune", query, &serde_json::json!({})).await?;
    let deleted = report.images_deleted.unwrap_or_default();
    if deleted.is_empty() {
        // Space is given back without an image, too: what pulls that were given up had fetched.
        return Ok((String::new(), report.space_reclaimed));
    }
    let lines: String = deleted
        .iter()
        .map(|item| match item.untagged.is_empty() {
            true => format!("deleted: {}\n", item.deleted),
            false => format!("untagged: {}\n", item.untagged),
        })
        .collect();
    Ok((format!("Deleted Images:\n{lines}"), report.space_reclaimed))
}
