//! One registry as one operation sees it: a server, who we are to it, and the requests of the distribution protocol.

use std::sync::Arc;
use std::time::Duration;

use boxship_oci::digest::Digest;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::answer;
use crate::auth::{Auth, Credentials};
use crate::challenge::challenges;
use crate::error::{Error, Failure, Result};
use crate::hosts::Endpoint;
use crate::payload::Payload;
use crate::transport::{Request, Transport, read_body};
use crate::url::Url;

/// Redirects followed for one request.
const MOST_REDIRECTS: usize = 10;
/// The longest error body.
const LONGEST_ERROR: usize = 64 << 10;

/// How often and how patiently things are tried again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries in a row without any progress (`max-download-attempts`).
    pub attempts: u32,
    /// The first wait; each further one is twice as long.
    pub wait: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { attempts: 5, wait: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Patience {
    /// How long to wait after the nth failure, unless the registry says.
    pub(crate) fn wait(&self, failures: u32, asked: Option<Duration>) -> Duration {
        asked.unwrap_or_else(|| (self.wait * 2u32.saturating_pow(failures.min(16))).min(self.longest))
    }
}

/// A server that answered as a registry.
pub(crate) struct Session {
    pub transport: Arc<Transport>,
    pub endpoint: Endpoint,
    pub patience: Patience,
    auth: Auth,
}

/// What is wanted of a registry.
pub(crate) struct Call<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, String)>,
    pub payload: Payload,
    /// The token's scope, `repository:a:pull`.
    pub scope: &'a str,
}

impl<'a> Call<'a> {
    pub fn new(method: Method, url: Url, scope: &'a str) -> Call<'a> {
        Call { method, url, headers: Vec::new(), payload: Payload::Empty, scope }
    }

    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Call<'a> {
        self.headers.push((name, value.into()));
        self
    }

    pub fn payload(mut self, payload: Payload) -> Call<'a> {
        self.payload = payload;
        self
    }
}

