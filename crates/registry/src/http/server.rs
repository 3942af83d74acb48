//! Connections: accepted, bounded in number and in what each may keep waiting, answered, ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::body::ReplyBody;
use super::patience::Patient;
use super::route::{Query, Route};
use super::{App, Call, Failure, dispatch};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How much is read at once, and how long a request's head may be.
const BUFFER: usize = 32 << 10;

/// How long connections may go on when the server is told to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// How much of a body is read that is not wanted: a client hears a refusal only when it has sent its body.
const UNWANTED: usize = 1 << 20;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// Serves until `stop` says so; then open requests have some time to end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: Arc<App>,
    connections: usize,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Small answers must not wait for the client's acknowledgement; without it they only come later.
                let _ = stream.set_nodelay(true);
                tracing::debug!(%peer, "connection");
                greet(stream, tls.clone(), app.clone(), place, stop.clone());
            }
            Err(error) => {
                // Out of descriptors, most likely: give others time to close theirs.
                tracing::warn!(%error, "unable to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let everyone = places.acquire_many(u32::try_from(connections).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(FAREWELL, everyone).await;
}

fn greet(
    stream: tokio::net::TcpStream,
    tls: Option<TlsAcceptor>,
    app: Arc<App>,
    place: OwnedSemaphorePermit,
    stop: watch::Receiver<bool>,
) {
    let Some(tls) = tls else {
        tokio::spawn(converse(stream, app, place, stop));
        return;
    };
    tokio::spawn(async move {
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => converse(stream, app, place, stop).await,
            Ok(Err(error)) => tracing::info!(%error, "TLS handshake failed"),
            Err(_) => tracing::info!("TLS handshake took too long"),
        }
    });
}

async fn converse<S>(stream: S, app: Arc<App>, _place: OwnedSemaphorePermit, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = app.patience;
    let service = service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(respond(app, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Patient::new(stream, patience)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broke off");
    }
}

/// Waits until the server is told to end.
async fn told(stop: &mut watch::Receiver<bool>) {
    // The value that comes with the answer is a lock, which must not live on.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Answers one request, whatever it is.
async fn respond(app: Arc<App>, request: Request<Incoming>) -> Response<ReplyBody> {
    let shown = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| format!("{} {}", request.method(), request.uri().path()));
    let is_head = request.method() == Method::HEAD;
    let reply = answer(app, request).await.unwrap_or_else(Failure::reply);
    let reply = if is_head { reply.head() } else { reply };
    let reply = reply.value(API_VERSION, HeaderValue::from_static("registry/2.0"));
    let reply = reply.value(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(shown) = shown {
        tracing::debug!(status = reply.0.status().as_u16(), "{shown}");
    }
    reply.0
}

async fn answer(app: Arc<App>, request: Request<Incoming>) -> Result<super::reply::Reply, Failure> {
    let (parts, mut body) = request.into_parts();
    let prepared = async {
        let route = Route::parse(parts.uri.path()).map_err(|failure| failure.of_write(&parts.method))?;
        let query = Query::parse(parts.uri.query())?;
        let caller = app.access.identify(&parts).await?;
        Ok((route, query, caller))
    };
    match prepared.await {
        Ok((route, query, caller)) => dispatch(Call { app, caller, parts, query, body }, route).await,
        Err(failure) => {
            let mut read = 0;
            while let Ok(Some(piece)) = Call::piece(&mut body, Duration::from_secs(5)).await {
                read += piece.len();
                if read > UNWANTED {
                    break;
                }
            }
            Err(failure)
        }
    }
}
