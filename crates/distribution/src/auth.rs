//! Who we are to a registry: Basic, or tokens fetched from the realm that the registry names.
//!
//! ```text
//! 401 + challenge ─> Basic: the credentials themselves, to this very server only
//!                 └> Bearer: a token for what is wanted, from the realm; kept until it expires or is refused
//! ```
//! The realm is pinned: credentials go to the registry's own site only (the same host, or hosts that share the last
//! two labels of their name, three below country codes like `co.uk`), or to hosts that `hosts.toml` names as `realms`.
//! It must be asked by TLS unless the registry itself is insecure. Without credentials any realm by TLS may be asked
//! for an anonymous token. Credentials are never part of an error or a log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boxship_dial::escape;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::error::{Error, Kind, Result};
use crate::hosts::Endpoint;
use crate::payload::Payload;
use crate::transport::{Request, Transport, read_body};
use crate::url::{Scheme, Url};

/// The longest answer of a token server.
const LONGEST: usize = 1 << 20;
/// How long a token is good when nothing is said.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is fetched anew this long before it expires.
const MARGIN: Duration = Duration::from_secs(10);
/// Who asks for tokens.
const CLIENT: &str = "boxship";

/// What a user gave for a registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    Anonymous,
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that tokens are got with.
    Identity(String),
    /// A token to be sent as it is.
    Bearer(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credentials::Anonymous => "Anonymous",
            Credentials::Password { .. } => "Password",
            Credentials::Identity(_) => "Identity",
            Credentials::Bearer(_) => "Bearer",
        })
    }
}

impl Credentials {
    fn is_anonymous(&self) -> bool {
        *self == Credentials::Anonymous
    }

    /// The value of `Authorization` for Basic.
    fn basic(&self) -> Option<String> {
        match self {
            Credentials::Password { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            _ => None,
        }
    }
}

/// The authorisation for one server. Shared by all transfers of one operation.
pub(crate) struct Auth {
    credentials: Credentials,
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<String, Token>>,
    /// One fetch of a token at a time: the others wait for it and use it.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Token {
    value: String,
    until: Instant,
}

/// What a token server answers.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

impl Auth {
    pub fn new(credentials: Credentials) -> Auth {
        Auth {
            credentials,
            challenge: Mutex::default(),
            tokens: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Takes over what a 401 asks for. `false` when it can't be met.
    pub fn challenged(&self, challenges: Vec<Challenge>) -> bool {
        let bearer = challenges.iter().find(|c| matches!(c, Challenge::Bearer { .. })).cloned();
        let chosen = bearer.or_else(|| challenges.into_iter().next());
        let known = chosen.is_some();
        if known {
            *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = chosen;
        }
        known
    }

    /// The `Authorization` header for requests in this scope. `stale` is the header that was refused.
    pub async fn header(
        &self,
        transport: &Transport,
        endpoint: &Endpoint,
        scope: &str,
        stale: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>> {
        if let Credentials::Bearer(token) = &self.credentials {
            return value(&format!("Bearer {token}")).map(Some);
        }
        let challenge = self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => match self.credentials.basic() {
                Some(basic) => value(&basic).map(Some),
                None if stale.is_none() => Ok(None),
                None => Err(Error::told(Kind::Unauthorized, "no basic auth credentials")),
            },
            Some(Challenge::Bearer { realm, service, scope: offered }) => {
                let scope = if scope.is_empty() { offered } else { scope.to_owned() };
                let _one = self.fetching.lock().await;
                if let Some(known) = self.known(&scope) {
                    let known = value(&format!("Bearer {}", known.value))?;
                    if stale != Some(&known) {
                        return Ok(Some(known));
                    }
                }
                let granted = self.fetch(transport, endpoint, &realm, &service, &scope, false).await?;
                let life = granted.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).max(DEFAULT_LIFE);
                let token = granted.token.or(granted.access_token).filter(|token| !token.is_empty());
                let token = token.ok_or_else(|| {
                    Error::invalid("authorization server did not include a token in the response")
                })?;
                let header = value(&format!("Bearer {token}"))?;
                let token = Token { value: token, until: Instant::now() + life - MARGIN };
                let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.retain(|_, token| token.until > Instant::now());
                tokens.insert(scope, token);
                Ok(Some(header))
            }
        }
    }

    fn known(&self, scope: &str) -> Option<Token> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(scope).filter(|token| token.until > Instant::now()).cloned()
    }

    /// Logs in: an identity token where the token server gives one.
    pub async fn login(&self, transport: &Transport, endpoint: &Endpoint) -> Result<Option<String>> {
        let challenge = self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(Challenge::Bearer { realm, service, .. }) = challenge else { return Ok(None) };
        let granted = self.fetch(transport, endpoint, &realm, &service, "", true).await?;
        Ok(granted.refresh_token.filter(|token| !token.is_empty()))
    }

