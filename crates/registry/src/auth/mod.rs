//! Who is calling, and what they may do.
//!
//! Three ways in. Without any setting the registry is open. With `--htpasswd` callers show a name and a password; if
//! somebody may do something without one too, clients are sent to our own token endpoint, because they only show
//! credentials when they were asked for them before, and don't pull without credentials once they were asked: tokens,
//! which are given to everybody, fit both. With `--token-key` another service gives out tokens that say what their
//! bearer may do, as for Docker's registry. What named users may do, a rights file says; without one, everything.
//!
//! Rights are looked at for every request, reads too: a blob belongs to a repository, and knowing its digest is no
//! right to it.

mod htpasswd;
mod issue;
mod keys;
mod rights;
mod token;
mod watched;

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use http::request::Parts;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::http::Failure;
use crate::name::RepositoryName;
use htpasswd::Htpasswd;
use issue::Issuer;
use rights::Rights;
use token::{Grant, Tokens};
use watched::Watched;

/// What may be done to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Pull,
    Push,
    Delete,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    /// What a client should ask the token service for: who pushes looks first.
    fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "delete",
        }
    }
}

/// What callers without a name may do where no rights file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anonymous {
    /// Nothing.
    #[default]
    Nothing,
    /// Pull.
    Pull,
    /// Pull and push.
    Push,
    /// Everything.
    Everything,
}

/// How callers are known, as it was asked for.
#[derive(Debug, Clone, Default)]
pub struct AccessConfig {
    /// Names and bcrypt hashes.
    pub htpasswd: Option<PathBuf>,
    /// Who may do what where.
    pub rights: Option<PathBuf>,
    /// Keys of another token service: PEM (public keys, certificates) or a JWK set.
    pub token_keys: Option<PathBuf>,
    /// Where clients get tokens.
    pub token_realm: Option<String>,
    /// Who tokens must be made out to.
    pub token_service: Option<String>,
    /// Who tokens must be from.
    pub token_issuer: Option<String>,
    /// What callers without a name may do; what fits the other settings when it isn't said.
    pub anonymous: Option<Anonymous>,
    /// Under which URL clients reach the registry, when the `Host` header does not say.
    pub public_url: Option<String>,
}

/// The judge.
pub(crate) struct Access {
    htpasswd: Option<Htpasswd>,
    rights: Option<Watched<Rights>>,
    tokens: Option<Tokens>,
    anonymous: Anonymous,
    issuer: Issuer,
    public_url: Option<String>,
    tls: bool,
}

/// Who sends a request.
#[derive(Clone)]
pub(crate) struct Caller {
    name: Option<Arc<str>>,
    /// Whether a token or a password was shown at all.
    proved: bool,
    grant: Granted,
}

/// On what ground a caller may do something.
#[derive(Clone)]
enum Granted {
    /// The same everywhere.
    Level(Anonymous),
    /// As the rights file says.
    Rights(Arc<Rights>),
    /// As a foreign token says.
    Token(Arc<Vec<Grant>>),
}

impl Caller {
    /// Whether this may be done to the repository.
    pub(crate) fn may(&self, repository: &RepositoryName, action: Action) -> bool {
        match &self.grant {
            Granted::Level(level) => level.allows(action),
            Granted::Rights(rights) => rights.allow(self.name.as_deref(), repository.as_str(), action),
            Granted::Token(grants) => grants.iter().any(|grant| {
                grant.kind == "repository"
                    && grant.name == repository.as_str()
                    && grant.allows(action.as_str())
            }),
        }
    }

    /// Whether this may be done to every repository there is or will be.
    pub(crate) fn may_everywhere(&self, action: Action) -> bool {
        match &self.grant {
            Granted::Level(level) => level.allows(action),
            Granted::Rights(rights) => rights.allow_everywhere(self.name.as_deref(), action),
            Granted::Token(_) => false,
        }
    }
}

impl Anonymous {
    fn allows(self, action: Action) -> bool {
        match self {
            Self::Nothing => false,
            Self::Pull => action == Action::Pull,
            Self::Push => action != Action::Delete,
            Self::Everything => true,
        }
    }
}

impl Access {
    /// Reads the files that `config` names.
    pub(crate) fn new(config: &AccessConfig, tls: bool) -> Result<Self> {
        let tokens = match &config.token_keys {
            Some(path) => Some(Tokens::new(path, config)?),
            None if config.token_realm.is_some() => {
                return Err(Error::Setting(
                    "a token realm needs the keys of its tokens (--token-key)".into(),
                ));
            }
            None => None,
        };
        if tokens.is_some() && (config.htpasswd.is_some() || config.rights.is_some()) {
            let why = "tokens of another service say themselves what may be done: leave --htpasswd and --rights out";
            return Err(Error::Setting(why.into()));
        }
        if config.rights.is_some() && config.anonymous.is_some() {
            let why = "what may be done without a name is said by lines for 'anonymous' in the rights file";
            return Err(Error::Setting(why.into()));
        }
        let closed = config.htpasswd.is_some() || config.rights.is_some() || tokens.is_some();
        let default = if closed { Anonymous::Nothing } else { Anonymous::Everything };
        Ok(Self {
            htpasswd: config.htpasswd.as_deref().map(Htpasswd::open).transpose()?,
            rights: config.rights.as_deref().map(|path| Watched::open(path, rights::parse)).transpose()?,
            tokens,
            anonymous: config.anonymous.unwrap_or(default),
            issuer: Issuer::new()?,
            public_url: config.public_url.clone(),
            tls,
        })
    }

