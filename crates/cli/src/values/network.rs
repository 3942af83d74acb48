//! `--network`, in the short form and in the form of fields, `--link` and hardware addresses.

use std::collections::BTreeMap;

use super::csv;
use crate::flags::number;

/// One `--network`: which one, and what is asked for the endpoint there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network's name or a mode.
    pub target: String,
    /// Further names there.
    pub aliases: Vec<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// The IPv4 address.
    pub ip: String,
    /// The IPv6 address.
    pub ip6: String,
    /// Link-local addresses.
    pub link_local_ips: Vec<String>,
    /// The hardware address.
    pub mac_address: String,
    /// Which endpoint gives the default route.
    pub gw_priority: i64,
}

/// Reads one `--network`.
pub fn parse(text: &str) -> Result<Attachment, String> {
    if !is_fields(text) {
        return Ok(Attachment { target: text.to_string(), ..Attachment::default() });
    }
    let mut attachment = Attachment::default();
    for field in csv::fields(text)? {
        let lower = field.to_lowercase();
        let (key, value) = lower
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid field {field}"))?;
        set(&mut attachment, key.trim(), value.trim())?;
    }
    if attachment.target.is_empty() {
        return Err("network name/id is not specified".into());
    }
    Ok(attachment)
}

fn set(attachment: &mut Attachment, key: &str, value: &str) -> Result<(), String> {
    let own = value.to_string();
    match key {
        "name" => attachment.target = own,
        "alias" => attachment.aliases.push(own),
        "ip" => attachment.ip = own,
        "ip6" => attachment.ip6 = own,
        "mac-address" => attachment.mac_address = own,
        "link-local-ip" => attachment.link_local_ips.push(own),
        "driver-opt" => {
            let (key, value) = value
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or("invalid key value pair format in driver options")?;
            attachment.driver_opts.insert(key.trim().to_string(), value.trim().to_string());
        }
        "gw-priority" => {
            attachment.gw_priority = number(value).map_err(|why| {
                let why = why.rsplit(": ").next().unwrap_or_default();
                format!("invalid gw-priority ({value}): {why}")
            })?;
        }
        key => return Err(format!("invalid field key {key}")),
    }
    Ok(())
}

/// Checks one `--network`.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// Whether there is a word, an equals sign and a word somewhere.
fn is_fields(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices('=').any(|(at, _)| text[..at].ends_with(word) && text[at + 1..].starts_with(word))
}

/// Whether the name is of a network that a user made, and no mode.
pub fn is_user_defined(target: &str) -> bool {
    !matches!(target, "default" | "bridge" | "host" | "none") && !target.starts_with("container:")
}

/// Checks `CONTAINER[:ALIAS]`.
pub fn check_link(text: &str) -> Result<(), String> {
    match text.split(':').count() {
        _ if text.is_empty() => Err("empty string specified for links".into()),
        1 | 2 => Ok(()),
        _ => Err(format!("bad format for links: {text}")),
    }
}

/// Whether the text is a hardware address of 6, 8 or 20 bytes, in pairs or, with dots, in fours of digits.
pub fn is_mac(text: &str) -> bool {
    let text = text.trim();
    let groups = |separator: char, digits: usize| {
        text.split(separator)
            .map(|group| group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .try_fold(0, |bytes, fine| fine.then_some(bytes + digits / 2))
    };
    let bytes = match text.chars().find(|c| !c.is_ascii_hexdigit()) {
        Some(separator @ (':' | '-')) => groups(separator, 2),
        Some('.') => groups('.', 4),
        _ => None,
    };
    matches!(bytes, Some(6 | 8 | 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments() {
        assert_eq!(parse("host").unwrap().target, "host");
        assert_eq!(parse("name=none").unwrap().target, "none");
        let parsed = parse("name=mine,alias=a,alias=b,ip=1.2.3.4,driver-opt=k=v,gw-priority=-3").unwrap();
        assert_eq!((parsed.aliases.len(), parsed.ip.as_str(), parsed.gw_priority), (2, "1.2.3.4", -3));
        assert_eq!(parsed.driver_opts["k"], "v");
        assert_eq!(parse("foo=x").unwrap_err(), "invalid field key foo");
    }

    #[test]
    fn hardware_addresses() {
        for text in ["02:42:ac:11:00:02", "02-42-AC-11-00-02", "0242.ac11.0002", " 02:42:ac:11:00:02:00:01 "]
        {
            assert!(is_mac(text), "{text}");
        }
        for text in
            ["", "02", "02:42", "02:42:ac:11:00:0g", "02:42-ac:11:00:02", "0242ac110002", "é:", "::::::"]
        {
            assert!(!is_mac(text), "{text}");
        }
    }
}
