//! `login`: has the daemon try credentials at a registry, and keeps them when they are good.

use std::io::{self, Read, Write};

use boxship_api::auth::{AuthConfig, AuthResponse};
use boxship_client::Query;
use boxship_oci::reference::DEFAULT_DOMAIN;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::credentials::{Credentials, HUB, hostname};
use crate::failure::{Failure, Result};
use crate::flags::{Flag, Parsed};
use crate::invocation::{Invocation, terminals};
use crate::terminal::Hidden;

/// `login`.
pub const LOGIN: Command = Command {
    name: "login",
    usage: "[OPTIONS] [SERVER]",
    about: "Authenticate to a registry",
    operands: Operands::AtMost(1),
    mixed: true,
    flags: &[
        Flag::value("password", "string", "Password or Personal Access Token (PAT)").short('p'),
        Flag::switch("password-stdin", "Take the Password or Personal Access Token (PAT) from stdin"),
        Flag::value("username", "string", "Username").short('u'),
    ],
    shared: &[],
    aliases: &[],
    action: action!(login),
};

/// A password or token is never longer.
const LINE: u64 = 64 << 10;

async fn login(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    check(parsed)?;
    let user = parsed.text("username").unwrap_or_default().trim().to_string();
    let password = password(invocation)?;
    let server = match parsed.operand(0) {
        "" | DEFAULT_DOMAIN => HUB,
        address => hostname(address),
    };
    let mut credentials = invocation.credentials();
    let mut known = String::new();
    if user.is_empty() && password.is_empty() {
        let kept = credentials.get(server).unwrap_or_default();
        let whole = !kept.username.is_empty() && !kept.password.is_empty();
        if whole && let Some(status) = with_kept(invocation, &mut credentials, &kept).await? {
            return told(invocation, &status);
        }
        known = kept.username;
    }
    let (user, password) = ask(invocation, server, user, password, &known).await?;
    let auth =
        AuthConfig { username: user, password, serveraddress: server.to_string(), ..AuthConfig::default() };
    let answer = tried(invocation, &auth).await?;
    keep(invocation, &mut credentials, auth, &answer)?;
    told(invocation, &answer.status)
}

fn told(invocation: &Invocation, status: &str) -> Result<u8> {
    if !status.is_empty() {
        invocation.line(status)?;
    }
    Ok(0)
}

fn check(parsed: &Parsed) -> Result<()> {
    let given = |name: &str| parsed.given(name);
    let empty = |name: &str| given(name) && parsed.text(name).unwrap_or_default().is_empty();
    let why = if given("password-stdin") && given("password") {
        "conflicting options: cannot specify both --password and --password-stdin"
    } else if given("password-stdin") && !given("username") {
        "the --password-stdin option requires --username to be set"
    } else if empty("username") {
        "username is empty"
    } else if empty("password") {
        "password is empty"
    } else {
        return Ok(());
    };
    Err(Failure::new(why))
}

/// The password as it was given, or all of standard input without the end of its line.
fn password(invocation: &Invocation) -> Result<String> {
    let parsed = &invocation.parsed;
    if let Some(password) = parsed.filled("password") {
        invocation.complain("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        return Ok(password.trim().to_string());
    }
    if !parsed.on("password-stdin") {
        return Ok(String::new());
    }
    let mut text = String::new();
    let read = io::stdin().take(LINE).read_to_string(&mut text);
    read.map_err(|error| Failure::new(format!("read the password: {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).trim().to_string())
}

/// Tries what is kept already; `None` when it isn't good any more.
async fn with_kept(
    invocation: &Invocation,
    credentials: &mut Credentials,
    kept: &AuthConfig,
) -> Result<Option<String>> {
    let program = &invocation.program;
    invocation.complain(format!(
        "Authenticating with existing credentials... [Username: {}]\n\n Info -> To login with a different account, \
         run '{program} logout' followed by '{program} login'\n\n",
        kept.username
    ));
    let auth = AuthConfig { identitytoken: String::new(), ..kept.clone() };
    match tried(invocation, &auth).await {
        Ok(answer) => {
            keep(invocation, credentials, auth, &answer)?;
            Ok(Some(answer.status))
        }
        Err(Failure::Client(error)) if error.status() == Some(401) => {
            invocation.complain("Stored credentials invalid or expired");
            Ok(None)
        }
        Err(failure) => {
            invocation.complain(format!("Login did not succeed, error: {}", failure.message()));
            Ok(None)
        }
    }
}

async fn tried(invocation: &Invocation, auth: &AuthConfig) -> Result<AuthResponse> {
    Ok(invocation.client().await?.post("/auth", Query::new(), auth).await?)
}

/// A token that the registry gave is kept instead of the password.
fn keep(
    invocation: &Invocation,
    credentials: &mut Credentials,
    mut auth: AuthConfig,
    answer: &AuthResponse,
) -> Result<()> {
    if !answer.identity_token.is_empty() {
        auth.password.clear();
        auth.identitytoken = answer.identity_token.clone();
    }
    let stored = credentials.store(&auth);
    let in_the_clear =
        stored.map_err(|failure| Failure::new(format!("Error saving credentials: {}", failure.message())))?;
    if let Some(path) = in_the_clear {
        invocation.complain(format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove \
             this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            path.display()
        ));
    }
    Ok(())
}

/// Asks the user for what wasn't given.
async fn ask(
    invocation: &Invocation,
    server: &str,
    mut user: String,
    mut password: String,
    known: &str,
) -> Result<(String, String)> {
    if (user.is_empty() || password.is_empty()) && !terminals().0 {
        return Err(Failure::new("Error: Cannot perform an interactive login from a non TTY device"));
    }
    if user.is_empty() {
        if server == HUB {
            invocation.line(
                "Log in with your Docker ID or email address to push and pull images from Docker Hub. If you don't \
                 have a Docker ID, head over to https://hub.docker.com/ to create one.\nYou can log in with your \
                 password or a Personal Access Token (PAT). Using a limited-scope PAT grants better security and is \
                 required for organizations using SSO. Learn more at https://docs.docker.com/go/access-tokens/\n",
            )?;
        }
        let question = if known.is_empty() { "Username: ".into() } else { format!("Username ({known}): ") };
        user = line(invocation, &question).await?;
        if user.is_empty() {
            user = known.to_string();
        }
        if user.is_empty() {
            return Err(Failure::new("Error: Non-null Username Required"));
        }
    }
    if password.is_empty() {
        let hidden = Hidden::enter().map_err(|error| Failure::new(format!("set the terminal: {error}")))?;
        password = line(invocation, "Password: ").await?;
        drop(hidden);
        invocation.line("")?;
        if password.is_empty() {
            return Err(Failure::new("Error: Password Required"));
        }
    }
    Ok((user, password))
}

/// A line that the user types. Ctrl-C leaves, with the terminal as it was.
async fn line(invocation: &Invocation, question: &str) -> Result<String> {
    invocation.print(question)?;
    let typed = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        io::stdin().read_line(&mut text).map(|_| text.trim().to_string())
    });
    tokio::select! {
        typed = typed => {
            let typed = typed.map_err(io::Error::other).and_then(|typed| typed);
            typed.map_err(|error| Failure::new(format!("read from the terminal: {error}")))
        }
        _ = tokio::signal::ctrl_c() => {
            // Where the cursor is now is of no account if that fails.
            let _ = writeln!(io::stdout());
            Err(Failure::silent(130))
        }
    }
}
