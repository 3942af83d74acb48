//! `StrSlice`: a list of strings that may also be sent as one bare string (`"Cmd": "ls"`).
//! `null` is expressed by `Option<StrSlice>` where Docker tells it from an empty list.

use serde::{Deserialize, Deserializer, Serialize};
use std::ops::Deref;

/// A list of strings; a bare string is read as a list of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StrSlice(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<Option<String>>),
}

impl<'de> Deserialize<'de> for StrSlice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(one) => Self(vec![one]),
            OneOrMany::Many(many) => Self(many.into_iter().map(Option::unwrap_or_default).collect()),
        })
    }
}

crate::read::plain!(StrSlice);

impl Deref for StrSlice {
    type Target = Vec<String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<Vec<String>> for StrSlice {
    fn from(list: Vec<String>) -> Self {
        Self(list)
    }
}

impl From<&[&str]> for StrSlice {
    fn from(list: &[&str]) -> Self {
        Self(list.iter().map(|&s| s.to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_a_list_of_one() {
        for (text, expect) in [
            (r#""ls -l""#, Some(vec!["ls -l"])),
            (r#"["a","b"]"#, Some(vec!["a", "b"])),
            ("[]", Some(vec![])),
            ("null", None),
        ] {
            let read: Option<StrSlice> = serde_json::from_str(text).unwrap();
            assert_eq!(read, expect.map(|list| StrSlice::from(list.as_slice())), "{text}");
        }
        assert!(serde_json::from_str::<StrSlice>("3").is_err());
    }
}
