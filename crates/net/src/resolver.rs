//! The names of a network: a DNS server at 127.0.0.11 inside each namespace.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::namespace::Namespace;
use crate::{Error, Result};

/// Who knows the names; the caller's. Asked for every query, so answers follow changes at once.
pub trait Names: Send + Sync {
    /// Addresses of a name (no final dot, lower case), both families; `None`: not a name of ours.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>>;
    /// The name of an address, fully qualified (`web.mynet`); `None`: not an address of ours.
    fn name_of(&self, address: IpAddr) -> Option<String>;
}

/// A server that other names are asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its address and port.
    pub address: SocketAddr,
    /// Asked from the container's namespace (a server the user named), else from the host's.
    pub from_container: bool,
}

/// What a resolver is told.
pub struct Settings {
    /// Our names.
    pub names: Arc<dyn Names>,
    /// Servers for everything else; none: names of others do not exist (internal networks).
    pub upstreams: Vec<Upstream>,
}

/// A running resolver; dropping it ends it.
pub struct Resolver {
    _private: (),
}

impl Resolver {
    /// Serves in a namespace (UDP and TCP, 127.0.0.11:53 by a rule in the namespace, so the container may use port 53
    /// itself). Must be called within a tokio runtime.
    pub fn serve(_namespace: &Namespace, _settings: Settings) -> Result<Self> {
        Err(Error::Invalid("unfinished".into()))
    }
}
