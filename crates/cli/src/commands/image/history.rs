//! `history`: the steps an image was made by.

use boxship_api::image::HistoryResponseItem;
use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::Flag;
use crate::format::text::{ellipsis, short_id};
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::{size, time};

/// `history`.
pub const HISTORY: Command = Command {
    name: "history",
    usage: "[OPTIONS] IMAGE",
    about: "Show the history of an image",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::value("format", "string", format::HELP),
        Flag::switch("human", "Print sizes and dates in human readable format").short('H').default("true"),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::value("platform", "string", "Show history for the given platform (\"linux/amd64\")"),
        Flag::switch("quiet", "Only show image IDs").short('q'),
    ],
    shared: &[],
    aliases: &["image history", "history"],
    action: action!(history),
};

const LISTING: Listing = Listing {
    headings: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    table: "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    kind: "*image.historyContext",
};

const EXACT: &str = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
/// Steps from before are told without an age: builds for reproducibility carry times of nobody's clock.
const YEAR_2000: i64 = 946_684_800;

async fn history(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let platform = super::platform_json(invocation, parsed.filled("platform"), 48).await?;
    let client = invocation.client().await?;
    let query = Query::new().maybe("platform", platform);
    let steps: Option<Vec<HistoryResponseItem>> =
        client.get(&path(parsed.operand(0), "history"), query).await?;
    let (human, cut) = (parsed.on_or("human", true), !parsed.on("no-trunc"));
    let rows: Vec<Row> = steps.unwrap_or_default().iter().map(|step| row(step, human, cut)).collect();
    let format = match parsed.text("format").unwrap_or_default() {
        "" | "table" if parsed.on("quiet") => "{{.ID}}",
        "" | "table" if !human => EXACT,
        given => given,
    };
    invocation.print(format::listing(&LISTING, format, &rows)?)?;
    Ok(0)
}

fn row(step: &HistoryResponseItem, human: bool, cut: bool) -> Row {
    let created_by = step.created_by.replace('\t', " ");
    let since = match human {
        false => time::rfc3339(step.created),
        true if step.created <= YEAR_2000 => "N/A".to_string(),
        true => time::ago(step.created),
    };
    Row::new(vec![
        ("ID", if cut { short_id(&step.id) } else { step.id.clone() }.into()),
        ("CreatedSince", since.into()),
        ("CreatedAt", time::rfc3339(step.created).into()),
        ("CreatedBy", if cut { ellipsis(&created_by, 45) } else { created_by }.into()),
        ("Size", if human { size::human(step.size as f64, 3) } else { step.size.to_string() }.into()),
        ("Comment", step.comment.as_str().into()),
    ])
}
