//! The layout of `--help`: Docker's columns.

use super::{Flag, Kind};

/// The widest that a line of help becomes on a terminal that doesn't say how wide it is.
const WIDTH: usize = 80;

/// The lines of an `Options:` section.
pub fn options(flags: &[Flag]) -> String {
    let mut order: Vec<usize> = (0..flags.len()).collect();
    order.sort_by_key(|&at| flags[at].name);
    let rows: Vec<(String, String)> = order.iter().map(|&at| (left(&flags[at]), right(&flags[at]))).collect();
    columns(&rows, 3)
}

/// The lines of a `Commands:` section.
pub fn commands(rows: &[(&str, &str)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(11);
    rows.iter().map(|(name, about)| format!("  {name:width$} {about}\n")).collect()
}

fn left(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_string(), |short| format!("-{short}, "));
    let value = if flag.kind == Kind::Bool { String::new() } else { format!(" {}", flag.value) };
    format!("  {short}--{}{value}", flag.name)
}

fn right(flag: &Flag) -> String {
    match (flag.default, flag.value) {
        ("", _) => flag.help.to_string(),
        (default, "string") => format!("{} (default {default:?})", flag.help),
        (default, _) => format!("{} (default {default})", flag.help),
    }
}

/// Two columns; the right one is wrapped at [`WIDTH`].
fn columns(rows: &[(String, String)], gap: usize) -> String {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0) + gap;
    let room = WIDTH.saturating_sub(width).max(24);
    let mut text = String::new();
    for (left, right) in rows {
        for (number, line) in wrap(right, room).iter().enumerate() {
            let left = if number == 0 { left.as_str() } else { "" };
            text.push_str(format!("{left:width$}{line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.len() + 1 + word.len() > room {
            lines.push(word.to_string());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_laid_out_as_dockers() {
        const FLAGS: &[Flag] = &[
            Flag::switch("volumes", "Remove anonymous volumes").short('v'),
            Flag::value("name", "string", "A name"),
            Flag::value("pull", "string", "When to pull").default("missing"),
            Flag::value("last", "int", "How many").short('n').default("-1"),
        ];
        assert_eq!(
            options(FLAGS),
            "  -n, --last int      How many (default -1)\n      --name string   A name\n      \
             --pull string   When to pull (default \"missing\")\n  -v, --volumes       Remove anonymous volumes\n"
        );
    }
}
