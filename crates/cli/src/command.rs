//! A command as data: its name, usage, flags and what it does.

use std::future::Future;
use std::pin::Pin;

use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// What a command does; the code is the process's exit code.
pub type Action = for<'a> fn(&'a Invocation) -> Pin<Box<dyn Future<Output = Result<u8>> + 'a>>;

/// How many operands a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// None at all.
    None,
    /// Exactly this many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
    /// This many or fewer.
    AtMost(usize),
    /// From this many to that many.
    Between(usize, usize),
}

/// One command.
pub struct Command {
    /// Its name, without its group.
    pub name: &'static str,
    /// What follows the name in the usage line.
    pub usage: &'static str,
    /// One line of what it is for.
    pub about: &'static str,
    /// How many operands it takes.
    pub operands: Operands,
    /// Whether flags may follow operands.
    pub mixed: bool,
    /// Its flags.
    pub flags: &'static [Flag],
    /// Further flags that it shares with others.
    pub shared: &'static [Flag],
    /// Other ways to call it, as help lists them: `container run`, `run`.
    pub aliases: &'static [&'static str],
    /// What it does.
    pub action: Action,
}

/// Commands below one word.
pub struct Group {
    /// The word.
    pub name: &'static str,
    /// One line of what they are about.
    pub about: &'static str,
    /// The commands, each with the names it has here (the first one is shown).
    pub commands: &'static [(&'static [&'static str], &'static Command)],
}

impl Command {
    /// All flags.
    pub fn all_flags(&self) -> Vec<Flag> {
        self.flags.iter().chain(self.shared).copied().collect()
    }

    /// Checks the number of operands, in Docker's words.
    pub fn check_operands(&self, program: &str, path: &str, given: usize) -> Result<()> {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let what = match self.operands {
            Operands::None if given > 0 => "accepts no arguments".to_string(),
            Operands::Exactly(n) if given != n => format!("requires {n} argument{}", plural(n)),
            Operands::AtLeast(n) if given < n => format!("requires at least {n} argument{}", plural(n)),
            Operands::AtMost(n) if given > n => format!("requires at most {n} argument{}", plural(n)),
            Operands::Between(low, high) if given < low || given > high => {
                format!("requires at least {low} and at most {high} arguments")
            }
            _ => return Ok(()),
        };
        Err(Failure::Operands(format!("'{program} {path}' {what}")))
    }
}
