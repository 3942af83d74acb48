//! Attributes of a container that log options choose: labels, environment, tag.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::{Error, Result};

/// What a container offers for attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Info<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its name, without slash.
    pub name: &'a str,
    /// Its image's id.
    pub image_id: &'a str,
    /// Its image's name.
    pub image_name: &'a str,
    /// Its labels.
    pub labels: &'a [(&'a str, &'a str)],
    /// Its environment, `NAME=value`.
    pub env: &'a [&'a str],
}

/// The options that choose, as given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub labels: String,
    pub labels_regex: String,
    pub env: String,
    pub env_regex: String,
    pub tag: String,
}

impl Chosen {
    /// The attributes of a container.
    pub(super) fn resolve(&self, info: &Info<'_>) -> Result<BTreeMap<String, String>> {
        let mut attributes = BTreeMap::new();
        choose(&mut attributes, info.labels.iter().copied(), &self.labels, &self.labels_regex)?;
        let env = info.env.iter().filter_map(|entry| entry.split_once('='));
        choose(&mut attributes, env, &self.env, &self.env_regex)?;
        if !self.tag.is_empty() {
            attributes.insert("tag".to_owned(), expand(&self.tag, info)?);
        }
        Ok(attributes)
    }
}

fn choose<'a>(
    attributes: &mut BTreeMap<String, String>,
    offered: impl Iterator<Item = (&'a str, &'a str)>,
    names: &str,
    pattern: &str,
) -> Result<()> {
    let regex = match pattern {
        "" => None,
        text => Some(Regex::new(text).map_err(|why| {
            let why = why.to_string();
            Error::LogOption(format!("error parsing regexp: {}: `{text}`", why.trim()))
        })?),
    };
    for (key, value) in offered {
        let named = !names.is_empty() && names.split(',').any(|name| name == key);
        if named || regex.as_ref().is_some_and(|regex| regex.is_match(key)) {
            attributes.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(())
}

/// Expands `{{.Name}}` and its like. Fields only: what else Go's templates can do is refused rather than logged as is.
fn expand(template: &str, info: &Info<'_>) -> Result<String> {
    let short = |id: &str| {
        let hex = id.rsplit(':').next().unwrap_or_default();
        hex.chars().take(12).collect::<String>()
    };
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((field, after)) = after.split_once("}}") else {
            return Err(Error::LogOption(format!("template: log-tag: unclosed action in {template:?}")));
        };
        text.push_str(before);
        text.push_str(&match field.trim() {
            ".ID" => short(info.id),
            ".FullID" => info.id.to_owned(),
            ".Name" => info.name.to_owned(),
            ".ImageID" => short(info.image_id),
            ".ImageFullID" => info.image_id.to_owned(),
            ".ImageName" => info.image_name.to_owned(),
            ".DaemonName" => "docker".to_owned(),
            other => {
                let message = format!(
                    "template: log-tag: unsupported {{{{{other}}}}} (fields such as {{{{.Name}}}} are)"
                );
                return Err(Error::LogOption(message));
            }
        });
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen() {
        let info = Info {
            id: "0123456789abcdef",
            name: "web",
            image_id: "sha256:fedcba98765432",
            image_name: "app",
            labels: &[("a", "1"), ("b", "2"), ("com.x", "3")],
            env: &["A=x=y", "B", "OS_V=9"],
        };
        let chosen = Chosen {
            labels: "a,zz".into(),
            labels_regex: "^com".into(),
            env: "A,B".into(),
            env_regex: "^(OS|X)".into(),
            tag: "{{.Name}}/{{ .ID }}-{{.ImageID}}".into(),
        };
        let text = serde_json::to_string(&chosen.resolve(&info).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"A":"x=y","OS_V":"9","a":"1","com.x":"3","tag":"web/0123456789ab-fedcba987654"}"#
        );
        for tag in ["{{.Name", "{{.Nope}}", "{{len .Name}}"] {
            let chosen = Chosen { tag: tag.into(), ..Chosen::default() };
            assert!(chosen.resolve(&info).is_err(), "{tag}");
        }
        let chosen = Chosen { env_regex: "(".into(), ..Chosen::default() };
        assert!(chosen.resolve(&info).is_err());
    }
}
