//! The configuration file → [`Settings`]: JSON with dockerd's keys.
//!
//! A file that was named must exist; the default one may be missing. Unknown keys are refused: a
//! misspelled setting that is silently ignored is worse than a daemon that doesn't start.

use std::io::{ErrorKind, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::directive::{ABSENT, Directive, Form, by_key};
use super::settings::Settings;
use crate::error::Error;

/// Where the file is looked for when none is named.
pub(crate) const DEFAULT_PATH: &str = "/etc/boxship/daemon.json";

/// No sane configuration is longer; a larger file is a wrong path.
const LONGEST: u64 = 1 << 20;

/// Read the file at `path`; `named` says whether somebody asked for this very file.
pub(crate) fn read(path: &Path, named: bool) -> Result<Settings, Error> {
    let failed = |source| Error::ReadFile { what: "configuration file", path: path.to_owned(), source };
    let mut text = String::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(LONGEST).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound && !named => return Ok(Settings::default()),
        Err(error) => return Err(failed(error)),
    };
    parse(&text).map_err(|why| Error::Configuration { why: format!("{}: {why}", path.display()) })
}

fn parse(text: &str) -> Result<Settings, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Settings::default());
    }
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let unknown: Vec<&str> = object
        .keys()
        .map(String::as_str)
        .filter(|key| by_key(key).is_none() && !ABSENT.contains(key))
        .collect();
    if !unknown.is_empty() {
        let keys = unknown.join(", ");
        return Err(format!("the following directives don't match any configuration option: {keys}"));
    }
    let absent: Vec<&str> = object.keys().map(String::as_str).filter(|key| by_key(key).is_none()).collect();
    if !absent.is_empty() {
        let keys = absent.join(", ");
        return Err(format!("the following directives of dockerd are not supported by boxship: {keys}"));
    }
    let mut settings = Settings::default();
    for (key, value) in object {
        if let Some(directive) = by_key(&key) {
            settings.set(&key, checked(directive, value)?);
        }
    }
    Ok(settings)
}

fn checked(directive: &Directive, value: Value) -> Result<Value, String> {
    let key = directive.key;
    let texts = |values: &[Value]| values.iter().all(Value::is_string);
    let right = match (directive.form, &value) {
        (Form::Switch, Value::Bool(_)) | (Form::Text, Value::String(_)) => true,
        (Form::Text, Value::Number(_)) => key == "default-shm-size",
        (Form::Number, Value::Number(number)) => number.is_i64(),
        (Form::List, Value::Array(values)) => texts(values),
        (Form::Objects, Value::Array(values)) => values.iter().all(Value::is_object),
        (Form::Pairs, Value::Object(_)) => true,
        _ => false,
    };
    let wanted = match directive.form {
        Form::Switch => "true or false",
        Form::Text => "a text",
        Form::Number => "a whole number",
        Form::List => "an array of texts",
        Form::Objects => "an array of objects",
        Form::Pairs => "an object",
    };
    match (right, value) {
        (true, Value::Number(number)) if directive.form == Form::Text => {
            Ok(Value::String(number.to_string()))
        }
        (true, value) => Ok(value),
        (false, _) => Err(format!("directive {key:?} must be {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_their_faults() {
        for (text, expect) in [
            ("", Ok("{}")),
            ("{}", Ok("{}")),
            (r#"{"debug":true,"hosts":["fd://"]}"#, Ok(r#"{"debug":true,"hosts":["fd://"]}"#)),
            (r#"{"default-shm-size":1024}"#, Ok(r#"{"default-shm-size":"1024"}"#)),
            (
                r#"{"hots":[],"debgu":true}"#,
                Err("the following directives don't match any configuration option: debgu, hots"),
            ),
            (
                r#"{"storage-driver":"btrfs"}"#,
                Err("the following directives of dockerd are not supported by boxship: storage-driver"),
            ),
            (r#"{"debug":"yes"}"#, Err("directive \"debug\" must be true or false")),
            (r#"{"hosts":[1]}"#, Err("directive \"hosts\" must be an array of texts")),
            ("{", Err("EOF while parsing an object at line 1 column 1")),
        ] {
            let got = parse(text).map(|settings| serde_json::to_string(settings.values()).unwrap());
            assert_eq!(got.as_deref().map_err(String::as_str), expect, "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error_only_if_named() {
        let path = Path::new("/nonexistent/daemon.json");
        assert!(read(path, false).is_ok());
        assert!(read(path, true).unwrap_err().to_string().contains("/nonexistent/daemon.json"));
    }
}
