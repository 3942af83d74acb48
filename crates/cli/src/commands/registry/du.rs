//! `registry du`: what takes how much space.

use boxship_registry::admin;

use super::{STORAGE, failed, human, storage};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::Flag;
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;

/// `registry du`.
pub const DU: Command = Command {
    name: "du",
    usage: "[OPTIONS]",
    about: "Show how much space a registry takes",
    operands: Operands::None,
    mixed: true,
    flags: &[STORAGE, Flag::value("format", "string", format::HELP)],
    shared: &[],
    aliases: &[],
    action: action!(du),
};

const LISTING: Listing = Listing {
    headings: &[
        ("Repository", "REPOSITORY"),
        ("Tags", "TAGS"),
        ("Manifests", "MANIFESTS"),
        ("Blobs", "BLOBS"),
        ("Size", "SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
    ],
    table: "table {{.Repository}}\t{{.Tags}}\t{{.Manifests}}\t{{.Blobs}}\t{{.Size}}\t{{.UniqueSize}}",
    kind: "*formatter.usageContext",
};

async fn du(invocation: &Invocation) -> Result<u8> {
    let total = admin::usage(&storage(invocation)?).map_err(failed)?;
    let rows: Vec<Row> = total
        .repositories
        .iter()
        .map(|usage| {
            Row::new(vec![
                ("Repository", usage.name.as_str().into()),
                ("Tags", usage.tags.to_string().into()),
                ("Manifests", usage.manifests.to_string().into()),
                ("Blobs", usage.blobs.to_string().into()),
                ("Size", human(usage.size).into()),
                ("UniqueSize", human(usage.unique).into()),
            ])
        })
        .collect();
    let given = invocation.parsed.text("format").unwrap_or_default();
    invocation.print(format::listing(&LISTING, given, &rows)?)?;
    if matches!(given, "" | "table") {
        invocation.line(format!(
            "\nTotal: {}, of which {} in no repository, {} in uploads",
            human(total.size),
            human(total.unused),
            human(total.uploads)
        ))?;
    }
    Ok(0)
}
