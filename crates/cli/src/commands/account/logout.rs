//! `logout`: forgets the credentials for a registry.

use indexmap::IndexSet;

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
    let (shown, keys) = keys(address);
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

/// The registry as it is named to the user, and what credentials for it may be kept under, each once.
fn keys(address: &str) -> (&str, IndexSet<String>) {
    if address.is_empty() {
        // Beside the account the stock client keeps tokens of a login by browser.
        let kept = [HUB.to_owned(), format!("{HUB}access-token"), format!("{HUB}refresh-token")];
        return (HUB, kept.into());
    }
    let host = hostname(address);
    let kept = [address.to_owned(), host.to_owned(), format!("http://{host}"), format!("https://{host}")];
    (host, kept.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_once() {
        for (address, expected) in [
            ("a:1", &["a:1", "http://a:1", "https://a:1"][..]),
            ("http://a", &["http://a", "a", "https://a"]),
            ("https://a", &["https://a", "a", "http://a"]),
            ("https://a/v1/", &["https://a/v1/", "a", "http://a", "https://a"]),
        ] {
            let (_, keys) = keys(address);
            assert!(keys.iter().eq(expected), "{address}: {keys:?}");
        }
    }
}
