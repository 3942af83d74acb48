//! The two servers of a container, datagrams and connections. Everything is bounded per container: queries that wait
//! for others, connections, the size of a query, the time a connection may do nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Names;
use super::answer::{Decision, answer, decide};
use super::forward::{Forwarder, Transport, read_message, write_message};
use super::message::{Code, Malformed, Query, told};

/// Queries passed on at a time. Each has a socket of the daemon's: Docker's 1024 would let a few containers use up all
/// that the daemon may open.
const WAITING: usize = 256;
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// A query's size; real ones have a tenth of it.
const QUERY: usize = 4096;
/// How long a connection may do nothing, or not take its answer.
const IDLE: Duration = Duration::from_secs(10);
/// After the kernel refused something that no query can cause: it may be short of memory or descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What both servers know.
pub(super) struct Shared {
    pub(super) names: Arc<dyn Names>,
    pub(super) ndots_set: bool,
    pub(super) forwarder: Forwarder,
    waiting: Arc<Semaphore>,
}

/// A query's answer, or that others have to be asked.
enum Step {
    Done(Vec<u8>),
    Nothing,
    Ask,
}

impl Shared {
    pub(super) fn new(names: Arc<dyn Names>, ndots_set: bool, forwarder: Forwarder) -> Self {
        Self { names, ndots_set, forwarder, waiting: Arc::new(Semaphore::new(WAITING)) }
    }

    /// As far as it goes without waiting.
    fn step(&self, bytes: &[u8], transport: Transport) -> Step {
        let query = match Query::parse(bytes) {
            Ok(query) => query,
            Err(Malformed::Ignored) => return Step::Nothing,
            Err(Malformed::Told(code)) => return Step::Done(told(bytes, code)),
        };
        match decide(&query, &*self.names, self.ndots_set) {
            Decision::Records(records) => Step::Done(answer(&query, &records, transport == Transport::Udp)),
            Decision::Forward => Step::Ask,
        }
    }

    /// What others say to a query that was found to be theirs.
    async fn ask(&self, bytes: &[u8], transport: Transport) -> Vec<u8> {
        let Ok(query) = Query::parse(bytes) else { return told(bytes, Code::FormatError) };
        let reply = self.forwarder.ask(&query, transport).await;
        reply.unwrap_or_else(|| query.answer(Code::ServerFailure, &[], QUERY))
    }
}

/// Serves datagrams for ever.
pub(super) async fn datagrams(socket: UdpSocket, shared: Arc<Shared>) {
    let socket = Arc::new(socket);
    let mut asking = JoinSet::new();
    let mut buffer = vec![0; QUERY];
    loop {
        while asking.try_join_next().is_some() {}
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "name query not received");
                sleep(PAUSE).await;
                continue;
            }
        };
        let bytes = &buffer[..length];
        let reply = match shared.step(bytes, Transport::Udp) {
            Step::Nothing => continue,
            Step::Done(reply) => reply,
            Step::Ask => match shared.waiting.clone().try_acquire_owned() {
                Err(_) => told(bytes, Code::Refused),
                Ok(permit) => {
                    let (socket, shared, bytes) = (socket.clone(), shared.clone(), bytes.to_vec());
                    asking.spawn(async move {
                        let reply = shared.ask(&bytes, Transport::Udp).await;
                        drop(permit);
                        // A client that is gone misses nothing.
                        let _ = socket.send_to(&reply, client).await;
                    });
                    continue;
                }
            },
        };
        let _ = socket.send_to(&reply, client).await;
    }
}

/// Serves connections for ever.
pub(super) async fn connections(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    // The places are never closed, so there is always one sooner or later.
    while let Ok(place) = places.clone().acquire_owned().await {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                open.spawn(async move {
                    let _ = connection(stream, &shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "name client not accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One client's queries, one after the other, until it ends or falls silent.
async fn connection(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let bytes = timeout(IDLE, read_message(&mut stream, QUERY)).await??;
        let reply = match shared.step(&bytes, Transport::Tcp) {
            Step::Nothing => return Ok(()),
            Step::Done(reply) => reply,
            Step::Ask => match shared.waiting.try_acquire() {
                Err(_) => told(&bytes, Code::Refused),
                Ok(_permit) => shared.ask(&bytes, Transport::Tcp).await,
            },
        };
        timeout(IDLE, write_message(&mut stream, &reply)).await??;
    }
}
