//! One request and its answer: connections (kept and used again), proxies, TLS, time-outs. Nothing here knows
//! credentials, retries or redirects.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Failure, Result};
use crate::payload::{Outgoing, Payload};
use crate::proxy::{Proxies, Proxy};
use crate::tls::{self, TlsRules};
use crate::url::{Scheme, Url};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// A connection with its TLS, for each address.
    pub connect: Duration,
    /// From the request to the answer's head.
    pub head: Duration,
    /// Between two pieces of a body.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(15),
            head: Duration::from_secs(60),
            stall: Duration::from_secs(30),
        }
    }
}

/// Idle connections kept for one server.
const IDLE: usize = 8;
/// Bytes that may wait for us in a connection to a near server.
const SHORT_QUEUE: u32 = 512 << 10;
/// The longest head of a proxy's answer.
const LONGEST_HEAD: usize = 16 << 10;

/// A request before it is sent.
pub(crate) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub payload: Payload,
    /// Whether the server may be on this very machine or link: what a foreign server sends us to may not.
    pub local: bool,
}

/// Which connections can be used for a server.
type Key = (Url, TlsRules);

/// Sends requests.
pub(crate) struct Transport {
    pub timeouts: Timeouts,
    proxies: Proxies,
    user_agent: HeaderValue,
    configurations: Mutex<HashMap<TlsRules, Arc<ClientConfig>>>,
    idle: Mutex<HashMap<Key, Vec<SendRequest<Outgoing>>>>,
}

impl Transport {
    pub fn new(proxies: Proxies, timeouts: Timeouts, user_agent: &str) -> Transport {
        let user_agent = HeaderValue::from_str(user_agent);
        Transport {
            timeouts,
            proxies,
            user_agent: user_agent.unwrap_or(HeaderValue::from_static("boxship")),
            configurations: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// Sends a request. An answer of any status is an answer.
    pub async fn send(&self, request: &Request, rules: &TlsRules) -> Result<Response<Incoming>> {
        let failed =
            |source| Error::Request { method: request.method.clone(), url: request.url.to_string(), source };
        let key = (Url { target: "/".into(), ..request.url.clone() }, rules.clone());
        if let Some(sender) = self.kept(&key) {
            match self.exchange(sender, request, &key).await {
                Ok(response) => return Ok(response),
                // Part of a file may have arrived: whoever sends it asks how much before it goes on.
                Err(failure) if request.payload.sent().is_some() => return Err(failed(failure)),
                // The other side may have closed it just now: that is no failure.
                Err(_) => {}
            }
        }
        let sender = self.open(request, rules).await.map_err(|e| match e {
            OpenError::Failed(failure) => failed(failure),
            OpenError::Other(error) => error,
        })?;
        self.exchange(sender, request, &key).await.map_err(failed)
    }

    fn kept(&self, key: &Key) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(key)?;
        kept.retain(|sender| !sender.is_closed());
        let ready = kept.iter().position(SendRequest::is_ready)?;
        Some(kept.swap_remove(ready))
    }

    fn keep(&self, key: &Key, sender: SendRequest<Outgoing>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, kept| {
            kept.retain(|sender| !sender.is_closed());
            !kept.is_empty()
        });
        let kept = idle.entry(key.clone()).or_default();
        if kept.len() < IDLE {
            kept.push(sender);
        }
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Outgoing>,
        request: &Request,
        key: &Key,
    ) -> Result<Response<Incoming>, Failure> {
        let message = self.message(request).map_err(|e| Failure::Broken(e.to_string()))?;
        // A large body takes its time; the clock of the answer starts when nothing was sent for a while.
        let answer = sender.send_request(message);
        let response = match request.payload.sent() {
            None => {
                timeout(self.timeouts.head, answer).await.map_err(|_| Failure::Timeout("response headers"))?
            }
            Some(sent) => {
                tokio::pin!(answer);
                loop {
                    let before = sent.load(std::sync::atomic::Ordering::Relaxed);
                    match timeout(self.timeouts.head, &mut answer).await {
                        Ok(response) => break response,
                        Err(_) if sent.load(std::sync::atomic::Ordering::Relaxed) != before => {}
                        Err(_) => return Err(Failure::Timeout("response headers")),
                    }
                }
            }
        };
        let response = response.map_err(|e| broken(&e))?;
        // Not ready before the answer's body was read: only then it is used again.
        self.keep(key, sender);
        Ok(response)
    }

    fn message(&self, request: &Request) -> Result<http::Request<Outgoing>, http::Error> {
        let through = self.proxies.of(&request.url).filter(|_| request.url.scheme == Scheme::Http);
        let target = match through {
            Some(_) => request.url.to_string(),
            None => request.url.target.clone(),
        };
        let mut message = http::Request::builder().method(&request.method).uri(target);
        if let Some(headers) = message.headers_mut() {
            headers.extend(request.headers.clone());
            headers.insert(header::USER_AGENT, self.user_agent.clone());
            headers.insert(header::HOST, HeaderValue::from_str(&request.url.authority())?);
            let authorization = through.and_then(|proxy| proxy.authorization.as_deref());
            if let Some(authorization) = authorization {
                headers.insert(header::PROXY_AUTHORIZATION, HeaderValue::from_str(authorization)?);
            }
            if let Some(length) = request.payload.length() {
                headers.insert(header::CONTENT_LENGTH, length.into());
            }
        }
        message.body(request.payload.stream())
    }

