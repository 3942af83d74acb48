//! Command-line arguments → [`Settings`], by the table of directives and with dockerd's grammar:
//! `--name value`, `--name=value`, `-x value`, `-xvalue`, bare switches, `--switch=false`.
//!
//! It must never interpret a value beyond its form: what values mean is decided in `config::resolve`.

use std::ffi::OsString;

use boxship_oci::go;
use serde_json::Value;

use super::directive::{ABSENT, Directive, Form, by_flag, by_letter};
use super::settings::Settings;
use crate::error::Error;

/// Parse the arguments that follow `boxship daemon`.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let arg = arg.into_string().map_err(|_| usage("an argument is not valid UTF-8"))?;
        match arg.strip_prefix("--") {
            Some(long) => take_long(long, &mut args, &mut settings)?,
            None => match arg.strip_prefix('-') {
                Some(letters) if !letters.is_empty() => take_letters(letters, &mut args, &mut settings)?,
                _ => return Err(usage(format!("\"boxship daemon\" accepts no arguments: {arg:?}"))),
            },
        }
    }
    Ok(settings)
}

type Rest = std::vec::IntoIter<OsString>;

fn take_long(long: &str, rest: &mut Rest, settings: &mut Settings) -> Result<(), Error> {
    let (name, inline) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let Some(directive) = by_flag(name) else {
        if ABSENT.contains(&name) {
            return Err(usage(format!("flag --{name} of dockerd is not supported by boxship")));
        }
        return Err(usage(format!("unknown flag: --{name}")));
    };
    let value = match (inline, directive.form) {
        (Some(value), _) => value,
        (None, Form::Switch) => "true".to_owned(),
        (None, _) => next(rest, || format!("flag needs an argument: --{name}"))?,
    };
    settings.add(directive, parse_value(directive, &format!("--{name}"), value)?);
    Ok(())
}

fn take_letters(letters: &str, rest: &mut Rest, settings: &mut Settings) -> Result<(), Error> {
    let mut left = letters;
    while let Some(letter) = left.chars().next() {
        left = &left[letter.len_utf8()..];
        let directive = by_letter(letter)
            .ok_or_else(|| usage(format!("unknown shorthand flag: '{letter}' in -{letters}")))?;
        if directive.form == Form::Switch && !left.starts_with('=') {
            settings.add(directive, Value::Bool(true));
            continue;
        }
        let value = match left.strip_prefix('=').unwrap_or(left) {
            "" => next(rest, || format!("flag needs an argument: '{letter}' in -{letters}"))?,
            value => value.to_owned(),
        };
        settings.add(directive, parse_value(directive, &format!("-{letter}"), value)?);
        return Ok(());
    }
    Ok(())
}

fn next(rest: &mut Rest, missing: impl FnOnce() -> String) -> Result<String, Error> {
    let value = rest.next().ok_or_else(|| usage(missing()))?;
    value.into_string().map_err(|_| usage("an argument is not valid UTF-8"))
}

fn parse_value(directive: &Directive, shown: &str, value: String) -> Result<Value, Error> {
    let invalid = |why: &str| usage(format!("invalid argument {value:?} for {shown:?} flag: {why}"));
    match directive.form {
        Form::Switch => go::boolean(&value).map(Value::Bool).map_err(|_| invalid("must be true or false")),
        Form::Number => value.parse::<i64>().map(Value::from).map_err(|_| invalid("must be a whole number")),
        Form::Pairs if !value.contains('=') => Err(invalid("must be name=value")),
        Form::Text | Form::List | Form::Objects | Form::Pairs => Ok(Value::String(value)),
    }
}

fn usage(message: impl Into<String>) -> Error {
    Error::Usage { message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<String, String> {
        parse(args.iter().map(OsString::from).collect())
            .map(|settings| serde_json::to_string(settings.values()).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn forms_of_arguments() {
        for (args, expect) in [
            (&[][..], r#"{}"#),
            (&["-D"], r#"{"debug":true}"#),
            (&["--debug=false"], r#"{"debug":false}"#),
            (
                &["-H", "unix:///a", "-Htcp://b:1", "--host=fd://"],
                r#"{"hosts":["unix:///a","tcp://b:1","fd://"]}"#,
            ),
            (&["-Dl", "warn"], r#"{"debug":true,"log-level":"warn"}"#),
            (&["--log-opt", "a=b", "--log-opt=c=d=e"], r#"{"log-opts":{"a":"b","c":"d=e"}}"#),
            (&["--shutdown-timeout=3", "-p=/x"], r#"{"pidfile":"/x","shutdown-timeout":3}"#),
        ] {
            assert_eq!(parsed(args).as_deref(), Ok(expect), "{args:?}");
        }
    }

    #[test]
    fn wrong_arguments_say_what_is_wrong() {
        for (args, expect) in [
            (&["--nope"][..], "unknown flag: --nope"),
            (&["--rootless"], "flag --rootless of dockerd is not supported by boxship"),
            (&["-x"], "unknown shorthand flag: 'x' in -x"),
            (&["-H"], "flag needs an argument: 'H' in -H"),
            (&["--host"], "flag needs an argument: --host"),
            (&["--tls=maybe"], "invalid argument \"maybe\" for \"--tls\" flag: must be true or false"),
            (
                &["--shutdown-timeout=x"],
                "invalid argument \"x\" for \"--shutdown-timeout\" flag: must be a whole number",
            ),
            (&["--log-opt=x"], "invalid argument \"x\" for \"--log-opt\" flag: must be name=value"),
            (&["run"], "\"boxship daemon\" accepts no arguments: \"run\""),
        ] {
            assert_eq!(parsed(args).unwrap_err(), expect, "{args:?}");
        }
    }
}
