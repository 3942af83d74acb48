//! `registry gc`: removes what nobody needs.

use boxship_registry::gc::{self, Policy};

use super::{STORAGE, check_count, check_period, failed, given_count, given_period, human, storage};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::Flag;
use crate::invocation::Invocation;

/// What stays and what goes; a server that collects by itself is told by the same flags.
pub const RULES: &[Flag] = &[
    Flag::value("keep-tags", "int", "Remove all but the newest tags of each repository").check(check_count),
    Flag::value(
        "older-than",
        "duration",
        "Remove tags that were pushed longer ago (with --keep-tags: only those beyond it)",
    )
    .check(check_period),
    Flag::switch("untagged", "Remove manifests that no tag leads to"),
    Flag::list("repository", "Repositories that these rules are for (globs; default all)"),
    Flag::value("grace", "duration", "Leave alone what was pushed or asked for within this time")
        .default("24h")
        .check(check_period),
];

/// `registry gc`.
pub const GC: Command = Command {
    name: "gc",
    usage: "[OPTIONS]",
    about: "Remove what nobody needs, also while a server runs",
    operands: Operands::None,
    mixed: true,
    flags: &[STORAGE, Flag::switch("dry-run", "Only tell what would be removed")],
    shared: RULES,
    aliases: &[],
    action: action!(collect),
};

/// What the flags ask for.
pub fn policy(invocation: &Invocation) -> Policy {
    let parsed = &invocation.parsed;
    Policy {
        grace: given_period(invocation, "grace").unwrap_or(Policy::default().grace),
        keep_tags: given_count(invocation, "keep-tags"),
        keep_age: given_period(invocation, "older-than"),
        untagged: parsed.on("untagged"),
        repositories: parsed.list("repository"),
        dry_run: parsed.on("dry-run"),
    }
}

async fn collect(invocation: &Invocation) -> Result<u8> {
    let policy = policy(invocation);
    let report = gc::collect(&storage(invocation)?, &policy).map_err(failed)?;
    let would = if policy.dry_run { "Would remove" } else { "Removed" };
    invocation.line(format!(
        "{would} {} tags, {} manifests, {} blobs, {} repositories\nTotal reclaimed space: {}",
        report.tags,
        report.manifests,
        report.blobs,
        report.repositories,
        human(report.bytes)
    ))?;
    Ok(0)
}
