//! Connections: accepted, bounded, served and ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::call::{App, stopped};
use super::query::Query;
use super::{Call, Failure, Reply, origin, reply, router, version};
use crate::listen::{Door, Listener};
use crate::routes;

/// How long the head of a request may take, and how long an idle connection is kept.
const PATIENCE: Duration = Duration::from_secs(300);

/// The same over TCP, where strangers may dawdle.
const TCP_PATIENCE: Duration = Duration::from_secs(60);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How much of a head is buffered: filters can be long.
const HEAD: usize = 256 << 10;

/// The longest body that is read before its request is judged.
const SHORT: usize = 1 << 20;

/// What every connection of one listener shares.
#[derive(Clone)]
struct Site {
    app: Arc<App>,
    door: Door,
    own_names: Arc<[String]>,
    server: HeaderValue,
    _alive: Alive,
}

/// Held by whatever still serves somebody: when the last one is gone, the daemon may end.
pub(crate) type Alive = mpsc::Sender<Infallible>;

/// Accept connections until the daemon stops. Those that are open then hold `alive` until they end.
pub(crate) async fn serve(listener: Listener, app: Arc<App>, alive: Alive) {
    let site = Site {
        door: listener.kind(),
        own_names: crate::listen::host_names(),
        server: HeaderValue::from_str(&format!("Boxship/{} (linux)", env!("CARGO_PKG_VERSION")))
            .unwrap_or_else(|_| HeaderValue::from_static("Boxship (linux)")),
        app,
        _alive: alive,
    };
    let mut stop = std::pin::pin!(stopped(site.app.stopping.clone()));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &site) => accepted,
            () = &mut stop => return,
        };
        if let Err(error) = accepted {
            // Out of descriptors, most likely: give others time to close theirs.
            tracing::warn!(%error, "unable to accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn accept(listener: &Listener, site: &Site) -> std::io::Result<()> {
    let site = site.clone();
    match listener {
        Listener::Unix(listener, _) => {
            let (stream, _) = listener.accept().await?;
            if let Ok(peer) = stream.peer_cred() {
                tracing::debug!(uid = peer.uid(), pid = peer.pid(), "connection on the unix socket");
            }
            tokio::spawn(converse(stream, site, PATIENCE));
        }
        Listener::Tcp(listener, acceptor) => {
            let (stream, peer) = listener.accept().await?;
            // Small answers must not wait for the client's acknowledgement; without it they only come later.
            let _ = stream.set_nodelay(true);
            tracing::debug!(%peer, "connection over TCP");
            match acceptor.clone() {
                None => drop(tokio::spawn(converse(stream, site, TCP_PATIENCE))),
                Some(acceptor) => drop(tokio::spawn(async move {
                    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => converse(stream, site, TCP_PATIENCE).await,
                        Ok(Err(error)) => tracing::info!(%peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::info!(%peer, "TLS handshake took too long"),
                    }
                })),
            }
        }
    }
    Ok(())
}

async fn converse<S>(stream: S, site: Site, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = stopped(site.app.stopping.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(respond(&site, request.map(Body::new)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD)
        // Names of headers don't differ by case, but scripts that look for `Api-Version` do.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broke off");
    }
}

/// Answer one request, whatever it is.
async fn respond(site: &Site, request: Request<Body>) -> Reply {
    // Without the query: instructions of an import may hold secrets, and logs are read by others.
    let shown = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| format!("{} {}", request.method(), request.uri().path()));
    let mut answer = match origin::check(site.door, request.headers(), &site.own_names) {
        Ok(()) => match short_body_first(request).await {
            Ok(request) => dispatch(site, request).await,
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    }
    .unwrap_or_else(|failure| {
        // What the engine hasn't got (501, 503) is no fault of its own.
        if failure.status() == http::StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!("{}", failure.message());
        }
        reply::failure(&failure)
    });
    if let Some(shown) = shown {
        tracing::debug!(status = answer.status().as_u16(), "{shown}");
    }
    mark(&mut answer, site);
    answer
}

/// Read a body that is short and says so before anything is answered: a refusal that comes while the client still
/// writes reaches it as a broken pipe, without its words.
async fn short_body_first(request: Request<Body>) -> Result<Request<Body>, Failure> {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_none_or(|length: usize| length == 0 || length > SHORT) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, SHORT)
        .await
        .map_err(|error| Failure::invalid(format!("unable to read the request body: {error}")))?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn mark(answer: &mut Reply, site: &Site) {
    let headers = answer.headers_mut();
    headers.insert("api-version", HeaderValue::from_static("1.51"));
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    headers.insert(header::SERVER, site.server.clone());
}

async fn dispatch(site: &Site, request: Request<Body>) -> Result<Reply, Failure> {
    let (parts, body) = request.into_parts();
    let (asked, path) = version::split(parts.uri.path());
    let version = version::negotiate(asked);
    let known = *version.as_ref().unwrap_or(&boxship_api::version::MAX);
    let (route, name) = router::find(routes::TABLES, &parts.method, path, known)?;
    let version = version.map_err(Failure::invalid)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let handler = route.handler;
    let call = Call { app: site.app.clone(), version, name, query, parts, body };
    if route.ends_with_client {
        return handler(call).await;
    }
    // Half a change helps nobody: this runs on even if the connection ends.
    match tokio::spawn(handler(call)).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "a request's task failed");
            Err(Failure::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "the daemon failed to serve this request",
            ))
        }
    }
}
