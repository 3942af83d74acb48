//! `network prune`: removes the networks of users that no container is on.

use boxship_api::network::PruneReport;
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::values::pairs;

/// `network prune`.
pub const PRUNE: Command = Command {
    name: "prune",
    usage: "[OPTIONS]",
    about: "Remove all unused networks",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::value("filter", "filter", "Which ones (until=…, label=…)").many().check(pairs::check_filter),
        Flag::switch("force", "Don't ask").short('f'),
    ],
    shared: &[],
    aliases: &[],
    action: action!(prune),
};

const WARNING: &str = "WARNING! This will remove all custom networks not used by at least one container.";

async fn prune(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    if !parsed.on("force") && !invocation.confirm(WARNING)? {
        return Ok(0);
    }
    let filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    invocation.print(networks(invocation, &filters).await?)?;
    Ok(0)
}

/// Removes them; what to print.
pub async fn networks(invocation: &Invocation, filters: &boxship_api::Filters) -> Result<String> {
    let query = Query::new().set("filters", filters.to_json());
    let client = invocation.client().await?;
    let report: PruneReport = client.post("/networks/prune", query, &serde_json::json!({})).await?;
    let deleted = report.networks_deleted.unwrap_or_default();
    if deleted.is_empty() {
        return Ok(String::new());
    }
    Ok(format!("Deleted Networks:\n{}\n\n", deleted.join("\n")))
}
