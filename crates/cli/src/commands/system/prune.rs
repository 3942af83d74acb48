//! `system prune`: removes stopped containers, unused networks and unused images.

use crate::command::{Command, Operands};
use crate::commands::{action, container, image, network};
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::values::{pairs, size};

/// `system prune`.
pub const PRUNE: Command = Command {
    name: "prune",
    usage: "[OPTIONS]",
    about: "Remove unused data",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::switch("all", "Remove all unused images not just dangling ones").short('a'),
        Flag::value("filter", "filter", "Which ones (until=…, label=…)").many().check(pairs::check_filter),
        Flag::switch("force", "Don't ask").short('f'),
        Flag::switch("volumes", "Prune anonymous volumes"),
    ],
    shared: &[],
    aliases: &[],
    action: action!(prune),
};

async fn prune(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    if parsed.on("volumes") {
        return Err(Failure::new("--volumes is not supported: this version has no volumes"));
    }
    let all = parsed.on("all");
    let images = match all {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    };
    let given = parsed.list("filter");
    let filtered = match given.is_empty() {
        true => String::new(),
        false => format!("\n  Items to be pruned will be filtered with:\n  - {}\n", given.join("\n  - ")),
    };
    let question = format!(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n  - {images}\n{filtered}"
    );
    if !parsed.on("force") && !invocation.confirm(&question)? {
        return Ok(0);
    }
    let filters = pairs::filters(&given).map_err(Failure::new)?;
    let (removed, container_space) = container::prune::containers(invocation, &filters).await?;
    invocation.print(removed)?;
    invocation.print(network::prune::networks(invocation, &filters).await?)?;
    let (removed, image_space) = image::prune::images(invocation, filters, all).await?;
    if !removed.is_empty() {
        invocation.line(removed)?;
    }
    let space = size::human((container_space + image_space) as f64, 4);
    invocation.line(format!("Total reclaimed space: {space}"))?;
    Ok(0)
}
