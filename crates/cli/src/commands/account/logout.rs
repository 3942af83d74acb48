//! `logout`: forgets the credentials for a registry.

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::credentials::{HUB, hostname};
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// `logout`.
pub const LOGOUT: Command = Command {
    name: "logout",
    usage: "[SERVER]",
    about: "Log out from a registry",
    operands: Operands::AtMost(1),
    mixed: true,
    flags: &[],
    shared: &[],
    aliases: &[],
    action: action!(logout),
};

async fn logout(invocation: &Invocation) -> Result<u8> {
    let address = invocation.parsed.operand(0);
    let (shown, keys) = match address {
        // Beside the account the stock client keeps tokens of a login by browser.
        "" => (HUB, vec![HUB.to_string(), format!("{HUB}access-token"), format!("{HUB}refresh-token")]),
        address => {
            let host = hostname(address);
            let kept =
                [address.to_string(), host.to_string(), format!("http://{host}"), format!("https://{host}")];
            (host, kept.to_vec())
        }
    };
    invocation.line(format!("Removing login credentials for {shown}"))?;
    let mut credentials = invocation.credentials();
    let failed: Vec<(&String, Failure)> =
        keys.iter().filter_map(|key| credentials.erase(key).err().map(|failure| (key, failure))).collect();
    // One of the ways to write the address is enough.
    if failed.len() == keys.len() {
        invocation.complain("WARNING: could not erase credentials:");
        for (key, failure) in failed {
            invocation.complain(format!("{key}: {}", failure.message()));
        }
    }
    Ok(0)
}
