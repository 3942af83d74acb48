//! Command-line flags as data, with the grammar of Go's pflag that Docker's users know.
//!
//! Own code and not clap: the grammar (`--rm=false`, `-it`, flags that end at the first operand), the wording of
//! errors and the layout of `--help` are Docker's, and only the chosen command's table is ever built.

mod help;
mod parse;

pub use help::{commands, options};
pub use parse::{Parsed, UsageError, parse};

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or `=true`, `=false`.
    Bool,
    /// One value; the last one counts.
    Value,
    /// One value each time it is given.
    List,
}

/// How a value is checked while flags are read, so that the error names the flag.
pub type Check = fn(&str) -> Result<(), String>;

/// One flag.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The long name, without dashes.
    pub name: &'static str,
    /// The letter, when there is one.
    pub short: Option<char>,
    /// What it takes.
    pub kind: Kind,
    /// What help calls the value (`string`, `list`, `bytes`).
    pub value: &'static str,
    /// What help shows as the default.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// How its value is checked.
    pub check: Option<Check>,
    /// Another spelling that is accepted and not shown.
    pub alias: Option<&'static str>,
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, value: &'static str, help: &'static str) -> Flag {
        Flag { name, short: None, kind, value, default: "", help, check: None, alias: None }
    }

    /// A switch.
    pub const fn switch(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Bool, "", help)
    }

    /// A flag with one value of the type that help calls `value`.
    pub const fn value(name: &'static str, value: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Value, value, help)
    }

    /// A flag that may be given several times.
    pub const fn list(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::List, "list", help)
    }

    /// Names the values of a list otherwise.
    pub const fn of(mut self, value: &'static str) -> Flag {
        self.value = value;
        self
    }

    /// Lets a value be given several times without being called a list.
    pub const fn many(mut self) -> Flag {
        self.kind = Kind::List;
        self
    }

    /// Gives it a letter.
    pub const fn short(mut self, short: char) -> Flag {
        self.short = Some(short);
        self
    }

    /// Shows a default.
    pub const fn default(mut self, default: &'static str) -> Flag {
        self.default = default;
        self
    }

    /// Checks its values.
    pub const fn check(mut self, check: Check) -> Flag {
        self.check = Some(check);
        self
    }

    /// Accepts another spelling.
    pub const fn alias(mut self, alias: &'static str) -> Flag {
        self.alias = Some(alias);
        self
    }

    /// How errors name it: `-m, --memory`.
    fn spelled(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}

/// Checks a number as Go's strconv does.
pub fn integer(text: &str) -> Result<(), String> {
    number(text).map(drop)
}

/// Reads a number as Go's strconv does.
pub fn number(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
            format!("strconv.ParseInt: parsing {text:?}: value out of range")
        }
        _ => format!("strconv.ParseInt: parsing {text:?}: invalid syntax"),
    })
}