    async fn open(&self, request: &Request, rules: &TlsRules) -> Result<SendRequest<Outgoing>, OpenError> {
        let url = &request.url;
        let proxy = self.proxies.of(url);
        let stream = match proxy {
            None => self.dial(&url.host, url.port, request.local).await?,
            Some(proxy) => {
                let stream = self.dial(&proxy.url.host, proxy.url.port, true).await?;
                match url.scheme {
                    Scheme::Http => stream,
                    Scheme::Https => self.tunnel(stream, proxy, url).await?,
                }
            }
        };
        match url.scheme {
            Scheme::Http => handshake(stream).await,
            Scheme::Https => {
                let configuration = self.configuration(rules).map_err(OpenError::Other)?;
                handshake(self.secure(stream, &url.host, configuration).await?).await
            }
        }
    }

    /// Connects to the first of the host's addresses that answers.
    async fn dial(&self, host: &str, port: u16, local: bool) -> Result<TcpStream, Failure> {
        let addresses = timeout(self.timeouts.connect, boxship_dial::addresses(host))
            .await
            .unwrap_or_else(|_| Err("i/o timeout".to_owned()))
            .map_err(|reason| Failure::Resolve { host: host.to_owned(), reason })?;
        let mut last = None;
        for address in addresses {
            if !local && is_local(address) {
                let message = format!("{host} leads to {address}, where a foreign server must not send us");
                return Err(Failure::Redirect(message));
            }
            let address = SocketAddr::new(address, port);
            let connected = timeout(self.timeouts.connect, connect(address)).await;
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    // Only speed depends on it.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(source) => last = Some(Failure::Connect { address: address.to_string(), source }),
            }
        }
        Err(last.unwrap_or_else(|| Failure::Resolve { host: host.to_owned(), reason: "no such host".into() }))
    }

    async fn tunnel(&self, mut stream: TcpStream, proxy: &Proxy, url: &Url) -> Result<TcpStream, Failure> {
        let target = format!("{}:{}", bracketed(&url.host), url.port);
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &proxy.authorization {
            head.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        head.push_str("\r\n");
        let asked = async {
            stream.write_all(head.as_bytes()).await?;
            // Byte by byte: what follows the head belongs to TLS.
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                if answer.len() > LONGEST_HEAD {
                    return Err(io::Error::other("its answer is too long"));
                }
                answer.push(stream.read_u8().await?);
            }
            Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
        };
        let status = timeout(self.timeouts.connect, asked)
            .await
            .map_err(|_| Failure::Timeout("proxy"))?
            .map_err(|e| Failure::Proxy(e.to_string()))?;
        let code = status.split(' ').nth(1).unwrap_or_default();
        if code.starts_with('2') { Ok(stream) } else { Err(Failure::Proxy(status)) }
    }

    async fn secure(
        &self,
        stream: TcpStream,
        host: &str,
        configuration: Arc<ClientConfig>,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| Failure::Tls(e.to_string()))?;
        let connecting = TlsConnector::from(configuration).connect(name, stream);
        match timeout(self.timeouts.connect, connecting).await {
            Err(_) => Err(Failure::Timeout("TLS handshake")),
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidMessage(_)) => Failure::Plain,
                _ => Failure::Tls(tls::words(&error)),
            }),
        }
    }

    fn configuration(&self, rules: &TlsRules) -> Result<Arc<ClientConfig>> {
        let mut configurations = self.configurations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = configurations.get(rules) {
            return Ok(known.clone());
        }
        let configuration = Arc::new(rules.configuration()?);
        configurations.insert(rules.clone(), configuration.clone());
        Ok(configuration)
    }
}

enum OpenError {
    Failed(Failure),
    Other(Error),
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> OpenError {
        OpenError::Failed(failure)
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Outgoing>, OpenError> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    // The connection's own errors come out of the request that they break.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn broken(error: &hyper::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    Failure::Broken(text)
}

/// Where the way is short, a short queue is as fast: less is lost with a connection that ends.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if is_near(address.ip()) {
        socket.set_recv_buffer_size(SHORT_QUEUE)?;
    }
    socket.connect(address).await
}

/// This machine and its own networks.
fn is_near(address: IpAddr) -> bool {
    is_local(address) || matches!(address, IpAddr::V4(v4) if v4.is_private())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Addresses that only this machine or its link has: cloud machines' credentials are there.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.to_ipv4_mapped().is_some_and(|v4| is_local(v4.into()))
        }
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_body(body: Incoming, limit: usize, stall: Duration) -> Result<Vec<u8>, Failure> {
    let mut body = body;
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(stall, body.frame()).await.map_err(|_| Failure::Timeout("response body"))?;
        let Some(frame) = frame else { return Ok(bytes) };
        let Ok(data) = frame.map_err(|e| broken(&e))?.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(Failure::Redirect(format!("the response is longer than {limit} bytes")));
        }
        bytes.extend_from_slice(&data);
    }
}

/// The next piece of a body; `None` at its end.
pub(crate) async fn next_piece(
    body: &mut Incoming,
    stall: Duration,
) -> Result<Option<bytes::Bytes>, Failure> {
    loop {
        let frame = timeout(stall, body.frame()).await.map_err(|_| Failure::Timeout("response body"))?;
        let Some(frame) = frame else { return Ok(None) };
        if let Ok(data) = frame.map_err(|e| broken(&e))?.into_data() {
            return Ok(Some(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses() {
        for (address, local) in
            [("127.0.0.1", true), ("169.254.169.254", true), ("10.0.0.1", false), ("::ffff:127.0.0.1", true)]
        {
            assert_eq!(is_local(address.parse().unwrap()), local, "{address}");
        }
    }
}
