//! `wait`: blocks until containers end and prints their exit codes.

use boxship_api::container::WaitResponse;
use boxship_client::Query;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// `wait`.
pub const WAIT: Command = Command {
    name: "wait",
    usage: "CONTAINER [CONTAINER...]",
    about: "Block until one or more containers stop, then print their exit codes",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &["container wait", "wait"],
    action: action!(wait),
};

async fn wait(invocation: &Invocation) -> Result<u8> {
    let client = invocation.client().await?;
    let mut code = 0;
    for name in &invocation.parsed.operands {
        let answer =
            client.post::<WaitResponse>(&path(name, "wait"), Query::new(), &serde_json::json!({})).await;
        match answer {
            Ok(answer) => invocation.line(answer.status_code.to_string())?,
            Err(error) => {
                invocation.complain(Failure::from(error).message());
                code = 1;
            }
        }
    }
    Ok(code)
}
