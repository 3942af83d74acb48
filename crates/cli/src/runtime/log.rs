//! The runtime's log: what engines read when something fails.
//!
//! The forms are those that runc writes (logrus' text and JSON), since containerd and Docker take the last line of
//! level `error` from it and show its `msg`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use super::failure::{Failure, Result};

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

/// Where log lines go.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    format: Format,
    debug: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { file: None, format: Format::Text, debug: false }
    }
}

impl Log {
    pub(super) fn open(path: Option<&str>, format: &str, debug: bool) -> Result<Self> {
        let format = match format {
            "" | "text" => Format::Text,
            "json" => Format::Json,
            other => return Err(Failure::new(format!("invalid log-format: {other}"))),
        };
        let open = |path: &str| OpenOptions::new().create(true).append(true).open(Path::new(path));
        let file = match path.filter(|path| !path.is_empty()) {
            Some(path) => Some(
                open(path).map_err(|error| Failure::from(error).while_doing(&format!("open log {path}")))?,
            ),
            None => None,
        };
        Ok(Self { file, format, debug })
    }

    /// Writes the line; a failure that ends the command is also told on standard error when the log is elsewhere.
    pub(super) fn error(&self, message: &str) {
        self.line("error", message);
        if self.file.is_some() {
            say(&mut std::io::stderr(), message);
        }
    }

    pub(super) fn warning(&self, message: &str) {
        self.line("warning", message);
    }

    pub(super) fn debug(&self, message: &str) {
        if self.debug {
            self.line("debug", message);
        }
    }

    fn line(&self, level: &str, message: &str) {
        let line = format_line(self.format, level, message, Timestamp::now());
        match self.file.as_ref() {
            Some(mut file) => say(&mut file, &line),
            None => say(&mut std::io::stderr(), &line),
        }
    }
}

/// A log that cannot be written (disk full, reader gone) must not change what the command does.
fn say(to: &mut dyn Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

fn format_line(format: Format, level: &str, message: &str, now: Timestamp) -> String {
    let time = DateTimePrinter::new().precision(Some(0)).timestamp_to_string(&now);
    match format {
        // Keys in alphabetical order, as logrus writes them.
        Format::Json => serde_json::json!({"level": level, "msg": message, "time": time}).to_string(),
        Format::Text => format!("time={time:?} level={level} msg={}", quote(message)),
    }
}

fn quote(message: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._/@^+".contains(letter);
    if !message.is_empty() && message.chars().all(plain) {
        message.to_owned()
    } else {
        format!("{message:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        for (format, message, expected) in [
            (
                Format::Text,
                "no \"such\" thing",
                r#"time="2023-11-14T22:13:20Z" level=error msg="no \"such\" thing""#,
            ),
            (Format::Text, "plain", r#"time="2023-11-14T22:13:20Z" level=error msg=plain"#),
            (Format::Json, "a\nb", r#"{"level":"error","msg":"a\nb","time":"2023-11-14T22:13:20Z"}"#),
        ] {
            assert_eq!(format_line(format, "error", message, now), expected);
        }
    }
}
