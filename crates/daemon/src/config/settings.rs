//! What was typed: directives as they stand on the command line or in the file, before they mean
//! anything. The two sources are kept apart until [`Settings::join`], because a directive given in both
//! is an error and not a question of precedence.

use serde_json::{Map, Value};

use super::directive::{Directive, Form};
use crate::error::Error;

/// Directives by their name in the file (or by their flag if they have none there).
#[derive(Debug, Default, Clone)]
pub(crate) struct Settings {
    values: Map<String, Value>,
}

impl Settings {
    /// Add one flag's value; lists and pairs grow, others are replaced.
    pub(crate) fn add(&mut self, directive: &Directive, value: Value) {
        let name = if directive.key.is_empty() { directive.flag } else { directive.key };
        match (directive.form, value) {
            (Form::List | Form::Objects, value) => {
                let list = self.values.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(value);
                }
            }
            (Form::Pairs, Value::String(pair)) => {
                let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
                let pairs = self.values.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(pairs) = pairs {
                    // The options of a network's driver gather; others are replaced.
                    let gathered = match pairs.get(key).and_then(Value::as_str) {
                        Some(others) if name == "default-network-opts" => format!("{others}\n{value}"),
                        _ => value.to_owned(),
                    };
                    pairs.insert(key.to_owned(), Value::String(gathered));
                }
            }
            (_, value) => {
                self.values.insert(name.to_owned(), value);
            }
        }
    }

    /// Put one of the file's values in, as it stands.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// All values.
    #[cfg(test)]
    pub(crate) fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }

    /// A switch.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.values.get(name).and_then(Value::as_bool)
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.values.get(name).and_then(Value::as_i64)
    }

    /// A list of texts; empty if it wasn't given.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let texts = self.values.get(name).and_then(Value::as_array);
        texts.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The values of a list that may hold objects; empty if it wasn't given.
    pub(crate) fn values_of(&self, name: &str) -> Vec<Value> {
        self.values.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    }

    /// Pairs; empty if they weren't given.
    pub(crate) fn pairs(&self, name: &str) -> Option<&Map<String, Value>> {
        self.values.get(name).and_then(Value::as_object)
    }

    /// Flags and file together. What both name is refused, as dockerd does; lists aren't merged either.
    pub(crate) fn join(flags: Settings, file: Settings) -> Result<Settings, Error> {
        let conflicts: Vec<String> = file
            .values
            .iter()
            .filter_map(|(name, in_file)| {
                let in_flags = flags.values.get(name)?;
                Some(format!("{name}: (from flag: {}, from file: {})", shown(in_flags), shown(in_file)))
            })
            .collect();
        if !conflicts.is_empty() {
            return Err(Error::Conflict { directives: conflicts.join(", ") });
        }
        let mut joined = file;
        joined.values.extend(flags.values);
        Ok(joined)
    }
}

/// A value as dockerd shows it in a conflict: texts bare, lists as `[a b]`.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{key}={}", shown(value)));
            format!("[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}
