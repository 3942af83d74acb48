//! Reads arguments against a table of flags.

use boxship_oci::go::boolean;

use super::{Flag, Kind};

/// A wrong use of flags, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(pub String);

/// What was given.
#[derive(Debug, Default)]
pub struct Parsed {
    values: Vec<(&'static str, String)>,
    /// What is no flag.
    pub operands: Vec<String>,
}

impl Parsed {
    /// Whether the flag was given at all.
    pub fn given(&self, name: &str) -> bool {
        self.values.iter().any(|(flag, _)| *flag == name)
    }

    /// A switch.
    pub fn on(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| boolean(text) == Ok(true))
    }

    /// A switch, with what holds when it was not given.
    pub fn on_or(&self, name: &str, default: bool) -> bool {
        if self.given(name) { self.on(name) } else { default }
    }

    /// The last value.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// The last value, or nothing when it is empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty()).map(String::from)
    }

    /// The last value as a number; it was checked when it was read.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// All values in their order.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.values.iter().filter(|(flag, _)| *flag == name).map(|(_, value)| value.clone()).collect()
    }

    /// The operand at this place.
    pub fn operand(&self, at: usize) -> &str {
        self.operands.get(at).map_or("", String::as_str)
    }
}

/// Reads `arguments`; with `mixed`, flags may follow operands, else the first operand ends the flags.
pub fn parse(flags: &[Flag], mixed: bool, arguments: &[String]) -> Result<Parsed, UsageError> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.operands.extend(rest.cloned());
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            read_long(flags, long, argument, &mut rest, &mut parsed)?;
        } else if argument.len() > 1 && argument.starts_with('-') {
            read_letters(flags, &argument[1..], &mut rest, &mut parsed)?;
        } else {
            parsed.operands.push(argument.clone());
            if !mixed {
                parsed.operands.extend(rest.cloned());
                break;
            }
        }
    }
    Ok(parsed)
}

type Rest<'a> = std::slice::Iter<'a, String>;

fn read_long(
    flags: &[Flag],
    long: &str,
    whole: &str,
    rest: &mut Rest,
    parsed: &mut Parsed,
) -> Result<(), UsageError> {
    let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
    if name.is_empty() || name.starts_with('-') {
        return Err(UsageError(format!("bad flag syntax: {whole}")));
    }
    let flag = flags.iter().find(|flag| flag.name == name || flag.alias == Some(name));
    let flag = flag.ok_or_else(|| UsageError(format!("unknown flag: --{name}")))?;
    let value = match (value, flag.kind) {
        (Some(value), _) => value.to_string(),
        (None, Kind::Bool) => "true".to_string(),
        (None, _) => {
            rest.next().ok_or_else(|| UsageError(format!("flag needs an argument: --{name}")))?.clone()
        }
    };
    // Who used the other spelling is told of that one.
    let named = if flag.alias == Some(name) { format!("--{name}") } else { flag.spelled() };
    accept(flag, &named, value, parsed)
}

fn read_letters(
    flags: &[Flag],
    letters: &str,
    rest: &mut Rest,
    parsed: &mut Parsed,
) -> Result<(), UsageError> {
    let mut left = letters.chars();
    while let Some(letter) = left.next() {
        let flag = flags.iter().find(|flag| flag.short == Some(letter));
        // What is left of the letters, as pflag quotes them.
        let quoted = || format!("'{letter}' in -{letter}{}", left.as_str());
        let unknown = || UsageError(format!("unknown shorthand flag: {}", quoted()));
        let flag = flag.ok_or_else(unknown)?;
        let tail = left.as_str();
        if let Some(value) = tail.strip_prefix('=') {
            return accept(flag, &flag.spelled(), value.to_string(), parsed);
        }
        if flag.kind == Kind::Bool {
            accept(flag, &flag.spelled(), "true".into(), parsed)?;
            continue;
        }
        if !tail.is_empty() {
            return accept(flag, &flag.spelled(), tail.to_string(), parsed);
        }
        let missing = || UsageError(format!("flag needs an argument: {}", quoted()));
        return accept(flag, &flag.spelled(), rest.next().ok_or_else(missing)?.clone(), parsed);
    }
    Ok(())
}

fn accept(flag: &Flag, named: &str, value: String, parsed: &mut Parsed) -> Result<(), UsageError> {
    let checked = match (flag.kind, flag.check) {
        (Kind::Bool, _) => boolean(&value).map(drop),
        (_, Some(check)) => check(&value),
        _ => Ok(()),
    };
    checked.map_err(|why| UsageError(format!("invalid argument {value:?} for {named:?} flag: {why}")))?;
    parsed.values.push((flag.name, value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::integer;

    const FLAGS: &[Flag] = &[
        Flag::switch("rm", ""),
        Flag::switch("interactive", "").short('i'),
        Flag::switch("tty", "").short('t'),
        Flag::value("name", "string", ""),
        Flag::list("env", "").short('e'),
        Flag::value("timeout", "int", "").short('t').check(integer),
        Flag::value("last", "int", "").short('n').check(integer).alias("final"),
    ];

    fn read(line: &str, mixed: bool) -> Result<Parsed, UsageError> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        parse(FLAGS, mixed, &words)
    }

    #[test]
    fn values_in_all_forms() {
        let parsed = read("-it --name=x -eA=1 -e B=2 --env C --rm=false -n5 image -x --rm", false).unwrap();
        assert!(parsed.on("interactive") && parsed.on("tty") && !parsed.on("rm") && parsed.given("rm"));
        assert_eq!(parsed.text("name"), Some("x"));
        assert_eq!(parsed.list("env"), ["A=1", "B=2", "C"]);
        assert_eq!(parsed.number("last"), Some(5));
        assert_eq!(parsed.operands, ["image", "-x", "--rm"]);
    }

    #[test]
    fn operands_may_stand_between_flags() {
        let parsed = read("a --rm b -- --name c", true).unwrap();
        assert!(parsed.on("rm"));
        assert_eq!(parsed.operands, ["a", "b", "--name", "c"]);
    }

    #[test]
    fn errors_have_dockers_words() {
        for (line, words) in [
            ("--foo", "unknown flag: --foo"),
            ("-z", "unknown shorthand flag: 'z' in -z"),
            ("-iz", "unknown shorthand flag: 'z' in -z"),
            ("--name", "flag needs an argument: --name"),
            ("-e", "flag needs an argument: 'e' in -e"),
            (
                "--rm=x",
                "invalid argument \"x\" for \"--rm\" flag: strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
            (
                "-n x",
                "invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                "--final x",
                "invalid argument \"x\" for \"--final\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            ("---x", "bad flag syntax: ---x"),
        ] {
            assert_eq!(read(line, true).unwrap_err().0, words, "{line}");
        }
    }
}
