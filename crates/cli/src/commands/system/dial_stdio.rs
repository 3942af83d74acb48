//! `system dial-stdio`: carries standard input and output to the daemon; what `ssh://` runs on the other side.

use tokio::io::{AsyncWriteExt, copy, split, stdin, stdout};

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// `system dial-stdio`.
pub const DIAL_STDIO: Command = Command {
    name: "dial-stdio",
    usage: "",
    about: "Proxy the stdio stream to the daemon connection. Should not be invoked manually",
    operands: Operands::None,
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &[],
    action: action!(dial),
};

async fn dial(invocation: &Invocation) -> Result<u8> {
    let (mut from_daemon, mut to_daemon) = split(invocation.client().await?.dial().await?);
    let upwards = async {
        let copied = copy(&mut stdin(), &mut to_daemon).await;
        // The end of the input is told; the answer may still be coming.
        let _ = to_daemon.shutdown().await;
        copied
    };
    let downwards = async {
        let mut out = stdout();
        copy(&mut from_daemon, &mut out).await?;
        out.flush().await
    };
    tokio::pin!(upwards, downwards);
    let mut fed = false;
    let done = loop {
        tokio::select! {
            result = &mut downwards => break result,
            result = &mut upwards, if !fed => match result {
                Ok(_) => fed = true,
                Err(error) => break Err(error),
            },
        }
    };
    done.map_err(|e| Failure::new(format!("carry standard input and output: {e}")))?;
    Ok(0)
}
