//! `top`: the processes of a container.

use boxship_api::container::TopResponse;
use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::format::tabs;
use crate::invocation::Invocation;

/// `top`.
pub const TOP: Command = Command {
    name: "top",
    usage: "CONTAINER [ps OPTIONS]",
    about: "Display the running processes of a container",
    operands: Operands::AtLeast(1),
    mixed: false,
    flags: &[],
    shared: &[],
    aliases: &["container top", "top"],
    action: action!(top),
};

async fn top(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let options = parsed.operands[1..].join(" ");
    let query = Query::new().maybe("ps_args", (!options.is_empty()).then_some(options));
    let answer: TopResponse = invocation.client().await?.get(&path(parsed.operand(0), "top"), query).await?;
    let rows = std::iter::once(answer.titles.unwrap_or_default()).chain(answer.processes.unwrap_or_default());
    let lines: String = rows.map(|row| format!("{}\n", row.join("\t"))).collect();
    invocation.print(tabs::align(&lines, 20, 3))?;
    Ok(0)
}