impl Session {
    /// Asks the server whether it is a registry, and learns what it wants to see.
    pub async fn open(
        transport: Arc<Transport>,
        endpoint: Endpoint,
        credentials: Credentials,
        patience: Patience,
    ) -> Result<Session> {
        let session = Session { transport, endpoint, patience, auth: Auth::new(credentials) };
        let request = session.request(&Call::new(Method::GET, session.url("/"), ""), None)?;
        let response = session.transport.send(&request, &session.endpoint.tls).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                session.auth.challenged(challenges(response.headers()));
            }
            // Some registries have no such page: whatever speaks HTTP is asked on.
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {}
            _ => return Err(session.refusal(&request, response).await),
        }
        // Read, so that the connection can be used again.
        let _ = read_body(response.into_body(), LONGEST_ERROR, session.transport.timeouts.stall).await;
        Ok(session)
    }

    /// Checks the credentials. An identity token where the registry gives one.
    pub async fn login(&self) -> Result<Option<String>> {
        if let Some(token) = self.auth.login(&self.transport, &self.endpoint).await? {
            return Ok(Some(token));
        }
        self.call(Call::new(Method::GET, self.url("/"), "")).await?;
        Ok(None)
    }

    /// An address below `/v2`.
    pub fn url(&self, path: &str) -> Url {
        let base = &self.endpoint.base;
        let url = Url { target: format!("{}{path}", base.target.trim_end_matches('/')), ..base.clone() };
        match &self.endpoint.namespace {
            Some(namespace) => url.with("ns", namespace),
            None => url,
        }
    }

    /// Sends a call once; an answer of 400 and above is an error.
    pub async fn call(&self, call: Call<'_>) -> Result<Response<Incoming>> {
        let (request, response) = self.authorised(call).await?;
        if response.status().is_client_error() || response.status().is_server_error() {
            return Err(self.refusal(&request, response).await);
        }
        Ok(response)
    }

    /// Sends a call with a fitting token, a fresh one when the registry refuses the first.
    async fn authorised(&self, call: Call<'_>) -> Result<(Request, Response<Incoming>)> {
        let mut refused: Option<Option<HeaderValue>> = None;
        loop {
            let ours = call.url.same_origin(&self.endpoint.base);
            let stale = refused.as_ref().and_then(Option::as_ref);
            let header = match ours {
                true => self.auth.header(&self.transport, &self.endpoint, call.scope, stale).await?,
                false => None,
            };
            let request = self.request(&call, header.clone())?;
            let (request, response) = self.followed(request).await?;
            let first = refused.is_none();
            let asked = response.status() == StatusCode::UNAUTHORIZED && request.url.same_origin(&call.url);
            if asked && first && ours && self.auth.challenged(challenges(response.headers())) {
                let _ = read_body(response.into_body(), LONGEST_ERROR, self.transport.timeouts.stall).await;
                refused = Some(header.or_else(|| Some(HeaderValue::from_static("none"))));
                continue;
            }
            return Ok((request, response));
        }
    }

    fn request(&self, call: &Call<'_>, authorization: Option<HeaderValue>) -> Result<Request> {
        let mut headers = HeaderMap::new();
        let ours = call.url.same_origin(&self.endpoint.base);
        let custom = self.endpoint.headers.iter().filter(|_| ours);
        for (name, value) in custom {
            let name = HeaderName::try_from(name.as_str());
            let value = HeaderValue::from_str(value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(Error::Configuration("hosts.toml: a header that can't be sent".into()));
            };
            headers.append(name, value);
        }
        for (name, value) in &call.headers {
            let value =
                HeaderValue::from_str(value).map_err(|_| Error::invalid("a header that can't be sent"))?;
            headers.append(name, value);
        }
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization);
        }
        Ok(Request {
            method: call.method.clone(),
            url: call.url.clone(),
            headers,
            payload: call.payload.clone(),
            local: ours || self.endpoint.insecure,
        })
    }

    /// Sends a request and follows redirects, without any credentials to another server.
    async fn followed(&self, request: Request) -> Result<(Request, Response<Incoming>)> {
        let mut request = request;
        for _ in 0..=MOST_REDIRECTS {
            let foreign = !request.url.same_origin(&self.endpoint.base);
            // Another server is verified by the system's authorities, unless the registry itself is insecure.
            let rules = match foreign && !self.endpoint.insecure {
                true => Default::default(),
                false => self.endpoint.tls.clone(),
            };
            let response = self.transport.send(&request, &rules).await?;
            let code = response.status().as_u16();
            if !matches!(code, 301 | 302 | 303 | 307 | 308) {
                return Ok((request, response));
            }
            let failed = |why: &str| Error::Request {
                method: request.method.clone(),
                url: request.url.to_string(),
                source: Failure::Redirect(why.to_owned()),
            };
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| request.url.join(location));
            let next = next.ok_or_else(|| failed("a redirect without a usable Location"))?;
            if next.scheme == crate::url::Scheme::Http && !self.endpoint.insecure {
                return Err(failed("a redirect away from TLS is not followed"));
            }
            if !next.same_origin(&request.url) {
                for name in [header::AUTHORIZATION, header::COOKIE] {
                    request.headers.remove(name);
                }
                for (name, _) in &self.endpoint.headers {
                    request.headers.remove(name.as_str());
                }
                request.local = self.endpoint.insecure;
            }
            if code == 303 {
                request.method = Method::GET;
                request.payload = Payload::Empty;
            }
            let _ = read_body(response.into_body(), LONGEST_ERROR, self.transport.timeouts.stall).await;
            request.url = next;
        }
        Err(Error::Request {
            method: request.method.clone(),
            url: request.url.to_string(),
            source: Failure::Redirect(format!("stopped after {MOST_REDIRECTS} redirects")),
        })
    }

    async fn refusal(&self, request: &Request, response: Response<Incoming>) -> Error {
        let told = answer::of(&request.url, response.status().as_u16(), response.headers());
        let body = read_body(response.into_body(), LONGEST_ERROR, self.transport.timeouts.stall).await;
        Error::Answer(answer::with_body(told, &body.unwrap_or_default()))
    }

    /// Reads an answer's body.
    pub async fn body(&self, url: &Url, response: Response<Incoming>, limit: usize) -> Result<Vec<u8>> {
        let read = read_body(response.into_body(), limit, self.transport.timeouts.stall).await;
        read.map_err(|source| Error::Request { method: Method::GET, url: url.to_string(), source })
    }
}

/// The scope to read a repository.
pub(crate) fn pull_scope(path: &str) -> String {
    format!("repository:{path}:pull")
}

/// The scope to write a repository, and to read those that are mounted from.
pub(crate) fn push_scope(path: &str, from: Option<&str>) -> String {
    let own = format!("repository:{path}:pull,push");
    match from {
        Some(from) => format!("{own} repository:{from}:pull"),
        None => own,
    }
}

/// The digest that the registry names in an answer.
pub(crate) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}