    /// Finds out who is calling; wrong credentials are refused, none are not.
    pub(crate) async fn identify(&self, parts: &Parts) -> Result<Caller, Failure> {
        let Some(value) = parts.headers.get(header::AUTHORIZATION) else { return Ok(self.nobody()) };
        let text = value.to_str().unwrap_or_default();
        let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            let Some(htpasswd) = &self.htpasswd else { return Ok(self.nobody()) };
            let (name, password) = basic(credentials).ok_or_else(|| self.refused(parts, None))?;
            if !htpasswd.verify(&name, &password).await {
                return Err(self.refused(parts, None));
            }
            return Ok(self.somebody(&name));
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(self.refused(parts, None));
        }
        if let Some(tokens) = &self.tokens {
            let (name, grants) = tokens.verify(credentials).map_err(|why| {
                tracing::info!(why, "a token was refused");
                self.refused(parts, Some("invalid_token"))
            })?;
            let grant = Granted::Token(Arc::new(grants));
            return Ok(Caller { name: Some(name.into()), proved: true, grant });
        }
        match self.issuer.verify(credentials) {
            Some(name) if name.is_empty() => Ok(Caller { proved: true, ..self.nobody() }),
            // The name may have been taken out of the file since.
            Some(name) if self.htpasswd.as_ref().is_some_and(|file| file.knows(&name)) => {
                Ok(self.somebody(&name))
            }
            _ => Err(self.refused(parts, Some("invalid_token"))),
        }
    }

    fn nobody(&self) -> Caller {
        Caller { name: None, proved: false, grant: self.granted(self.anonymous) }
    }

    fn somebody(&self, name: &str) -> Caller {
        Caller { name: Some(name.into()), proved: true, grant: self.granted(Anonymous::Everything) }
    }

    fn granted(&self, level: Anonymous) -> Granted {
        self.rights.as_ref().map_or(Granted::Level(level), |rights| Granted::Rights(rights.get()))
    }

    /// Refuses a caller who may not do this; without a `need`, one who must first say who they are.
    pub(crate) fn require(
        &self,
        caller: &Caller,
        parts: &Parts,
        need: Option<(&RepositoryName, Action)>,
    ) -> Result<(), Failure> {
        let Some((repository, action)) = need else {
            let open = caller.proved || self.is_open();
            return if open { Ok(()) } else { Err(self.challenge(parts, None, None)) };
        };
        if caller.may(repository, action) {
            return Ok(());
        }
        if caller.name.is_some() && self.tokens.is_none() {
            return Err(Failure::denied("requested access to the resource is denied"));
        }
        let scope = format!("repository:{repository}:{}", action.scope());
        let error = caller.proved.then_some("insufficient_scope");
        Err(self.challenge(parts, Some(&scope), error))
    }

    /// The catalog is shown to callers with tokens if the token says so; others see what they may pull.
    pub(crate) fn require_catalog(&self, caller: &Caller, parts: &Parts) -> Result<(), Failure> {
        let Granted::Token(grants) = &caller.grant else { return Ok(()) };
        let fits = |grant: &Grant| grant.kind == "registry" && grant.name == "catalog" && grant.allows("*");
        if grants.iter().any(fits) {
            return Ok(());
        }
        Err(self.challenge(parts, Some("registry:catalog:*"), Some("insufficient_scope")))
    }

    /// A token of our own for the caller.
    pub(crate) fn issue(&self, caller: &Caller, parts: &Parts) -> Result<Value, Failure> {
        if self.htpasswd.is_none() || !matches!(parts.method, http::Method::GET) {
            return Err(Failure::unsupported("no tokens are given out here"));
        }
        self.issuer.issue(caller.name.as_deref().unwrap_or_default()).ok_or_else(Failure::internal)
    }

    /// Whether nobody is ever asked for a name.
    fn is_open(&self) -> bool {
        self.htpasswd.is_none() && self.tokens.is_none()
    }

    /// Whether somebody without a name may do something.
    fn serves_nobody(&self) -> bool {
        match &self.rights {
            Some(rights) => rights.get().serve_nobody(),
            None => self.anonymous != Anonymous::Nothing,
        }
    }

    fn refused(&self, parts: &Parts, error: Option<&str>) -> Failure {
        self.challenge(parts, None, error)
    }

    fn challenge(&self, parts: &Parts, scope: Option<&str>, error: Option<&str>) -> Failure {
        let message = "authentication required";
        let (realm, service) = match &self.tokens {
            Some(tokens) => (tokens.realm.clone(), tokens.service.clone()),
            None if self.htpasswd.is_none() => {
                return Failure::denied("requested access to the resource is denied");
            }
            None if !self.serves_nobody() => {
                return Failure::unauthorized(message, "Basic realm=\"boxship\"");
            }
            None => (format!("{}/v2/_token", self.own_url(parts)), "boxship".to_owned()),
        };
        let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
        if let Some(scope) = scope {
            challenge.push_str(&format!(",scope=\"{scope}\""));
        }
        if let Some(error) = error {
            challenge.push_str(&format!(",error=\"{error}\""));
        }
        Failure::unauthorized(message, &challenge)
    }

    fn own_url(&self, parts: &Parts) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
        let host = if host.bytes().all(plain) { host } else { "" };
        format!("{}://{host}", if self.tls { "https" } else { "http" })
    }
}

/// Name and password of a `Basic` header.
fn basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
