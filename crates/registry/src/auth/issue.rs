//! Tokens of our own: who showed a password, or nobody. They say nothing of rights, which are looked up anew for each
//! request, and hold until they expire or the server restarts; clients then fetch another one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// How long a token holds. It is looked at when a request begins: a long upload outlives it.
const LIFETIME: Duration = Duration::from_secs(600);

pub(super) struct Issuer {
    key: hmac::Key,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

impl Issuer {
    pub(super) fn new() -> Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|why| Error::Setting(format!("random numbers: {why}")))?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret) })
    }

    /// The answer of a token endpoint for this user; for nobody the name is empty.
    pub(super) fn issue(&self, name: &str) -> Option<Value> {
        let claims = Claims { sub: name.to_owned(), exp: now() + LIFETIME.as_secs() };
        let header = BASE64.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", BASE64.encode(serde_json::to_vec(&claims).ok()?));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        let token = format!("{signed}.{}", BASE64.encode(signature.as_ref()));
        Some(json!({ "token": token, "access_token": token, "expires_in": LIFETIME.as_secs() }))
    }

    /// Whom a token of ours was given to.
    pub(super) fn verify(&self, token: &str) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        hmac::verify(&self.key, signed.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
        (claims.exp > now()).then_some(claims.sub)
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
