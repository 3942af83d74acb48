//! One call of a command: what was typed, the client that speaks to the daemon, and where output goes.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use boxship_client::Client;
use futures_util::{FutureExt, StreamExt};

use crate::credentials::Credentials;
use crate::failure::{Failure, Result};
use crate::flags::Parsed;
use crate::globals::Globals;

/// How many containers Docker's commands treat at the same time, where they do.
pub const AT_ONCE: usize = 50;

/// What a command's action gets.
pub struct Invocation {
    /// What the program is called: `boxship`, or `docker`.
    pub program: String,
    /// The words that named the command: `run`, `container run`.
    pub path: String,
    /// Flags and operands.
    pub parsed: Parsed,
    /// The flags before the command.
    pub globals: Globals,
    client: OnceLock<Client>,
}

impl Invocation {
    /// A call that has not yet spoken to anyone.
    pub fn new(program: String, path: String, parsed: Parsed, globals: Globals) -> Invocation {
        Invocation { program, path, parsed, globals, client: OnceLock::new() }
    }

    /// The client; made, and the daemon started when that is wanted, at the first use.
    pub async fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.globals.client(&self.program).await?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The user's credentials for registries.
    pub fn credentials(&self) -> Credentials {
        Credentials::open(&self.globals.config_folder())
    }

    /// Prints to standard output. A reader that has gone away ends the command, silently.
    pub fn print(&self, text: impl AsRef<[u8]>) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::silent(141),
            _ => Failure::new(format!("write to standard output: {error}")),
        })
    }

    /// Prints a line to standard output.
    pub fn line(&self, text: impl AsRef<str>) -> Result<()> {
        self.print(format!("{}\n", text.as_ref()))
    }

    /// Prints a line to standard error; that nobody reads it is no error.
    pub fn complain(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{}", text.as_ref());
    }

    /// Runs `action` for each operand, `many` at a time, printing the operand after each success, in their order;
    /// complains about the failures in the end. This is how Docker's commands that take several containers behave.
    pub async fn each<F>(&self, many: usize, action: impl Fn(String) -> F) -> Result<u8>
    where
        F: Future<Output = Result<()>>,
    {
        let mut failures = Vec::new();
        let operands = futures_util::stream::iter(&self.parsed.operands);
        let mut done = std::pin::pin!(
            operands.map(|operand| action(operand.clone()).map(move |done| (operand, done))).buffered(many)
        );
        while let Some((operand, done)) = done.next().await {
            match done {
                Ok(()) => self.line(operand)?,
                Err(failure) => failures.push(failure.message()),
            }
        }
        failures.iter().for_each(|failure| self.complain(failure));
        Ok(u8::from(!failures.is_empty()))
    }

    /// Asks a question that is answered by `y`; anything else is no.
    pub fn confirm(&self, question: &str) -> Result<bool> {
        self.print(format!("{question}\nAre you sure you want to continue? [y/N] "))?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|e| Failure::new(format!("read the answer: {e}")))?;
        Ok(answer.trim().eq_ignore_ascii_case("y"))
    }
}

/// Whether standard input, output and error are terminals.
pub fn terminals() -> (bool, bool, bool) {
    (io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal())
}
