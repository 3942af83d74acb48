//! `logs`: what a container printed.

use boxship_client::Query;
use http::Method;
use serde_json::Value;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::streams;
use crate::values::time;

/// `logs`.
pub const LOGS: Command = Command {
    name: "logs",
    usage: "[OPTIONS] CONTAINER",
    about: "Fetch the logs of a container",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::switch("details", "Show extra attributes of the log"),
        Flag::switch("follow", "Go on with what is printed from now on").short('f'),
        Flag::value("since", "string", "Only what was printed since a time (2026-01-02T13:23:37Z, 42m)"),
        Flag::value("tail", "string", "Number of lines from the end").short('n').default("all"),
        Flag::switch("timestamps", "Show times").short('t'),
        Flag::value("until", "string", "Only what was printed before a time (2026-01-02T13:23:37Z, 42m)"),
    ],
    shared: &[],
    aliases: &["container logs", "logs"],
    action: action!(logs),
};

async fn logs(invocation: &Invocation) -> Result<u8> {
    let (client, parsed) = (invocation.client().await?, &invocation.parsed);
    let when = |flag| -> Result<Option<String>> {
        let text = parsed.filled(flag);
        text.map(|text| {
            time::moment(&text, std::time::SystemTime::now())
                .map_err(|why| Failure::new(format!("invalid value for {flag:?}: {why}")))
        })
        .transpose()
    };
    let query = Query::new()
        .set("stdout", 1)
        .set("stderr", 1)
        .flag("follow", parsed.on("follow"))
        .flag("timestamps", parsed.on("timestamps"))
        .flag("details", parsed.on("details"))
        .maybe("since", when("since")?)
        .maybe("until", when("until")?)
        .set("tail", parsed.text("tail").unwrap_or("all"));
    let container: Value = client.get(&path(parsed.operand(0), "json"), Query::new()).await?;
    let id = container["Id"].as_str().unwrap_or_default();
    let body = client.request(Method::GET, &path(id, "logs"), query, None::<&()>).await?;
    streams::drain(body, container["Config"]["Tty"] == true).await?;
    Ok(0)
}
