//! Attached streams: a connection that stops being HTTP (`101`, with an `Upgrade` header), or, for clients
//! that ask without one, a streamed answer beside a streamed request.
//!
//! However it ends, nothing stays behind: the joined task ends with the client, with the container or with
//! the daemon.

use std::io::{self, Cursor};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use boxship_api::framing::{MULTIPLEXED, RAW};
use boxship_engine::container::Attachment;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, Request, StatusCode, Version as HttpVersion, header};
use hyper::ext::ReasonPhrase;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio_util::io::{ReaderStream, StreamReader};

use super::after_head::AfterHead;
use super::call::stopped;
use super::{Call, Reply, body, reply};

/// How long a client may take to close its side after we closed ours.
const LINGER: Duration = Duration::from_secs(2);

/// How often a silent client's socket is looked at.
const PULSE: Duration = Duration::from_secs(2);

/// How much output waits for a slow reader.
const BUFFERED: usize = 64 << 10;

/// Join the client's connection to `attachment`.
pub(crate) fn join(call: Call, attachment: Attachment) -> Reply {
    if call.parts.headers.contains_key(header::UPGRADE) {
        upgraded(call, attachment)
    } else {
        streamed(call, attachment)
    }
}

fn upgraded(call: Call, attachment: Attachment) -> Reply {
    let multiplexed = !attachment.tty && call.version.at_least(42);
    let stopping = call.app.stopping.clone();
    let mut request = Request::from_parts(call.parts, call.body);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => {
                tokio::select! {
                    () = take_over(attachment, connection) => {}
                    () = stopped(stopping) => {}
                }
            }
            Err(error) => tracing::debug!(%error, "the client left before its connection was taken over"),
        }
    });
    let mut answer = reply::with_type(
        StatusCode::SWITCHING_PROTOCOLS,
        if multiplexed { MULTIPLEXED } else { RAW },
        Body::empty(),
    );
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    answer.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
    answer
}

/// A unix socket is used as it is; what is wrapped (TLS) stays wrapped.
async fn take_over(attachment: Attachment, connection: Upgraded) {
    match connection.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner();
            let watched = socket.as_fd().try_clone_to_owned();
            let (input, output) = socket.into_split();
            tokio::select! {
                () = run(attachment, Cursor::new(parts.read_buf).chain(input), AfterHead::new(output)) => {}
                () = hung_up(watched) => {}
            }
        }
        Err(connection) => {
            let (input, output) = tokio::io::split(TokioIo::new(connection));
            run(attachment, input, output).await;
        }
    }
}

/// Resolves when the client has closed its socket: where nothing is written, nothing else tells of it.
async fn hung_up(socket: io::Result<OwnedFd>) {
    let Ok(socket) = socket else { return std::future::pending().await };
    while !boxship_sys::socket::is_hung_up(socket.as_fd()).unwrap_or(true) {
        tokio::time::sleep(PULSE).await;
    }
}

/// Run until the container or the client ends, then let the client take what was sent: closing a socket
/// with unread input would show it an error instead of the end.
async fn run(
    attachment: Attachment,
    mut input: impl AsyncRead + Unpin + Send,
    mut output: impl AsyncWrite + Unpin + Send,
) {
    if let Err(error) = attachment.run(&mut input, &mut output).await {
        tracing::debug!(%error, "attached streams broke off");
    }
    // A client that is gone can't be told; that is no failure.
    let _ = output.shutdown().await;
    let mut rest = [0; 4096];
    let drain = async { while matches!(input.read(&mut rest).await, Ok(count) if count > 0) {} };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

fn streamed(call: Call, attachment: Attachment) -> Reply {
    let stopping = call.app.stopping.clone();
    let has_body = !body::is_missing(&call.parts.headers);
    let data = call.body.into_data_stream().map_err(io::Error::other);
    let (ours, theirs) = tokio::io::duplex(BUFFERED);
    let (alive, gone) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let work = async {
            let ended = if has_body {
                attachment.run(StreamReader::new(data), ours).await
            } else {
                attachment.run(Silence, ours).await
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "attached streams broke off");
            }
        };
        tokio::select! {
            () = work => {}
            _ = gone => {}
            () = stopped(stopping) => {}
        }
    });
    until_closed(reply::stream(RAW, Tied { stream: ReaderStream::new(theirs), _alive: alive }))
}

/// An answer whose body ends with the connection: old clients read what follows the head as the stream
/// itself, without chunks.
fn until_closed(mut answer: Reply) -> Reply {
    *answer.version_mut() = HttpVersion::HTTP_10;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// An input that neither comes nor ends: a client without a body has not closed the container's input.
struct Silence;

impl AsyncRead for Silence {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// An answer that tells its producer when it is dropped.
struct Tied<S> {
    stream: S,
    _alive: oneshot::Sender<()>,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Stream for Tied<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_unpin(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use std::convert::Infallible;

    #[tokio::test]
    async fn streams_without_upgrade_are_not_chunked() {
        let (mut client, server) = tokio::io::duplex(1024);
        tokio::spawn(http1::Builder::new().serve_connection(
            TokioIo::new(server),
            service_fn(|_| async {
                let chunks = futures_util::stream::iter(["one", "two"]).map(|text| Ok(Bytes::from(text)));
                Ok::<_, Infallible>(until_closed(reply::stream(RAW, chunks)))
            }),
        ));
        client.write_all(b"POST /x HTTP/1.1\r\nHost: d\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "onetwo", "{head}");
        assert!(head.contains("200 OK") && !head.contains("chunked"), "{head}");
    }
}
