//! Requests and answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

use boxship_api::{ApiVersion, ErrorResponse, version};
use boxship_dial::escape;

use crate::connect::connect;
use crate::{Address, Body, Error, Result, Stream, TlsFiles};

type Outgoing = BoxBody<Bytes, std::io::Error>;

/// The most that an error body may have.
const LONGEST_ERROR: usize = 1 << 20;
/// The size of the pieces in which a stream is sent.
const PIECE: usize = 64 << 10;

/// The query of a request: names and values, encoded when sent.
#[derive(Debug, Default, Clone)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// No parameters.
    pub fn new() -> Query {
        Query::default()
    }

    /// Adds a parameter.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Query {
        self.0.push((name.to_string(), value.to_string()));
        self
    }

    /// Adds a parameter when there is a value.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl ToString>) -> Query {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Adds `name=1` when it holds.
    #[must_use]
    pub fn flag(self, name: &str, holds: bool) -> Query {
        if holds { self.set(name, 1) } else { self }
    }

    fn encoded(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(n, v)| format!("{}={}", escape(n), escape(v))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

/// A connection that was taken over: raw bytes both ways.
pub struct Hijacked {
    /// The bytes. Shutting it down ends the container's input and leaves the output open.
    pub stream: Box<dyn Stream>,
    /// What the daemon says the bytes are.
    pub content_type: String,
}

/// Speaks to one daemon. Connections are kept and used again.
pub struct Client {
    address: Address,
    tls: Option<TlsFiles>,
    version: Mutex<ApiVersion>,
    fixed: bool,
    idle: Mutex<Vec<SendRequest<Outgoing>>>,
    revive: Mutex<Option<Revive>>,
}

/// Brings a daemon back; tells whether one is there then.
pub type Revive = Box<dyn FnOnce() -> Reviving + Send>;
/// While it comes back.
pub type Reviving = Pin<Box<dyn Future<Output = bool> + Send>>;

impl Client {
    /// A client of the daemon at `address`; `version` pins the API's version (`DOCKER_API_VERSION`).
    pub fn new(address: Address, tls: Option<TlsFiles>, version: Option<ApiVersion>) -> Client {
        let fixed = version.is_some();
        let version = Mutex::new(version.unwrap_or(version::MAX));
        Client { address, tls, version, fixed, idle: Mutex::default(), revive: Mutex::default() }
    }

    /// Once, when the daemon is gone before it has seen the first request: calls `revive` and asks again.
    #[must_use]
    pub fn reviving(mut self, revive: impl FnOnce() -> Reviving + Send + 'static) -> Client {
        self.revive = Mutex::new(Some(Box::new(revive)));
        self
    }

    /// A client of the same daemon with connections of its own.
    #[must_use]
    pub fn another(&self) -> Client {
        Client {
            address: self.address.clone(),
            tls: self.tls.clone(),
            version: Mutex::new(self.version()),
            fixed: self.fixed,
            idle: Mutex::default(),
            revive: Mutex::default(),
        }
    }

    /// Where the daemon is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The version in use.
    pub fn version(&self) -> ApiVersion {
        *self.version.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Escapes a name for use as one segment of a path.
    pub fn segment(name: &str) -> String {
        escape(name)
    }

    /// A raw connection, for `system dial-stdio`.
    pub async fn dial(&self) -> Result<Box<dyn Stream>> {
        connect(&self.address, self.tls.as_ref()).await
    }

    /// GET, and the answer as JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: Query) -> Result<T> {
        self.request(Method::GET, path, query, None::<&()>).await?.json().await
    }

    /// POST with a JSON body, and the answer as JSON.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query,
        body: &impl Serialize,
    ) -> Result<T> {
        self.request(Method::POST, path, query, Some(body)).await?.json().await
    }

    /// POST without a body, of which only success matters.
    pub async fn command(&self, path: &str, query: Query) -> Result<()> {
        self.request(Method::POST, path, query, None::<&()>).await?.bytes().await.map(drop)
    }

    /// DELETE, and the body of the answer.
    pub async fn delete(&self, path: &str, query: Query) -> Result<Bytes> {
        self.request(Method::DELETE, path, query, None::<&()>).await?.bytes().await
    }

    /// Any request with an optional JSON body. A daemon that is older is asked again in its own version.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        query: Query,
        body: Option<&impl Serialize>,
    ) -> Result<Body> {
        self.request_with(method, path, query, &[], body).await
    }

    /// The same with headers of its own (credentials for a registry).
    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        query: Query,
        headers: &[(header::HeaderName, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Body> {
        let body = body.map(serde_json::to_vec).transpose().map_err(|e| Error::Answer(e.to_string()))?;
        let body = body.map(Bytes::from);
        loop {
            let request = self.prepare(&method, path, &query, body.clone(), headers)?;
            match self.exchange(request).await {
                Err(error) if self.adopt_older(&error) || self.revived(&error).await => continue,
                other => return other.map(Body::new),
            }
        }
    }

    /// Sends a stream as the body (an archive). The daemon's version is settled before: a stream is sent once.
    pub async fn upload(
        &self,
        path: &str,
        query: Query,
        reader: impl AsyncRead + Send + Sync + Unpin + 'static,
    ) -> Result<Body> {
        self.settle().await?;
        let pieces = futures_util::stream::try_unfold(reader, |mut reader| async move {
            let mut piece = vec![0; PIECE];
            let read = reader.read(&mut piece).await?;
            piece.truncate(read);
            Ok((read > 0).then(|| (Frame::data(Bytes::from(piece)), reader)))
        });
        let mut request =
            self.prepare(&Method::POST, path, &query, None, &[(header::CONTENT_TYPE, "application/x-tar")])?;
        *request.body_mut() = BodyExt::boxed(StreamBody::new(pieces));
        self.exchange(request).await.map(Body::new)
    }

    /// POST that takes over the connection (attach, exec).
    pub async fn hijack(&self, path: &str, query: Query, body: Option<&impl Serialize>) -> Result<Hijacked> {
        let body = body.map(serde_json::to_vec).transpose().map_err(|e| Error::Answer(e.to_string()))?;
        let body = body.map(Bytes::from);
        let upgrade = [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "tcp")];
        let response = loop {
            let request = self.prepare(&Method::POST, path, &query, body.clone(), &upgrade)?;
            match self.exchange(request).await {
                Err(error) if self.adopt_older(&error) || self.revived(&error).await => continue,
                other => break other?,
            }
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::Answer(format!(
                "unable to upgrade to tcp, received {}",
                response.status().as_u16()
            )));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_string();
        let stream = Box::new(TokioIo::new(hyper::upgrade::on(response).await?));
        Ok(Hijacked { stream, content_type })
    }

    /// Settles the version before a request that depends on it, unless the user has said which.
    pub async fn settle(&self) -> Result<()> {
        if self.fixed { Ok(()) } else { self.negotiate().await }
    }

    /// Asks the daemon for its version and speaks the older of the two from now on.
    pub async fn negotiate(&self) -> Result<()> {
        let request = Request::get("/_ping").header(header::HOST, "boxship").body(empty());
        let response = self.exchange(request.map_err(|e| Error::Exchange(e.to_string()))?).await?;
        let theirs = response.headers().get("api-version").and_then(|v| v.to_str().ok()).map(str::to_string);
        drop(response.into_body().collect().await?);
        if let Some(theirs) = theirs.and_then(|text| text.parse::<ApiVersion>().ok()) {
            let mut version = self.version.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *version = theirs.min(*version);
        }
        Ok(())
    }

    fn prepare(
        &self,
        method: &Method,
        path: &str,
        query: &Query,
        body: Option<Bytes>,
        headers: &[(header::HeaderName, &str)],
    ) -> Result<Request<Outgoing>> {
        let uri = format!("/v{}{path}{}", self.version(), query.encoded());
        let mut request = Request::builder().method(method).uri(uri).header(header::HOST, "boxship");
        request = request
            .header(header::USER_AGENT, concat!("Boxship-Client/", env!("CARGO_PKG_VERSION"), " (linux)"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let body = body.map_or_else(empty, |bytes| Full::new(bytes).map_err(|never| match never {}).boxed());
        request.body(body).map_err(|e| Error::Exchange(e.to_string()))
    }

    /// When the daemon refused the version as too new: takes the one it names, and tells that it did.
    fn adopt_older(&self, error: &Error) -> bool {
        let Error::Daemon { status: 400, message } = error else { return false };
        let Some((_, theirs)) = message.split_once("too new. Maximum supported API version is ") else {
            return false;
        };
        let theirs: Option<ApiVersion> = theirs.trim().trim_end_matches('.').parse().ok();
        let Some(theirs) = theirs.filter(|theirs| !self.fixed && *theirs < self.version()) else {
            return false;
        };
        *self.version.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = theirs;
        true
    }

    /// Whether the daemon, which did not see the first request, is there again.
    async fn revived(&self, error: &Error) -> bool {
        if !error.is_unseen() {
            return false;
        }
        let revive = self.revive.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        match revive {
            Some(revive) => revive().await,
            None => false,
        }
    }

    /// Sends one request over an idle or a new connection; answers of 400 and above become errors.
    async fn exchange(&self, request: Request<Outgoing>) -> Result<Response<Incoming>> {
        let mut sender = match self.idle_connection() {
            Some(sender) => sender,
            None => self.open().await?,
        };
        let response = sender.send_request(request).await?;
        self.revive.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(sender);
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(response);
        }
        let body = http_body_util::Limited::new(response.into_body(), LONGEST_ERROR).collect().await;
        let bytes = body.map_err(|e| Error::Exchange(e.to_string()))?.to_bytes();
        let message = match serde_json::from_slice::<ErrorResponse>(&bytes) {
            Ok(error) => error.message,
            Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        // Some of Docker's messages end in a space.
        let message = match message.trim() {
            "" => format!("the daemon answered {status}"),
            message => message.to_owned(),
        };
        Err(Error::Daemon { status: status.as_u16(), message })
    }

    fn idle_connection(&self) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        idle.retain(|sender| !sender.is_closed());
        let ready = idle.iter().position(SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    async fn open(&self) -> Result<SendRequest<Outgoing>> {
        let stream = connect(&self.address, self.tls.as_ref()).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The connection's own errors come out of the request that they break.
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        Ok(sender)
    }
}

fn empty() -> Outgoing {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded() {
        let query = Query::new()
            .set("filters", "{\"a\":1}")
            .flag("all", true)
            .flag("no", false)
            .maybe("x", None::<u8>);
        assert_eq!(query.encoded(), "?filters=%7B%22a%22%3A1%7D&all=1");
        assert_eq!(Query::new().encoded(), "");
    }
}
