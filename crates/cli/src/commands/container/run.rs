//! `run`: create, attach, start, carry the streams, and end with the container's exit code.

use std::time::Duration;

use boxship_api::container::{CreateRequest, WaitResponse};
use boxship_client::{Body, Client, Hijacked, Query};
use http::Method;

use super::{create, flags, path};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::{Flag, Parsed};
use crate::invocation::Invocation;
use crate::streams::{self, Carried, Carry, Resizer};

/// `run`.
pub const RUN: Command = Command {
    name: "run",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create and run a new container from an image",
    operands: Operands::AtLeast(1),
    mixed: false,
    flags: &[
        Flag::switch("detach", "Run in the background and print the container's id").short('d'),
        Flag::value("detach-keys", "string", "Keys that detach from the container"),
        Flag::switch("sig-proxy", "Pass received signals to the process").default("true"),
    ],
    shared: flags::CONTAINER,
    aliases: &["container run", "run"],
    action: action!(run),
};

async fn run(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let detach = parsed.on("detach");
    if detach && parsed.given("attach") {
        return Err(Failure::new("conflicting options: cannot specify both --attach and --detach"));
    }
    let mut request = create::build(invocation).map_err(Failure::before_start)?;
    if detach {
        let config = &mut request.config;
        (config.attach_stdin, config.attach_stdout, config.attach_stderr) = (false, false, false);
        config.stdin_once = false;
    }
    check_terminal(request.config.attach_stdin, request.config.tty)?;
    let created = create::container(invocation, &request).await.map_err(Failure::before_start)?;
    let client = invocation.client().await?;
    if detach {
        // The container is there even if it can't be started: scripts learn which one it is.
        let started = start(client, &created.id).await;
        invocation.line(&created.id)?;
        return started.map(|()| 0);
    }
    attached(invocation, client, &created.id, &request).await
}

/// Input that is no terminal can't be the container's terminal.
pub fn check_terminal(stdin: bool, tty: bool) -> Result<()> {
    if stdin && tty && !crate::invocation::terminals().0 {
        return Err(Failure::new("the input device is not a TTY"));
    }
    Ok(())
}

async fn attached(invocation: &Invocation, client: &Client, id: &str, request: &CreateRequest) -> Result<u8> {
    let (config, parsed) = (&request.config, &invocation.parsed);
    let query = streams_query(parsed, [config.attach_stdin, config.attach_stdout, config.attach_stderr]);
    let proxied = parsed.on_or("sig-proxy", true);
    let _signals = if proxied { Some(Proxy::start(client, id)?) } else { None };
    let removed = request.host_config.as_ref().is_some_and(|host| host.auto_remove);
    let attach = path(id, "attach");
    // Both stand before the start: nothing that is printed and no exit is missed.
    let (hijacked, exit) = tokio::join!(
        client.hijack(&attach, query, None::<&()>),
        Exit::expect(client, id, if removed { "removed" } else { "next-exit" }),
    );
    let (hijacked, exit) = (hijacked?, exit?);
    if let Err(failure) = start(client, id).await {
        if removed {
            // The daemon removes what could not be started; the command ends when that is done.
            let _ = tokio::time::timeout(Duration::from_secs(10), exit.code()).await;
        }
        return Err(failure);
    }
    let what = Carry {
        stdin: config.attach_stdin,
        tty: config.tty,
        detach_keys: parsed.filled("detach-keys"),
        signals_passed: proxied,
    };
    Ok(supervise(client, id, hijacked, what, exit).await?.unwrap_or(0))
}

/// What an attach asks for: which of stdin, stdout and stderr, and the keys that detach.
pub fn streams_query(parsed: &Parsed, [stdin, stdout, stderr]: [bool; 3]) -> Query {
    Query::new()
        .set("stream", 1)
        .flag("stdin", stdin)
        .flag("stdout", stdout)
        .flag("stderr", stderr)
        .maybe("detachKeys", parsed.filled("detach-keys"))
}

