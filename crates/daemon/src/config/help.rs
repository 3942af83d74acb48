//! The help text, from the table of directives.

use std::fmt::Write;

use super::directive::{DIRECTIVES, Form};

/// What `boxship daemon --help` prints.
pub(crate) fn text() -> String {
    let mut text = String::from(
        "Usage:  boxship daemon [OPTIONS]\n\nRun the engine: serve Docker's Engine API.\n\nOptions:\n",
    );
    for directive in DIRECTIVES.iter().filter(|directive| !directive.flag.is_empty()) {
        let short = directive.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
        let kind = match directive.form {
            Form::Switch => "",
            Form::Text => " string",
            Form::Number => " int",
            Form::List | Form::Objects => " list",
            Form::Pairs => " name=value",
        };
        let name = format!("{short}--{}{kind}", directive.flag);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<42} {}", directive.help);
    }
    text
}
