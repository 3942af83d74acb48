//! What the prunes of images, containers and networks share: the filters `until`, `label` and `label!`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use boxship_api::Filters;
use boxship_api::timestamp::Timestamp;

use crate::{Error, Result};

/// The filters that all prunes have.
pub(crate) const KEYS: [&str; 3] = ["until", "label", "label!"];

/// What the filters admit.
pub(crate) struct Choice<'a> {
    filters: &'a Filters,
    until: Option<i64>,
}

impl<'a> Choice<'a> {
    /// Reads the filters, whose keys are checked by those who may have further ones.
    pub fn new(filters: &'a Filters) -> Result<Choice<'a>> {
        Ok(Choice { filters, until: until(filters)? })
    }

    /// Whether what was made then (nanoseconds since 1970, if anybody knows) and has these labels may go.
    pub fn admits(&self, created: Option<i64>, labels: &BTreeMap<String, String>) -> bool {
        let old = self.until.is_none_or(|until| created.is_some_and(|created| created <= until));
        let kept = self.filters.contains("label!") && self.filters.match_labels("label!", labels);
        old && self.filters.match_labels("label", labels) && !kept
    }
}

/// The time, in nanoseconds since 1970, until which things must have been made to go; `None` when it is not asked for.
fn until(filters: &Filters) -> Result<Option<i64>> {
    let mut values = filters.get("until");
    let Some(text) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid("more than one until filter specified"));
    }
    let now = Timestamp::from_system(SystemTime::now());
    Timestamp::parse_parameter(text, now, 0)
        .map(|time| Some(time.to_nanos() as i64))
        .ok_or_else(|| Error::invalid(format!("failed to parse value as time or duration: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose() {
        let labels = [("a".to_owned(), "b".to_owned())].into();
        for (text, made, unknown) in [
            ("{}", true, true),
            (r#"{"until":["6"]}"#, true, false),
            (r#"{"until":["5"]}"#, true, false),
            (r#"{"until":["4"]}"#, false, false),
            (r#"{"label":["a=b"]}"#, true, true),
            (r#"{"label":["a=c"]}"#, false, false),
            (r#"{"label!":["a"]}"#, false, false),
            (r#"{"label!":["z"]}"#, true, true),
            (r#"{"label":["a"],"until":["4"]}"#, false, false),
        ] {
            let filters = Filters::parse(text).unwrap();
            let choice = Choice::new(&filters).unwrap();
            let found = [Some(5_000_000_000), None].map(|created| choice.admits(created, &labels));
            assert_eq!(found, [made, unknown], "{text}");
        }
        for (text, expect) in [
            (r#"{"until":["x"]}"#, "failed to parse value as time or duration: \"x\""),
            (r#"{"until":["1","2"]}"#, "more than one until filter specified"),
        ] {
            let filters = Filters::parse(text).unwrap();
            assert_eq!(Choice::new(&filters).err().unwrap().to_string(), expect);
        }
    }
}
