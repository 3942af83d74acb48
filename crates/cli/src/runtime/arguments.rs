//! Options and arguments, from tables. Pure.
//!
//! Hand-written, since the runtime is started for every container and a general parser costs more than the rest of
//! its start. The grammar is that of Go's flag package with runc's habits: `-name` is `--name`, values with `=` or as
//! the next argument, options also behind arguments unless the command takes another program's options.

use boxship_oci::go;

use super::failure::{Failure, Result};

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing (or `=true`, `=false`).
    Nothing,
    /// One value; the last one given counts.
    Value,
    /// A value each time.
    Values,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    pub takes: Takes,
    pub help: &'static str,
}

/// An option without value.
pub(super) const fn switch(name: &'static str, short: Option<char>, help: &'static str) -> Flag {
    Flag { name, short, takes: Takes::Nothing, help }
}

/// An option with one value.
pub(super) const fn value(name: &'static str, short: Option<char>, help: &'static str) -> Flag {
    Flag { name, short, takes: Takes::Value, help }
}

/// An option that may be repeated.
pub(super) const fn values(name: &'static str, short: Option<char>, help: &'static str) -> Flag {
    Flag { name, short, takes: Takes::Values, help }
}

/// Where options may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Anywhere.
    Mixed,
    /// Only before the first argument: what follows belongs to another program.
    OptionsFirst,
    /// Nowhere: whatever is given is taken as it is, by a command that answers with a refusal.
    Unread,
}

/// What was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    options: Vec<(&'static str, String)>,
    /// What is no option.
    pub rest: Vec<String>,
}

impl Arguments {
    pub(super) fn parse(flags: &[Flag], order: Order, given: &[String]) -> Result<Self> {
        let mut parsed = Self::default();
        if order == Order::Unread {
            parsed.rest.extend_from_slice(given);
            return Ok(parsed);
        }
        let mut given = given.iter();
        while let Some(word) = given.next() {
            if word == "--" {
                parsed.rest.extend(given.cloned());
                break;
            }
            if word == "-" || !word.starts_with('-') {
                parsed.rest.push(word.clone());
                if order == Order::OptionsFirst {
                    parsed.rest.extend(given.cloned());
                    break;
                }
                continue;
            }
            let bare = word.trim_start_matches('-');
            let (name, attached) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (bare, None),
            };
            let flag = find(flags, name)
                .ok_or_else(|| Failure::new(format!("flag provided but not defined: -{name}")))?;
            let value = match (flag.takes, attached) {
                (Takes::Nothing, None) => "true".to_owned(),
                (Takes::Nothing, Some(text)) => boolean(name, text)?.to_string(),
                (_, Some(text)) => text.to_owned(),
                (_, None) => match given.next() {
                    Some(next) => next.clone(),
                    None => return Err(Failure::new(format!("flag needs an argument: -{name}"))),
                },
            };
            parsed.options.push((flag.name, value));
        }
        Ok(parsed)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The value unless it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }

    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        self.options.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Failure::new(format!("invalid value for {name}: {text:?}"))),
        }
    }
}

fn find<'a>(flags: &'a [Flag], name: &str) -> Option<&'a Flag> {
    let mut letters = name.chars();
    let short = letters.next().filter(|_| letters.next().is_none());
    flags.iter().find(|flag| flag.name == name || (short.is_some() && flag.short == short))
}

fn boolean(name: &str, text: &str) -> Result<bool> {
    go::boolean(text).map_err(|_| Failure::new(format!("invalid boolean value {text:?} for -{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] =
        &[switch("detach", Some('d'), ""), value("bundle", Some('b'), ""), values("env", Some('e'), "")];

    fn parse(order: Order, line: &str) -> Result<Arguments, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(FLAGS, order, &words).map_err(|failure| failure.to_string())
    }

    #[test]
    fn forms_of_options() {
        for line in
            ["-d -b x id", "--detach --bundle=x id", "id -bundle x -detach", "-b=x --detach=true -- id"]
        {
            let parsed = parse(Order::Mixed, line).unwrap();
            assert_eq!(parsed.rest, ["id"], "{line}");
            assert!(parsed.has("detach") && parsed.value("bundle") == Some("x"), "{line}");
        }
        let parsed = parse(Order::Mixed, "-e A=1 -e B=2 --detach=false -").unwrap();
        assert_eq!(parsed.values("env"), ["A=1", "B=2"]);
        assert!(!parsed.has("detach") && parsed.is_set("detach"));
        assert_eq!(parsed.rest, ["-"]);
    }

    #[test]
    fn the_other_programs_options_are_left_alone() {
        let parsed = parse(Order::OptionsFirst, "-d id ls -d --bundle").unwrap();
        assert_eq!(parsed.rest, ["id", "ls", "-d", "--bundle"]);
        assert!(parsed.has("detach") && !parsed.is_set("bundle"));
    }

    #[test]
    fn refusing_commands_read_nothing() {
        assert_eq!(parse(Order::Unread, "--image-path x id").unwrap().rest, ["--image-path", "x", "id"]);
    }

    #[test]
    fn mistakes() {
        for (line, message) in [
            ("--nope", "flag provided but not defined: -nope"),
            ("-b", "flag needs an argument: -b"),
            ("--detach=maybe", "invalid boolean value \"maybe\" for -detach"),
        ] {
            assert_eq!(parse(Order::Mixed, line).unwrap_err(), message);
        }
    }
}
