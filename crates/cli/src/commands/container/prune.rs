//! `container prune`: removes all containers that don't run.

use boxship_api::container::PruneReport;
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::values::{pairs, size};

/// `container prune`.
pub const PRUNE: Command = Command {
    name: "prune",
    usage: "[OPTIONS]",
    about: "Remove all stopped containers",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::list("filter", "Which ones (until=…, label=…)").of("filter").check(pairs::check_filter),
        Flag::switch("force", "Don't ask").short('f'),
    ],
    shared: &[],
    aliases: &[],
    action: action!(prune),
};

async fn prune(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    if !parsed.on("force") && !invocation.confirm("WARNING! This will remove all stopped containers.")? {
        return Ok(0);
    }
    let filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    let (text, space) = containers(invocation, &filters).await?;
    invocation.print(format!("{text}Total reclaimed space: {}\n", size::human(space as f64, 4)))?;
    Ok(0)
}

/// Removes them; what to print, and the space that was given back.
pub async fn containers(invocation: &Invocation, filters: &boxship_api::Filters) -> Result<(String, u64)> {
    let query = Query::new().set("filters", filters.to_json());
    let report: PruneReport =
        invocation.client().await?.post("/containers/prune", query, &serde_json::json!({})).await?;
    let deleted = report.containers_deleted.unwrap_or_default();
    if deleted.is_empty() {
        return Ok((String::new(), report.space_reclaimed));
    }
    Ok((format!("Deleted Containers:\n{}\n\n", deleted.join("\n")), report.space_reclaimed))
}