/// Carries the streams until they end and gives the exit code; `None` when the user has detached. A user who insists
/// on the end of this process gets it, whatever the container does.
pub async fn supervise(
    client: &Client,
    id: &str,
    hijacked: Hijacked,
    what: Carry,
    exit: Exit,
) -> Result<Option<u8>> {
    tokio::select! {
        ended = follow(client, id, hijacked, what, exit) => ended,
        failure = streams::insisted() => Err(failure),
    }
}

async fn follow(
    client: &Client,
    id: &str,
    hijacked: Hijacked,
    what: Carry,
    exit: Exit,
) -> Result<Option<u8>> {
    let tty = what.tty;
    let carry = streams::carry(hijacked, what);
    let resize = path(id, "resize");
    let carried = tokio::select! {
        carried = carry => carried?,
        failure = resizing(client, &resize, tty) => return Err(failure),
    };
    match carried {
        Carried::All => exit.code().await.map(Some),
        Carried::Detached => Ok(None),
    }
}

/// Keeps the size of a container's terminal; ends only when that fails from the start.
pub async fn resizing(client: &Client, path: &str, tty: bool) -> Failure {
    if tty {
        match Resizer::new(client, path.to_string()) {
            Ok(resizer) => resizer.run().await,
            Err(failure) => return failure,
        }
    }
    std::future::pending().await
}

/// The exit that a container will have.
pub struct Exit {
    answer: Body,
    /// `attach` tells a failure as it is.
    bare: bool,
}

impl Exit {
    /// From here on the exit is not missed: the daemon has answered that it watches.
    pub async fn expect(client: &Client, id: &str, condition: &str) -> Result<Exit> {
        let query = Query::new().maybe("condition", (!condition.is_empty()).then_some(condition));
        let answer = client.request(Method::POST, &path(id, "wait"), query, None::<&()>).await?;
        Ok(Exit { answer, bare: condition.is_empty() })
    }

    /// The exit code, once there is one.
    pub async fn code(self) -> Result<u8> {
        let answer: WaitResponse = self.answer.json().await.map_err(|error| match self.bare {
            true => Failure::from(error),
            false => {
                Failure::Code(format!("error waiting for container: {}", Failure::from(error).message()), 125)
            }
        })?;
        match answer.error {
            Some(error) if !error.message.is_empty() => {
                Err(Failure::Code(format!("Error waiting for container: {}", error.message), 125))
            }
            _ => Ok(answer.status_code as u8),
        }
    }
}

/// Starts the container; the daemon's words about a program that can't be run decide the exit code.
async fn start(client: &Client, id: &str) -> Result<()> {
    client.command(&path(id, "start"), Query::new()).await.map_err(|error| {
        let failure = Failure::from(error);
        let message = failure.message();
        let code = start_code(&message);
        Failure::Hinted(message, code)
    })
}

/// 127: no such program; 126: it can't be run; 125: everything else.
fn start_code(message: &str) -> u8 {
    let any = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if any(&[
        "executable file not found",
        "no such file or directory",
        "system cannot find the file specified",
    ]) {
        127
    } else if any(&["permission denied", "is a directory"]) {
        126
    } else {
        125
    }
}

/// Passes this process's signals on to the container while it lives.
pub struct Proxy {
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Proxy {
    /// Catches signals from now on.
    pub fn start(client: &Client, id: &str) -> Result<Proxy> {
        let (sender, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = streams::pass_signals(sender)?;
        // A connection of its own: the signal must not wait behind anything.
        let client = client.another();
        let path = path(id, "kill");
        tasks.push(tokio::spawn(async move {
            while let Some(number) = arrivals.recv().await {
                let _ = client.command(&path, Query::new().set("signal", number)).await;
            }
        }));
        Ok(Proxy { tasks })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::start_code;

    #[test]
    fn the_daemons_words_decide_the_code() {
        for (words, code) in [
            ("exec: \"x\": executable file not found in $PATH", 127),
            ("exec: \"/x\": stat /x: no such file or directory", 127),
            ("exec: \"/etc/passwd\": permission denied", 126),
            ("exec: \"/etc\": is a directory", 126),
            ("something else", 125),
        ] {
            assert_eq!(start_code(words), code, "{words}");
        }
    }
}
