//! What long work on images reports, line by line; on a terminal each layer has its line.

use std::io::{self, Write};

use boxship_api::progress::{ProgressDetail, ProgressMessage};
use boxship_client::Body;

use crate::failure::{Failure, Result};
use crate::values::size;

/// Shows a stream of messages until it ends, on `out`; an error among them is the result.
pub async fn show(body: Body, out: &mut impl Write, terminal: bool) -> Result<()> {
    let mut lines = body.lines();
    let mut screen = Screen { out, terminal, ids: Vec::new() };
    while let Some(message) = lines.next::<ProgressMessage>().await? {
        if let Some(detail) = &message.error_detail {
            return Err(Failure::new(detail.message.clone()));
        }
        if !message.error.is_empty() {
            return Err(Failure::new(message.error));
        }
        screen.put(&message).map_err(|e| Failure::new(format!("write progress: {e}")))?;
    }
    Ok(())
}

struct Screen<'a, W> {
    out: &'a mut W,
    terminal: bool,
    /// The ids that have a line, from the top.
    ids: Vec<String>,
}

impl<W: Write> Screen<'_, W> {
    fn put(&mut self, message: &ProgressMessage) -> io::Result<()> {
        if !message.stream.is_empty() {
            write!(self.out, "{}", message.stream)?;
            return self.out.flush();
        }
        let detail = message.progress_detail.as_ref().filter(|detail| **detail != ProgressDetail::default());
        if !self.terminal {
            // Bars are for terminals; what happened is for everyone.
            if detail.is_some() || message.status.is_empty() {
                return Ok(());
            }
            let id = if message.id.is_empty() { String::new() } else { format!("{}: ", message.id) };
            return writeln!(self.out, "{id}{}", message.status);
        }
        if message.id.is_empty() {
            return if message.status.is_empty() { Ok(()) } else { writeln!(self.out, "{}", message.status) };
        }
        let above = match self.ids.iter().position(|id| *id == message.id) {
            Some(at) => self.ids.len() - at,
            None => {
                self.ids.push(message.id.clone());
                writeln!(self.out)?;
                1
            }
        };
        let bar = detail.map_or(String::new(), bar);
        let line = format!("{}: {} {bar}", message.id, message.status);
        write!(self.out, "\x1b[{above}A\x1b[2K\r{}\x1b[{above}B\r", line.trim_end())?;
        self.out.flush()
    }
}

/// `[====>    ]  1.2MB/3MB`
fn bar(detail: &ProgressDetail) -> String {
    let current = detail.current.max(0) as f64;
    if detail.total <= 0 {
        return format!("{:>8}", size::human(current, 4));
    }
    let filled = ((current / detail.total as f64).min(1.0) * 50.0) as usize;
    let head = if filled < 50 { ">" } else { "" };
    let bar = format!("{}{head}", "=".repeat(filled));
    format!("[{bar:<50}]  {:>8}/{}", size::human(current, 4), size::human(detail.total as f64, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(terminal: bool, messages: &[ProgressMessage]) -> String {
        let mut out = Vec::new();
        let mut screen = Screen { out: &mut out, terminal, ids: Vec::new() };
        messages.iter().for_each(|message| screen.put(message).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn files_get_lines_and_terminals_bars() {
        let layer = |status: &str, current| ProgressMessage {
            id: "abc".into(),
            status: status.into(),
            progress_detail: Some(ProgressDetail { current, total: 100, ..ProgressDetail::default() }),
            ..ProgressMessage::default()
        };
        let done = ProgressMessage {
            id: "abc".into(),
            status: "Pull complete".into(),
            ..ProgressMessage::default()
        };
        let messages = [
            ProgressMessage::status("Pulling"),
            layer("Downloading", 50),
            done,
            ProgressMessage::stream("x\n"),
        ];
        assert_eq!(shown(false, &messages), "Pulling\nabc: Pull complete\nx\n");
        let text = shown(true, &messages);
        assert!(text.contains("abc: Downloading [=========================>"), "{text}");
        assert!(text.contains("\x1b[1A\x1b[2K\rabc: Pull complete\x1b[1B"), "{text}");
    }
}
