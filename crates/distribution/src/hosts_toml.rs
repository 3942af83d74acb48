//! containerd's `hosts.toml`: the servers of a registry, in order, each with what it can and how it is trusted.
//!
//! One key is ours: `realms`, hosts beside the server's own site that may be given its credentials for tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Deserialize;

use crate::hosts::Abilities;

/// What the file says.
#[derive(Debug)]
pub(crate) struct File {
    pub server: Option<String>,
    pub hosts: Vec<Host>,
}

/// One `[host."…"]`.
#[derive(Debug)]
pub(crate) struct Host {
    pub address: String,
    pub abilities: Abilities,
    pub authorities: Vec<PathBuf>,
    pub client: Option<(PathBuf, PathBuf)>,
    pub skip_verify: Option<bool>,
    pub override_path: bool,
    pub headers: Vec<(String, String)>,
    pub realms: Vec<String>,
}

#[derive(Deserialize)]
struct RawFile {
    server: Option<String>,
    #[serde(default)]
    host: IndexMap<String, RawHost>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawHost {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<Client>,
    skip_verify: Option<bool>,
    override_path: bool,
    header: BTreeMap<String, OneOrMany>,
    realms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Client {
    One(String),
    Many(Vec<OneOrMany>),
}

impl OneOrMany {
    fn all(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// Reads the file's text.
pub(crate) fn parse(text: &str) -> Result<File, String> {
    let raw: RawFile = basic_toml::from_str(text).map_err(|e| e.to_string())?;
    let hosts = raw.host.into_iter().map(|(address, host)| self::host(address, host));
    Ok(File { server: raw.server, hosts: hosts.collect::<Result<_, _>>()? })
}

fn host(address: String, raw: RawHost) -> Result<Host, String> {
    let address = if address.contains("://") { address } else { format!("https://{address}") };
    let headers = raw.header.into_iter();
    Ok(Host {
        address,
        abilities: abilities(raw.capabilities)?,
        authorities: raw.ca.map(OneOrMany::all).unwrap_or_default().into_iter().map(PathBuf::from).collect(),
        client: raw.client.map(client).transpose()?,
        skip_verify: raw.skip_verify,
        override_path: raw.override_path,
        headers: headers
            .flat_map(|(name, values)| values.all().into_iter().map(move |value| (name.clone(), value)))
            .collect(),
        realms: raw.realms,
    })
}

fn abilities(words: Option<Vec<String>>) -> Result<Abilities, String> {
    let Some(words) = words else { return Ok(Abilities::ALL) };
    let mut abilities = Abilities { pull: false, resolve: false, push: false };
    for word in words {
        match word.as_str() {
            "pull" => abilities.pull = true,
            "resolve" => abilities.resolve = true,
            "push" => abilities.push = true,
            other => return Err(format!("unknown capability {other:?}")),
        }
    }
    Ok(abilities)
}

/// A file with both, or the first pair of certificate and key.
fn client(raw: Client) -> Result<(PathBuf, PathBuf), String> {
    let wrong = || "client must be a file, or pairs of certificate and key".to_owned();
    let both = |file: String| (PathBuf::from(&file), PathBuf::from(file));
    match raw {
        Client::One(file) => Ok(both(file)),
        Client::Many(many) => match many.into_iter().next().ok_or_else(wrong)? {
            OneOrMany::One(file) => Ok(both(file)),
            OneOrMany::Many(pair) => match &pair[..] {
                [file] => Ok(both(file.clone())),
                [cert, key] if !key.is_empty() => Ok((cert.into(), key.into())),
                [cert, _] => Ok(both(cert.clone())),
                _ => Err(wrong()),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containerds_example() {
        let file = parse(
            r#"
server = "https://registry.example"
[host."https://z.mirror"]
  capabilities = ["pull", "resolve"]
  ca = ["/a.crt", "b.crt"]
  client = [["c.cert", "c.key"]]
  override_path = true
  [host."https://z.mirror".header]
    x-custom = ["one", "two"]
[host."a.mirror:5000"]
  skip_verify = true
  ca = "one.crt"
  realms = ["auth.example"]
"#,
        )
        .unwrap();
        assert_eq!(file.server.as_deref(), Some("https://registry.example"));
        let [first, second] = &file.hosts[..] else { panic!("{file:?}") };
        assert_eq!(first.address, "https://z.mirror");
        assert_eq!(first.authorities.len(), 2);
        assert_eq!(first.client, Some(("c.cert".into(), "c.key".into())));
        assert!(first.override_path && !first.abilities.push && first.headers.len() == 2);
        assert_eq!(second.address, "https://a.mirror:5000");
        assert_eq!((second.skip_verify, second.realms.len()), (Some(true), 1));
        for bad in ["x", "[host.\"a\"]\ncapabilities=[\"fly\"]", "[host.\"a\"]\nclient=[]"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
