//! Filters of list, prune and events: sent as `{"key": ["value"]}` or, by newer clients, `{"key": {"value": true}}`.
//! Matching rules that every noun shares live here; what a key means does not.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A filter that cannot be understood; the message is Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// The text is no filter.
    #[error("invalid filter")]
    Syntax,
    /// The key has no meaning here.
    #[error("invalid filter '{0}'")]
    Key(String),
    /// The values have no meaning for the key.
    #[error("invalid filter '{0}={1}'")]
    Value(String, String),
}

/// Values by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Values>", into = "BTreeMap<String, BTreeMap<String, bool>>")]
pub struct Filters {
    fields: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Map(BTreeMap<String, Option<bool>>),
    List(Vec<Option<String>>),
    Null,
}

impl From<BTreeMap<String, Values>> for Filters {
    fn from(map: BTreeMap<String, Values>) -> Self {
        let set = |values| match values {
            Values::Map(map) => {
                map.into_iter().filter_map(|(value, on)| (on == Some(true)).then_some(value)).collect()
            }
            Values::List(list) => list.into_iter().map(Option::unwrap_or_default).collect(),
            Values::Null => BTreeSet::new(),
        };
        Self { fields: map.into_iter().map(|(key, values)| (key, set(values))).collect() }
    }
}

impl From<Filters> for BTreeMap<String, BTreeMap<String, bool>> {
    fn from(filters: Filters) -> Self {
        let map = |set: BTreeSet<String>| set.into_iter().map(|value| (value, true)).collect();
        filters.fields.into_iter().map(|(key, set)| (key, map(set))).collect()
    }
}

impl Filters {
    /// Reads the `filters` parameter; the empty text is no filter.
    pub fn parse(text: &str) -> Result<Self, InvalidFilter> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let map: Option<Self> = serde_json::from_str(text).map_err(|_| InvalidFilter::Syntax)?;
        Ok(map.unwrap_or_default())
    }

    /// The `filters` parameter.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("maps of strings are always JSON")
    }

    /// Adds a value.
    pub fn add(&mut self, key: &str, value: &str) {
        self.fields.entry(key.to_owned()).or_default().insert(value.to_owned());
    }

    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// The key's values.
    pub fn get(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Refuses keys that are not among `accepted`.
    pub fn validate(&self, accepted: &[&str]) -> Result<(), InvalidFilter> {
        match self.fields.keys().find(|key| !accepted.contains(&key.as_str())) {
            Some(key) => Err(InvalidFilter::Key(key.clone())),
            None => Ok(()),
        }
    }

    /// Whether `source` is one of the key's values; true when the key has none.
    pub fn exact_match(&self, key: &str, source: &str) -> bool {
        self.fields.get(key).is_none_or(|values| values.is_empty() || values.contains(source))
    }

    /// Whether `source` begins with one of the key's values; true when the key has none.
    pub fn prefix_match(&self, key: &str, source: &str) -> bool {
        self.exact_match(key, source) || self.get(key).any(|value| source.starts_with(value))
    }

    /// Whether every value of the key (`name` or `name=value`) is met by `labels`.
    pub fn match_labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.get(key).all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|have| have == value),
            None => labels.contains_key(wanted),
        })
    }

    /// The key's truth value, or `default` when it is absent.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool, InvalidFilter> {
        let Some(values) = self.fields.get(key) else { return Ok(default) };
        let has = |one: &str, other: &str| values.contains(one) || values.contains(other);
        match (has("0", "false"), has("1", "true")) {
            (false, true) => Ok(true),
            (true, false) => Ok(false),
            _ if values.is_empty() => Err(InvalidFilter::Key(key.to_owned())),
            _ => Err(self.invalid(key)),
        }
    }

    /// The error that tells of the key's values.
    pub fn invalid(&self, key: &str) -> InvalidFilter {
        let values: Vec<_> = self.get(key).collect();
        InvalidFilter::Value(key.to_owned(), format!("[{}]", values.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for text in [r#"{"label":["a=b","c"]}"#, r#"{"label":{"a=b":true,"c":true,"off":false}}"#] {
            let filters = Filters::parse(text).unwrap();
            assert_eq!(filters.get("label").collect::<Vec<_>>(), ["a=b", "c"], "{text}");
            assert_eq!(filters.to_json(), r#"{"label":{"a=b":true,"c":true}}"#);
        }
        assert!(Filters::parse("").unwrap().is_empty());
        assert!(Filters::parse("{}").unwrap().is_empty());
        for bad in ["x", "[]", r#"{"a":1}"#, r#"{"a":"b"}"#] {
            assert_eq!(Filters::parse(bad).unwrap_err().to_string(), "invalid filter", "{bad}");
        }
    }

    #[test]
    fn labels_and_truth_match_as_docker_does() {
        let filters =
            Filters::parse(r#"{"label":["a=b","c"],"dangling":["maybe"],"all":["1"],"none":{}}"#).unwrap();
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<BTreeMap<_, _>>()
        };
        assert!(filters.match_labels("label", &labels(&[("a", "b"), ("c", "")])));
        assert!(!filters.match_labels("label", &labels(&[("a", "x"), ("c", "")])));
        assert!(!filters.match_labels("label", &labels(&[("a", "b")])));
        assert_eq!(
            filters.bool_or("dangling", false).unwrap_err().to_string(),
            "invalid filter 'dangling=[maybe]'"
        );
        assert_eq!(filters.bool_or("none", false).unwrap_err().to_string(), "invalid filter 'none'");
        assert_eq!(filters.bool_or("all", false), Ok(true));
        assert_eq!(filters.bool_or("absent", true), Ok(true));
        assert_eq!(filters.validate(&["label"]).unwrap_err().to_string(), "invalid filter 'all'");
        assert!(filters.exact_match("none", "x") && filters.prefix_match("label", "c1"));
    }
}
