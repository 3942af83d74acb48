//! A registry as its mirror sees it: what a mirror's clients ask for is asked of it, and handed on as it comes. Nothing
//! is kept here, no store is beside it; whoever mirrors keeps and verifies what it gets.
//!
//! Each repository has a session of its own: tokens of one are no use for another, and a token server that takes its
//! time for one keeps nobody else waiting. Connections are shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boxship_oci::Digest;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use hyper::body::Incoming;

use crate::auth::Credentials;
use crate::client::Settings;
use crate::error::{Error, Failure, Result};
use crate::fetch::content_range;
use crate::hosts::Endpoint;
use crate::repository::{Fetched, MAX_MANIFEST, Repository, next_page};
use crate::session::{Call, Patience, Session, content_digest, pull_scope};
use crate::transport::{Transport, next_piece};
use crate::url::Url;

/// Sessions kept at once.
const MOST_SESSIONS: usize = 256;

/// A registry that is mirrored.
pub struct Upstream {
    transport: Arc<Transport>,
    endpoint: Endpoint,
    credentials: Credentials,
    patience: Patience,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

/// A blob on its way.
pub struct Download {
    /// Where the first piece begins: 0 when the server has no ranges.
    pub begins: u64,
    /// The length of the whole blob, when the server says it.
    pub size: Option<u64>,
    body: Incoming,
    stall: Duration,
    url: Url,
}

/// A list (of tags, of referrers), or a page of it.
pub struct Listed {
    /// The document, as it came.
    pub bytes: Vec<u8>,
    /// The query by which the next page is asked for.
    pub next: Option<String>,
    /// The filters that the server applied.
    pub filters: Option<String>,
}

impl Upstream {
    /// The registry at an address such as `https://registry-1.docker.io`. It is not asked yet.
    pub async fn new(settings: &Settings, address: &str, credentials: Credentials) -> Result<Upstream> {
        let transport = Transport::new(settings.proxies.clone(), settings.timeouts, &settings.user_agent);
        Ok(Upstream {
            transport: Arc::new(transport),
            endpoint: settings.hosts.server(address).await?,
            credentials,
            patience: settings.patience,
            sessions: Mutex::default(),
        })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &Url {
        &self.endpoint.base
    }

    /// The digest that a tag has now; `None` when the registry doesn't tell digests without content.
    pub async fn resolve(&self, path: &str, reference: &str) -> Result<Option<Digest>> {
        let repository = self.repository(path).await?;
        let scope = pull_scope(path);
        let call = repository.manifest_call(Method::HEAD, reference)();
        let response = repository.session.call(Call { scope: &scope, ..call }).await?;
        Ok(content_digest(response.headers()))
    }

    /// A manifest by tag or digest, verified.
    pub async fn manifest(&self, path: &str, reference: &str) -> Result<Fetched> {
        self.repository(path).await?.manifest(reference).await
    }

    /// The length of a blob, `None` when it isn't in the repository.
    pub async fn blob_size(&self, path: &str, digest: &Digest) -> Result<Option<u64>> {
        self.repository(path).await?.blob_exists(digest, &pull_scope(path)).await
    }

    /// Begins to read a blob from a byte on. It is not verified.
    pub async fn blob(&self, path: &str, digest: &Digest, from: u64) -> Result<Download> {
        let repository = self.repository(path).await?;
        let url = repository.url(&format!("blobs/{digest}"));
        let response = repository.blob(&url, from, None).await?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (begins, size) = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = text(header::CONTENT_RANGE).and_then(content_range);
                range.filter(|(begins, _)| *begins == from).ok_or_else(|| {
                    let source = Failure::Broken("the server sent another range".into());
                    Error::Request { method: Method::GET, url: url.to_string(), source }
                })?
            }
            _ => (0, text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok())),
        };
        let stall = self.transport.timeouts.stall;
        Ok(Download { begins, size, body: response.into_body(), stall, url })
    }

    /// A list at `rest`, a path below the repository with its query.
    pub async fn list(&self, path: &str, rest: &str) -> Result<Listed> {
        let repository = self.repository(path).await?;
        let url = repository.url(rest);
        let response =
            repository.session.call(Call::new(Method::GET, url.clone(), &pull_scope(path))).await?;
        let next = next_page(&url, &response).filter(|next| next.same_origin(&url));
        let next = next.and_then(|next| next.target.split_once('?').map(|(_, query)| query.to_owned()));
        let filters = response.headers().get("oci-filters-applied").and_then(|value| value.to_str().ok());
        let filters = filters.map(str::to_owned);
        let bytes = repository.session.body(&url, response, MAX_MANIFEST).await?;
        Ok(Listed { bytes, next, filters })
    }

    async fn repository(&self, path: &str) -> Result<Repository> {
        let known = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        let session = match known {
            Some(session) => session,
            None => {
                let (endpoint, credentials) = (self.endpoint.clone(), self.credentials.clone());
                let session = Session::open(self.transport.clone(), endpoint, credentials, self.patience);
                let session = Arc::new(session.await?);
                let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
                if sessions.len() >= MOST_SESSIONS {
                    // Which ones go matters little: opening one is a question or two.
                    sessions.clear();
                }
                sessions.insert(path.to_owned(), session.clone());
                session
            }
        };
        Ok(Repository { session, path: path.to_owned() })
    }
}

impl Download {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let failed = |source| Error::Request { method: Method::GET, url: self.url.to_string(), source };
        next_piece(&mut self.body, self.stall).await.map_err(failed)
    }
}
