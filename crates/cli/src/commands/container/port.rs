//! `port`: the published ports of a container.

use boxship_client::Query;
use serde_json::Value;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::format::text::natural;
use crate::invocation::Invocation;
use crate::values::port;

/// `port`.
pub const PORT: Command = Command {
    name: "port",
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "List port mappings or a specific mapping for the container",
    operands: Operands::Between(1, 2),
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &["container port", "port"],
    action: action!(port),
};

async fn port(invocation: &Invocation) -> Result<u8> {
    let (name, wanted) = (invocation.parsed.operand(0), invocation.parsed.operands.get(1));
    let container: Value = invocation.client().await?.get(&path(name, "json"), Query::new()).await?;
    let none = serde_json::Map::new();
    let ports = container["NetworkSettings"]["Ports"].as_object().unwrap_or(&none);
    let bindings = |list: &Value| -> Vec<String> {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().map(|binding| address(&binding["HostIp"], &binding["HostPort"])).collect()
    };
    let Some(wanted) = wanted else {
        let lines = ports.iter().flat_map(|(port, list)| {
            bindings(list).into_iter().map(move |binding| format!("{port} -> {binding}"))
        });
        return print(invocation, lines.collect());
    };
    let (number, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let protocol = if protocol.is_empty() { "tcp" } else { protocol };
    if let Err(why) = port::number(number) {
        return Err(Failure::new(format!("Error: invalid port ({number}): {why}")));
    }
    let key = format!("{number}/{protocol}");
    let found = ports.get(&key).map(bindings).unwrap_or_default();
    if found.is_empty() {
        return Err(Failure::new(format!("Error: No public port '{wanted}' published for {name}")));
    }
    print(invocation, found)
}

fn print(invocation: &Invocation, mut lines: Vec<String>) -> Result<u8> {
    lines.sort_by(|one, other| natural(one, other));
    lines.iter().try_for_each(|line| invocation.line(line))?;
    Ok(0)
}

fn address(ip: &Value, port: &Value) -> String {
    let (ip, port) = (ip.as_str().unwrap_or_default(), port.as_str().unwrap_or_default());
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}
