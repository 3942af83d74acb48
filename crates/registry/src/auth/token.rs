//! Tokens of another service, as Docker's registry takes them: signed JWTs that say for whom, from whom, how long, and
//! what their bearer may do. Only keys that the operator gave are trusted, never one that comes with the token.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;

use super::AccessConfig;
use super::issue::now;
use super::keys::{self, Key};
use super::watched::Watched;
use crate::error::{Error, Result};

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 60;
/// The longest token.
const LONGEST: usize = 24 << 10;

pub(super) struct Tokens {
    keys: Watched<Vec<Key>>,
    pub(super) realm: String,
    pub(super) service: String,
    issuer: Option<String>,
}

/// What a token grants on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Grant {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: String,
    actions: Vec<String>,
}

impl Grant {
    pub(super) fn allows(&self, action: &str) -> bool {
        self.actions.iter().any(|one| one == action || one == "*")
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: u64,
    #[serde(default)]
    access: Option<Vec<Grant>>,
}

/// One service or several.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Audience {
    #[default]
    Nobody,
    One(String),
    Several(Vec<String>),
}

impl Tokens {
    pub(super) fn new(path: &Path, config: &AccessConfig) -> Result<Self> {
        let required = |value: &Option<String>, flag: &str| {
            value.clone().ok_or_else(|| Error::Setting(format!("--token-key needs --{flag}")))
        };
        let realm = required(&config.token_realm, "token-realm")?;
        let service = required(&config.token_service, "token-service")?;
        if [&realm, &service].iter().any(|text| text.contains(['"', '\\', '\r', '\n'])) {
            return Err(Error::Setting("--token-realm and --token-service have no quotes".into()));
        }
        let keys = Watched::open(path, keys::parse)?;
        Ok(Self { keys, realm, service, issuer: config.token_issuer.clone() })
    }

    /// Whose token it is and what it grants; why not.
    pub(super) fn verify(&self, token: &str) -> Result<(String, Vec<Grant>), &'static str> {
        if token.len() > LONGEST {
            return Err("too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("no token")?;
        let (header, claims) = signed.split_once('.').ok_or("no token")?;
        let signature = BASE64.decode(signature).map_err(|_| "unreadable signature")?;
        let header: Header = decode(header).ok_or("unreadable header")?;
        let keys = self.keys.get();
        let named: Vec<&Key> = keys.iter().filter(|key| key.id.is_some() && key.id == header.kid).collect();
        // Services name their keys in several ways; a name that no key has says nothing.
        let tried = if named.is_empty() { keys.iter().collect() } else { named };
        if !tried.iter().any(|key| key.verifies(&header.alg, signed.as_bytes(), &signature)) {
            return Err("no known key signed it");
        }
        let claims: Claims = decode(claims).ok_or("unreadable claims")?;
        let for_us = match &claims.aud {
            Audience::Nobody => false,
            Audience::One(service) => *service == self.service,
            Audience::Several(services) => services.contains(&self.service),
        };
        if !for_us {
            return Err("made out to another service");
        }
        if self.issuer.as_ref().is_some_and(|issuer| *issuer != claims.iss) {
            return Err("from another issuer");
        }
        if claims.exp.saturating_add(LEEWAY) <= now() {
            return Err("expired");
        }
        if claims.nbf > now() + LEEWAY {
            return Err("not yet valid");
        }
        Ok((claims.sub, claims.access.unwrap_or_default()))
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}
