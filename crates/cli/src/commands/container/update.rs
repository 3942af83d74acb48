//! `update`: changes the limits and the restart policy of containers.

use boxship_api::container::{UpdateConfig, UpdateResponse};
use boxship_client::Query;

use super::{path, request};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::{Flag, integer};
use crate::invocation::Invocation;
use crate::values::{cpus, restart, size};

/// `update`.
pub const UPDATE: Command = Command {
    name: "update",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Update configuration of one or more containers",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[
        Flag::value("blkio-weight", "uint16", "Weight of block I/O, 10 to 1000; 0 for none")
            .default("0")
            .check(integer),
        Flag::value("cpu-period", "int", "CFS period in microseconds").check(integer),
        Flag::value("cpu-quota", "int", "CFS quota in microseconds").check(integer),
        Flag::value("cpu-rt-period", "int", "Real-time period in microseconds").check(integer),
        Flag::value("cpu-rt-runtime", "int", "Real-time budget in microseconds").check(integer),
        Flag::value("cpu-shares", "int", "Relative weight of CPU").short('c').check(integer),
        Flag::value("cpus", "decimal", "Number of CPUs").check(cpus::check),
        Flag::value("cpuset-cpus", "string", "CPUs to run on (0-3, 0,1)"),
        Flag::value("cpuset-mems", "string", "Memory nodes to use (0-3, 0,1)"),
        Flag::value("memory", "bytes", "Limit of memory").short('m').check(size::check),
        Flag::value("memory-reservation", "bytes", "Soft limit of memory").check(size::check),
        Flag::value("memory-swap", "bytes", "Limit of memory and swap together; -1 for no limit")
            .check(size::check_swap),
        Flag::value("pids-limit", "int", "Limit of processes; -1 for none").check(integer),
        Flag::value("restart", "string", "Restart policy"),
    ],
    shared: &[],
    aliases: &["container update", "update"],
    action: action!(update),
};

async fn update(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    if UPDATE.flags.iter().all(|flag| !parsed.given(flag.name)) {
        return Err(Failure::new("you must provide one or more flags when using this command"));
    }
    let mut resources = request::resources(parsed).map_err(Failure::new)?;
    // Only what was given is sent: everything else stays as it is.
    resources.memory_swappiness = None;
    resources.oom_kill_disable = None;
    resources.pids_limit = parsed.number("pids-limit");
    let restart_policy =
        parsed.text("restart").map_or(Ok(Default::default()), restart::parse).map_err(Failure::new)?;
    let change = UpdateConfig { resources, restart_policy };
    let client = invocation.client().await?;
    let warnings = std::sync::Mutex::new(Vec::new());
    let code = invocation
        .each(1, |name| {
            let (change, warnings) = (&change, &warnings);
            async move {
                let answer: UpdateResponse =
                    client.post(&path(&name, "update"), Query::new(), change).await?;
                let mut warnings = warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                warnings.extend(answer.warnings.unwrap_or_default());
                Ok(())
            }
        })
        .await?;
    // Docker prints them among the output, after it.
    for warning in warnings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        invocation.line(warning)?;
    }
    Ok(code)
}
