//! `network disconnect`: takes a container off a network, running or not.

use boxship_api::network::DisconnectRequest;
use boxship_client::{Body, Query};
use http::Method;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::{Flag, Parsed};
use crate::invocation::Invocation;

/// `network disconnect`.
pub const DISCONNECT: Command = Command {
    name: "disconnect",
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    operands: Operands::Exactly(2),
    mixed: true,
    flags: &[Flag::switch("force", "Also when the container is no longer there").short('f')],
    shared: &[],
    aliases: &[],
    action: action!(disconnect),
};

async fn disconnect(invocation: &Invocation) -> Result<u8> {
    let request = request(&invocation.parsed);
    super::named("container", &request.container)?;
    let path = super::path(invocation.parsed.operand(0), "disconnect")?;
    let _: Body =
        invocation.client().await?.request(Method::POST, &path, Query::new(), Some(&request)).await?;
    Ok(0)
}

/// The request that the flags describe.
pub fn request(parsed: &Parsed) -> DisconnectRequest {
    DisconnectRequest { container: parsed.operand(1).trim().to_string(), force: parsed.on("force") }
}
