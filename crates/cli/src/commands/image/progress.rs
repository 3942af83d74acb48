//! What long work on images reports, line by line; on a terminal each layer has its line.

use std::io::{self, Write};

use boxship_api::progress::{ProgressDetail, ProgressMessage};
use boxship_client::Body;

use crate::failure::{Failure, Result};
use crate::values::size;

/// Shows a stream of messages until it ends, on `out`; an error among them is the result.
pub async fn show(body: Body, out: &mut impl Write, terminal: bool) -> Result<()> {
    let mut lines = body.lines();
    // Docker's guess when the terminal doesn't know its size.
    let width = crate::terminal::size().map_or(200, |(_, columns)| columns);
    let now = || jiff::Timestamp::now().as_second();
    let mut screen = Screen { out, terminal, width, now, ids: Vec::new() };
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
    width: u16,
    now: fn() -> i64,
    /// The ids that have a line, from the top.
    ids: Vec<String>,
}

impl<W: Write> Screen<'_, W> {
    /// A message about something with progress has the line of that thing; any other one is a line of its own, and
    /// no line above it changes any more.
    fn put(&mut self, message: &ProgressMessage) -> io::Result<()> {
        if message.aux.is_some() {
            return Ok(());
        }
        let mut above = 0;
        if !message.id.is_empty() && message.progress_detail.is_some() {
            above = match self.ids.iter().position(|id| *id == message.id) {
                Some(at) => self.ids.len() - at,
                None => {
                    self.ids.push(message.id.clone());
                    if self.terminal {
                        writeln!(self.out)?;
                    }
                    1
                }
            };
        } else {
            self.ids.clear();
        }
        if self.terminal && above > 0 {
            write!(self.out, "\x1b[{above}A")?;
        }
        self.line(message)?;
        if self.terminal && above > 0 {
            write!(self.out, "\x1b[{above}B")?;
        }
        self.out.flush()
    }

    fn line(&mut self, message: &ProgressMessage) -> io::Result<()> {
        if !message.stream.is_empty() {
            return write!(self.out, "{}", message.stream);
        }
        let id = if message.id.is_empty() { String::new() } else { format!("{}: ", message.id) };
        let status = &message.status;
        let Some(detail) = &message.progress_detail else {
            return if status.is_empty() { Ok(()) } else { writeln!(self.out, "{id}{status}") };
        };
        let progress = progress(detail, self.width, self.now);
        match self.terminal {
            true => write!(self.out, "\x1b[2K\r{id}{status} {progress}\r"),
            // Bars are for terminals; what happened is for everyone.
            false if progress.is_empty() => writeln!(self.out, "{id}{status}"),
            false => Ok(()),
        }
    }
}

/// `[====>    ]  1.2MB/3MB 5s`: the bar where there is room for it, how much, how long it may still take.
fn progress(detail: &ProgressDetail, width: u16, now: fn() -> i64) -> String {
    let (current, total) = (detail.current.max(0), detail.total);
    if current == 0 && total <= 0 {
        return String::new();
    }
    let amount = |number: i64| match detail.units.as_str() {
        "" => size::human(number as f64, 4),
        _ => number.to_string(),
    };
    let unit = if detail.units.is_empty() { String::new() } else { format!(" {}", detail.units) };
    if total <= 0 {
        return format!("{:>8}{unit}", amount(current));
    }
    let filled = ((current as f64 / total as f64 * 100.0) as usize / 2).min(50);
    let mut text = String::new();
    if width > 110 {
        text = format!("[{}>{}] ", "=".repeat(filled), " ".repeat(50 - filled));
    }
    if !detail.hidecounts {
        let of = if current > total { String::new() } else { format!("/{}", amount(total)) };
        text.push_str(&format!("{:>8}{of}{unit}", amount(current)));
    }
    if width > 50 && current > 0 && detail.start > 0 && filled < 50 {
        let passed = (now() - detail.start).max(0);
        let left = (total - current).max(0) as f64 * passed as f64 / current as f64;
        text.push_str(&format!(" {}", seconds(left.round() as u64)));
    }
    text
}

/// A duration as Go writes whole seconds.
fn seconds(all: u64) -> String {
    let (hours, minutes, rest) = (all / 3600, all / 60 % 60, all % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(terminal: bool, messages: &[ProgressMessage]) -> String {
        let mut out = Vec::new();
        let mut screen = Screen { out: &mut out, terminal, width: 120, now: || 1010, ids: Vec::new() };
        messages.iter().for_each(|message| screen.put(message).unwrap());
        String::from_utf8(out).unwrap()
    }

    fn layer(status: &str, detail: ProgressDetail) -> ProgressMessage {
        ProgressMessage {
            id: "abc".into(),
            status: status.into(),
            progress_detail: Some(detail),
            ..ProgressMessage::default()
        }
    }

    #[test]
    fn files_get_lines_and_terminals_bars() {
        let half = ProgressDetail { current: 50, total: 100, ..ProgressDetail::default() };
        let other = ProgressMessage { id: "def".into(), ..layer("Waiting", ProgressDetail::default()) };
        let named = ProgressMessage { id: "latest".into(), ..ProgressMessage::status("Pulling from x") };
        let messages = [
            named,
            layer("Downloading", half),
            other,
            layer("Pull complete", ProgressDetail::default()),
            ProgressMessage::status("Digest: x"),
            ProgressMessage::stream("x\n"),
        ];
        assert_eq!(
            shown(false, &messages),
            "latest: Pulling from x\ndef: Waiting\nabc: Pull complete\nDigest: x\nx\n"
        );
        let text = shown(true, &messages);
        let bar = format!("[{}>{}] ", "=".repeat(25), " ".repeat(25));
        assert!(
            text.contains(&format!("\n\x1b[1A\x1b[2K\rabc: Downloading {bar}     50B/100B\r\x1b[1B")),
            "{text:?}"
        );
        assert!(text.contains("\n\x1b[1A\x1b[2K\rdef: Waiting \r\x1b[1B"), "{text:?}");
        assert!(text.contains("\x1b[2A\x1b[2K\rabc: Pull complete \r\x1b[2BDigest: x\n"), "{text:?}");
    }

    #[test]
    fn how_far_it_is() {
        let detail = |current, total, units: &str| ProgressDetail {
            current,
            total,
            units: units.into(),
            ..ProgressDetail::default()
        };
        let now = || 1010;
        for (detail, width, wanted) in [
            (detail(0, 0, ""), 80, ""),
            (detail(1_500_000, 0, ""), 80, "   1.5MB"),
            (detail(50, 100, ""), 80, "     50B/100B"),
            (detail(150, 100, ""), 80, "    150B"),
            (detail(3, 10, "layers"), 80, "       3/10 layers"),
            (ProgressDetail { start: 1000, ..detail(25, 100, "") }, 80, "     25B/100B 30s"),
            (ProgressDetail { start: 1000, ..detail(25, 100, "") }, 40, "     25B/100B"),
        ] {
            assert_eq!(progress(&detail, width, now), wanted, "{detail:?}");
        }
        assert_eq!([59, 60, 3661].map(seconds), ["59s", "1m0s", "1h1m1s"]);
    }
}
