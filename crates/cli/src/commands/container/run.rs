//! `run`: create, attach, start, carry the streams, and end with the container's exit code.

use boxship_api::container::{CreateRequest, WaitResponse};
use boxship_client::{Client, Hijacked, Query};

use super::{create, flags, path};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::streams::{self, Carry, Resizer};

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
        return Err(Failure::Hinted(
            "conflicting options: cannot specify both --attach and --detach".into(),
            125,
        ));
    }
    let mut request = create::build(invocation)?;
    if detach {
        let config = &mut request.config;
        (config.attach_stdin, config.attach_stdout, config.attach_stderr) = (false, false, false);
        config.stdin_once = false;
    }
    check_terminal(request.config.attach_stdin, request.config.tty)?;
    if let Some((rows, columns)) = crate::terminal::size().filter(|_| request.config.tty) {
        request.host_config.get_or_insert_default().console_size = [rows.into(), columns.into()];
    }
    let created = create::container(invocation, &request).await.map_err(Failure::before_start)?;
    let client = invocation.client().await?;
    if detach {
        start(client, &created.id).await?;
        invocation.line(&created.id)?;
        return Ok(0);
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
    let tty = config.tty;
    let query = Query::new()
        .set("stream", 1)
        .flag("stdin", config.attach_stdin)
        .flag("stdout", config.attach_stdout)
        .flag("stderr", config.attach_stderr)
        .maybe("detachKeys", parsed.filled("detach-keys"));
    let hijacked = client.hijack(&path(id, "attach"), query, None::<&()>).await.map_err(Failure::from)?;
    let removed = request.host_config.as_ref().is_some_and(|host| host.auto_remove);
    let _signals =
        if parsed.on_or("sig-proxy", true) && !tty { Some(Proxy::start(client, id)?) } else { None };
    // The wait begins before the start: a container that ends at once is not missed.
    let wait = wait(client, id, if removed { "removed" } else { "next-exit" });
    tokio::pin!(wait);
    let started = tokio::select! {
        biased;
        started = start(client, id) => started,
        _ = pending_first(&mut wait) => Ok(()),
    };
    if let Err(failure) = started {
        if removed {
            // The daemon removes what could not be started; the command ends when that is done.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(10), wait).await;
        }
        return Err(failure);
    }
    let outcome =
        supervise(client, id, hijacked, Carry { stdin: config.attach_stdin, tty }, &mut wait).await?;
    match outcome {
        Outcome::Exited(code) => Ok(code),
        Outcome::Detached => Ok(0),
    }
}

/// Lets the wait's request leave before the start's without ever being the branch that is taken.
async fn pending_first<F: Future + Unpin>(wait: &mut F) {
    let _ = std::future::poll_fn(|context| {
        let _ = std::pin::Pin::new(&mut *wait).poll(context);
        std::task::Poll::<()>::Pending
    })
    .await;
}

/// How an attached command ended.
pub enum Outcome {
    /// The container's exit code.
    Exited(u8),
    /// The user detached; the container runs on.
    Detached,
}

/// Carries the streams until they end and then waits for the exit code; without one soon, the user has detached.
pub async fn supervise(
    client: &Client,
    id: &str,
    hijacked: Hijacked,
    what: Carry,
    wait: &mut (impl Future<Output = Result<u8>> + Unpin),
) -> Result<Outcome> {
    let resizer = async {
        match what.tty {
            true => Resizer::new(client, path(id, "resize"))?.run().await,
            false => std::future::pending().await,
        }
        Ok::<(), Failure>(())
    };
    let mut exited = None;
    {
        let carry = streams::carry(hijacked, what);
        tokio::pin!(carry, resizer);
        loop {
            tokio::select! {
                carried = &mut carry => {
                    carried?;
                    break;
                }
                code = &mut *wait, if exited.is_none() => exited = Some(code?),
                ended = &mut resizer => ended?,
            }
        }
    }
    if let Some(code) = exited {
        return Ok(Outcome::Exited(code));
    }
    if what.stdin && what.tty && is_running(client, id).await {
        return Ok(Outcome::Detached);
    }
    Ok(Outcome::Exited(wait.await?))
}

/// With the streams closed and the container running, the detach keys were pressed.
async fn is_running(client: &Client, id: &str) -> bool {
    let inspect = client.get::<serde_json::Value>(&path(id, "json"), Query::new()).await;
    inspect.is_ok_and(|container| container["State"]["Running"] == true)
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

/// The exit code, once `condition` holds.
pub async fn wait(client: &Client, id: &str, condition: &str) -> Result<u8> {
    let query = Query::new().set("condition", condition);
    let answer: WaitResponse = client.post(&path(id, "wait"), query, &serde_json::json!({})).await?;
    match answer.error {
        Some(error) if !error.message.is_empty() => Err(Failure::Hinted(error.message, 125)),
        _ => Ok(answer.status_code as u8),
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
