//! `--network`, in the short form and in the form of fields.

use super::csv;

/// The network that one `--network` names. Fields beside the name say how to join a network of a user, which this
/// engine has none of.
pub fn target(text: &str) -> Result<String, String> {
    if !is_fields(text) {
        return Ok(text.to_string());
    }
    let mut name = String::new();
    for field in csv::fields(text)? {
        let lower = field.to_lowercase();
        let (key, value) = lower
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid field {field}"))?;
        match key.trim() {
            "name" => name = value.trim().to_string(),
            "alias" | "ip" | "ip6" | "mac-address" | "link-local-ip" | "driver-opt" | "gw-priority" => {
                return Err(format!("{key} is not supported: there are no user-defined networks"));
            }
            key => return Err(format!("invalid field key {key}")),
        }
    }
    if name.is_empty() {
        return Err("network name/id is not specified".into());
    }
    Ok(name)
}

/// Checks one `--network`.
pub fn check(text: &str) -> Result<(), String> {
    target(text).map(drop)
}

/// Whether there is a word, an equals sign and a word somewhere.
fn is_fields(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices('=').any(|(at, _)| text[..at].ends_with(word) && text[at + 1..].starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        assert_eq!(target("host").unwrap(), "host");
        assert_eq!(target("name=none").unwrap(), "none");
        assert_eq!(
            target("alias=x").unwrap_err(),
            "alias is not supported: there are no user-defined networks"
        );
        assert_eq!(target("foo=x").unwrap_err(), "invalid field key foo");
    }
}
