//! The daemon's sockets: addresses, how each kind is opened, and what is refused.
//!
//! A TCP socket without TLS gives root to whoever reaches it. It must never be opened by accident: beyond
//! the loopback interface only with an explicit `--tls=false`, and never without a warning.

mod activation;
mod address;
mod group;
mod tls;
mod unix;

use std::sync::Arc;

pub(crate) use address::Address;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::error::Error;

/// An open socket.
pub(crate) enum Listener {
    /// A unix socket; the path is ours to remove at the end, if we made it.
    Unix(UnixListener, Option<unix::Path>),
    /// A TCP socket, with TLS or without.
    Tcp(TcpListener, Option<TlsAcceptor>),
}

/// Open every configured socket; call inside the runtime.
pub(crate) fn open(config: &Config) -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    let mut acceptor = None;
    for address in &config.hosts {
        match address {
            Address::Unix(path) => {
                let group = group::resolve(&config.group)?;
                let (listener, path) = unix::open(path, group)?;
                listeners.push(Listener::Unix(listener, Some(path)));
            }
            Address::Tcp(socket) => {
                warn_of_open_door(*socket, &config.tls);
                let acceptor = match (&acceptor, config.tls.is_on()) {
                    (_, false) => None,
                    (Some(acceptor), true) => Some(TlsAcceptor::clone(acceptor)),
                    (None, true) => Some(acceptor.insert(tls::acceptor(&config.tls)?).clone()),
                };
                listeners.push(Listener::Tcp(open_tcp(*socket)?, acceptor));
            }
            Address::Inherited(which) => {
                for listener in activation::adopt(*which)? {
                    listeners.push(inherited(listener, config, &mut acceptor)?);
                }
            }
        }
    }
    Ok(listeners)
}

fn inherited(
    listener: activation::Inherited,
    config: &Config,
    acceptor: &mut Option<TlsAcceptor>,
) -> Result<Listener, Error> {
    let listen = |source| Error::Listen { address: "fd://".into(), source };
    match listener {
        activation::Inherited::Unix(listener) => {
            Ok(Listener::Unix(UnixListener::from_std(listener).map_err(listen)?, None))
        }
        activation::Inherited::Tcp(listener) => {
            let socket = listener.local_addr().map_err(listen)?;
            refuse_open_door(socket, &config.tls)?;
            warn_of_open_door(socket, &config.tls);
            if config.tls.is_on() && acceptor.is_none() {
                *acceptor = Some(tls::acceptor(&config.tls)?);
            }
            Ok(Listener::Tcp(TcpListener::from_std(listener).map_err(listen)?, acceptor.clone()))
        }
    }
}

fn open_tcp(socket: std::net::SocketAddr) -> Result<TcpListener, Error> {
    let failed = |source| Error::Listen { address: format!("tcp://{socket}"), source };
    let listener = std::net::TcpListener::bind(socket).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}

/// Refuse TCP that would be open to strangers by accident.
pub(crate) fn refuse_open_door(socket: std::net::SocketAddr, tls: &crate::config::Tls) -> Result<(), Error> {
    if tls.enabled.is_some() || socket.ip().is_loopback() {
        return Ok(());
    }
    Err(Error::Configuration {
        why: format!(
            "tcp://{socket} would give root to everyone who reaches it: use --tlsverify with \
             --tlscacert, --tlscert and --tlskey, or say --tls=false to open it all the same"
        ),
    })
}

/// Say so where nobody checks who calls.
fn warn_of_open_door(socket: std::net::SocketAddr, tls: &crate::config::Tls) {
    if tls.verify {
        return;
    }
    let lack = if tls.is_on() { "without asking for a client certificate" } else { "without TLS" };
    tracing::warn!("the API is open on tcp://{socket} {lack}: everyone who reaches it is root on this host");
}

impl Listener {
    /// Whether the API is reached over TCP, and with TLS.
    pub(crate) fn kind(&self) -> Door {
        match self {
            Listener::Unix(..) => Door::Unix,
            Listener::Tcp(_, None) => Door::PlainTcp,
            Listener::Tcp(_, Some(_)) => Door::Tls,
        }
    }
}

/// Which way a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A unix socket: its file mode decides who may.
    Unix,
    /// TCP without TLS.
    PlainTcp,
    /// TCP with TLS.
    Tls,
}

/// Names under which this host may be called, besides addresses: against DNS rebinding.
pub(crate) fn host_names() -> Arc<[String]> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Arc::from([name.trim().to_ascii_lowercase()])
}
