//! Questions to registries that move no image: credentials, what a name stands for, the search of Docker's Hub.

use boxship_oci::platform::Platform;
use boxship_oci::reference::{DEFAULT_DOMAIN, LEGACY_DOMAIN, Reference};
use boxship_oci::{Descriptor, descriptor};
use http::{Method, header};
use serde::{Deserialize, Serialize};

use crate::auth::Credentials;
use crate::client::Client;
use crate::error::{Error, Kind, Result, status};
use crate::manifest::{self, json};
use crate::pull::told;
use crate::repository::{Fetched, MAX_MANIFEST};
use crate::session::Call;

/// Matches of a search, at most (the Hub's own bound).
const MOST: u32 = 100;

/// What a name stands for at its registry.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The platforms there is an image for.
    pub platforms: Vec<Platform>,
}

/// One match of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// Stars given by users.
    pub star_count: i64,
    /// Whether Docker maintains it.
    pub is_official: bool,
    /// The repository.
    pub name: String,
    /// Whether it is built automatically (nothing is any more).
    pub is_automated: bool,
    /// What it is.
    pub description: String,
}

impl Client {
    /// Checks credentials with a registry (its name, or Docker's old address of the Hub). An identity token to be kept
    /// instead of the password, where the registry gives one.
    pub async fn login(&self, address: &str, credentials: &Credentials) -> Result<Option<String>> {
        let domain = domain(address);
        // The path plays no part in it.
        let reference = Reference::parse(&format!("{domain}/login"))
            .map_err(|_| Error::told(Kind::Invalid, format!("invalid registry address {address:?}")))?;
        let mut last = None;
        for endpoint in self.endpoints(reference.domain(), |_| true).await? {
            if !endpoint.official {
                continue;
            }
            let session = match self.session(endpoint, credentials).await {
                Ok(session) => session,
                Err(error) if error.is_unreachable() => {
                    last = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            return session.login().await.map_err(|error| {
                let text = error.to_string();
                match error.kind() {
                    // The registry's own refusal, or that of its token server.
                    Kind::Unauthorized => Error::told(
                        Kind::Unauthorized,
                        match &error {
                            Error::Answer(answer) => format!(
                                "login attempt to {} failed with status: {}",
                                session.url("/"),
                                status(answer.status)
                            ),
                            _ => format!("Get {:?}: {text}", session.url("/").to_string()),
                        },
                    ),
                    _ => error,
                }
            });
        }
        Err(last.unwrap_or_else(|| Error::Configuration("no server to ask".into())))
    }

    /// What a name stands for.
    pub async fn inspect(&self, reference: &Reference, credentials: &Credentials) -> Result<Inspected> {
        let inspected = self.inspect_answers(reference, credentials).await;
        inspected.map_err(|error| told(error, reference))
    }

    async fn inspect_answers(&self, reference: &Reference, credentials: &Credentials) -> Result<Inspected> {
        let mut servers = self.servers(reference, credentials, |can| can.pull && can.resolve).await?;
        loop {
            let repository = servers.next().await?;
            let digest = reference.digest().map(ToString::to_string);
            let asked = digest.or(reference.tag().map(str::to_owned)).unwrap_or_default();
            let outcome = async {
                let top = repository.manifest(&asked).await?;
                let platforms = self.platforms(&repository, &top).await?;
                Ok(Inspected { descriptor: top.descriptor(), platforms })
            };
            match outcome.await {
                Ok(inspected) => return Ok(inspected),
                Err(error) => servers.failed(error)?,
            }
        }
    }

    async fn platforms(
        &self,
        repository: &crate::repository::Repository,
        top: &Fetched,
    ) -> Result<Vec<Platform>> {
        if descriptor::kind(&top.media_type) == descriptor::Kind::Index {
            let index: boxship_oci::Index = json(&top.bytes, "manifest list")?;
            return Ok(index.manifests.into_iter().filter_map(|entry| entry.platform).collect());
        }
        let manifest: boxship_oci::Manifest = json(&top.bytes, "manifest")?;
        if manifest.config.kind() != descriptor::Kind::Config {
            return Ok(Vec::new());
        }
        let config = repository.small_blob(&manifest.config, manifest::MAX_CONFIG).await?;
        // The configuration has the same fields.
        Ok(vec![json(&config, "image configuration")?])
    }

    /// Searches the Hub, or a registry named before a slash, by the old search protocol.
    pub async fn search(
        &self,
        term: &str,
        limit: u32,
        credentials: &Credentials,
    ) -> Result<Vec<SearchResult>> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            results: Vec<SearchResult>,
        }
        let (host, term) = match term.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (domain(host), rest),
            _ => (DEFAULT_DOMAIN.to_owned(), term),
        };
        let term = if host == DEFAULT_DOMAIN { term.strip_prefix("library/").unwrap_or(term) } else { term };
        let limit = if limit == 0 { 25 } else { limit.min(MOST) };
        let mut last = None;
        for mut endpoint in self.endpoints(&host, |_| true).await?.into_iter().filter(|e| e.official) {
            if host == DEFAULT_DOMAIN {
                endpoint.base.host = LEGACY_DOMAIN.to_owned();
            }
            endpoint.base.target = "/v1".to_owned();
            let session = match self.session(endpoint, credentials).await {
                Ok(session) => session,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let url = session.url("/search").with("q", term).with("n", &limit.to_string());
            let call = Call::new(Method::GET, url.clone(), "").header(header::ACCEPT, "application/json");
            let response = session.call(call).await.map_err(|error| match &error {
                Error::Answer(answer) => {
                    Error::told(error.kind(), format!("Unexpected status code {}", answer.status))
                }
                _ => error,
            })?;
            let bytes = session.body(&url, response, MAX_MANIFEST).await?;
            let page: Page = json(&bytes, "search results")?;
            return Ok(page.results.into_iter().take(MOST as usize).collect());
        }
        Err(last.unwrap_or_else(|| Error::Configuration("no server to ask".into())))
    }
}

/// The registry that an address in `docker login` means.
fn domain(address: &str) -> String {
    let bare = address.trim().trim_start_matches("https://").trim_start_matches("http://");
    let host = bare.split('/').next().unwrap_or_default();
    match host {
        "" | LEGACY_DOMAIN | DEFAULT_DOMAIN | crate::hosts::HUB => DEFAULT_DOMAIN.to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_logins() {
        for (address, expect) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("https://r.example/v2/", "r.example"),
        ] {
            assert_eq!(domain(address), expect, "{address}");
        }
    }
}