    async fn fetch(
        &self,
        transport: &Transport,
        endpoint: &Endpoint,
        realm: &str,
        service: &str,
        scope: &str,
        offline: bool,
    ) -> Result<Granted> {
        let realm = checked_realm(endpoint, realm, self.credentials.is_anonymous())?;
        let request = Request {
            local: endpoint.insecure || endpoint.base.is_loopback(),
            ..match &self.credentials {
                Credentials::Identity(token) => by_token(realm, service, scope, token),
                credentials => by_name(realm, service, scope, offline, credentials)?,
            }
        };
        // The registry's own rules for TLS are meant for the registry; its site's other hosts may share them.
        let response = transport.send(&request, &endpoint.tls).await?;
        let answer = crate::answer::of(&request.url, response.status().as_u16(), response.headers());
        let body = read_body(response.into_body(), LONGEST, transport.timeouts.stall).await;
        let body = body.map_err(|source| Error::Request {
            method: request.method.clone(),
            url: request.url.to_string(),
            source,
        })?;
        if answer.status != 200 {
            return Err(refusal(crate::answer::with_body(answer, &body)));
        }
        serde_json::from_slice(&body)
            .map_err(|e| Error::invalid(format!("unable to decode token response: {e}")))
    }
}

/// Asks for a token with a token: OAuth2's way.
fn by_token(realm: Url, service: &str, scope: &str, token: &str) -> Request {
    let (service, token) = (escape(service), escape(token));
    let mut form =
        format!("grant_type=refresh_token&service={service}&client_id={CLIENT}&refresh_token={token}");
    if !scope.is_empty() {
        form.push_str(&format!("&scope={}", escape(scope)));
    }
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
    Request { method: Method::POST, url: realm, headers, payload: Payload::Bytes(form.into()), local: false }
}

/// Asks for a token as a user, or as nobody.
fn by_name(
    realm: Url,
    service: &str,
    scope: &str,
    offline: bool,
    credentials: &Credentials,
) -> Result<Request> {
    let mut url = realm;
    if !service.is_empty() {
        url = url.with("service", service);
    }
    for one in scope.split(' ').filter(|one| !one.is_empty()) {
        url = url.with("scope", one);
    }
    if offline {
        url = url.with("offline_token", "true").with("client_id", CLIENT);
    }
    if let Credentials::Password { user, .. } = credentials {
        url = url.with("account", user);
    }
    let mut headers = HeaderMap::new();
    if let Some(basic) = credentials.basic() {
        headers.insert(header::AUTHORIZATION, value(&basic)?);
    }
    Ok(Request { method: Method::GET, url, headers, payload: Payload::Empty, local: false })
}

/// What the token server's refusal means.
fn refusal(answer: crate::error::Answer) -> Error {
    if answer.status == 401 || answer.status == 403 {
        let message = match answer.errors.first() {
            Some(_) => answer.to_string(),
            None => "unauthorized: incorrect username or password".to_owned(),
        };
        return Error::told(Kind::Unauthorized, message);
    }
    Error::Answer(answer)
}

fn value(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::told(Kind::Invalid, "credentials contain characters that can't be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether the realm may be asked; see the rule above.
fn checked_realm(endpoint: &Endpoint, realm: &str, anonymous: bool) -> Result<Url> {
    let url = Url::parse(realm)
        .ok_or_else(|| Error::Refused(format!("invalid token auth challenge realm: {realm:?}")))?;
    if url.scheme == Scheme::Http && !endpoint.insecure {
        return Err(Error::Refused(format!(
            "token auth realm {realm:?} of {} is not protected by TLS: not asked",
            endpoint.base.authority()
        )));
    }
    let named = endpoint.realms.iter().any(|host| host.eq_ignore_ascii_case(&url.host));
    if anonymous || named || same_site(&endpoint.base.host, &url.host) {
        return Ok(url);
    }
    Err(Error::Refused(format!(
        "token auth realm {realm:?} is on another site than {}: it doesn't get the credentials (name its host as \
         \"realms\" in hosts.toml to allow it)",
        endpoint.base.authority()
    )))
}

/// Whether two hosts belong to one site, as far as names tell.
fn same_site(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) || (crate::url::is_loopback(a) && crate::url::is_loopback(b)) {
        return true;
    }
    if a.parse::<IpAddr>().is_ok() || b.parse::<IpAddr>().is_ok() {
        return false;
    }
    let site = |host: &str| {
        let host = host.to_ascii_lowercase();
        let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
        let country =
            labels.len() > 2 && labels[labels.len() - 1].len() == 2 && labels[labels.len() - 2].len() <= 3;
        let count = if country { 3 } else { 2 };
        (labels.len() >= count).then(|| labels[labels.len() - count..].join("."))
    };
    match (site(a), site(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::Abilities;
    use crate::tls::TlsRules;

    #[test]
    fn sites() {
        for (a, b, same) in [
            ("registry-1.docker.io", "auth.docker.io", true),
            ("registry.gitlab.com", "gitlab.com", true),
            ("ghcr.io", "ghcr.io", true),
            ("ghcr.io", "quay.io", false),
            ("a.co.uk", "b.co.uk", false),
            ("x.a.co.uk", "y.a.co.uk", true),
            ("registry", "auth", false),
            ("10.0.0.1", "10.0.0.2", false),
            ("localhost", "127.0.0.1", true),
            ("example.com", "com", false),
        ] {
            assert_eq!(same_site(a, b), same, "{a} {b}");
        }
    }

    #[test]
    fn realms() {
        let endpoint = |base: &str, insecure| Endpoint {
            base: Url::parse(base).unwrap(),
            tls: TlsRules::default(),
            abilities: Abilities::ALL,
            official: true,
            insecure,
            namespace: None,
            headers: Vec::new(),
            realms: vec!["allowed.example".into()],
        };
        let secure = endpoint("https://r.corp.example/v2", false);
        let plain = endpoint("http://127.0.0.1:5000/v2", true);
        for (endpoint, realm, anonymous, fine) in [
            (&secure, "https://auth.corp.example/token", false, true),
            (&secure, "http://auth.corp.example/token", false, false),
            (&secure, "http://auth.corp.example/token", true, false),
            (&secure, "https://evil.test/token", false, false),
            (&secure, "https://evil.test/token", true, true),
            (&secure, "https://allowed.example/token", false, true),
            (&secure, "file:///etc/passwd", true, false),
            (&plain, "http://127.0.0.1:5001/token", false, true),
            (&plain, "http://evil.test/token", false, false),
        ] {
            assert_eq!(checked_realm(endpoint, realm, anonymous).is_ok(), fine, "{realm}");
        }
    }
}
