//! The table of networks. Its lock is never held across an await or a call to the kernel.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boxship_net::firewall::Firewall;
use boxship_net::link::Links;
use boxship_net::ports::HostPorts;

use super::kernel::Kernel;
use super::neighbourhood::Told;
use super::occupancy::{Lease, Leased, Member, Occupancy};
use super::rows::Rows;
use super::{Endpoint, Network, NetworkConfig};
use crate::{EngineConfig, Error, Result};

#[derive(Default)]
struct Tables {
    /// Sorted, so that a prefix is a range.
    by_id: BTreeMap<String, Entry>,
    by_name: HashMap<String, String>,
}

struct Entry {
    network: Arc<Network>,
    occupancy: Occupancy,
    /// The kernel has it, as far as we know.
    made: bool,
    /// Nobody joins any more.
    removing: bool,
}

/// The networks of the engine.
pub(crate) struct Networks {
    tables: Arc<Mutex<Tables>>,
    /// Held while networks are made and removed: names, subnets and links are chosen one at a time.
    changing: Mutex<()>,
    /// What can't be had on this host; `info` tells.
    obstacles: Mutex<Vec<String>>,
    /// What was told of the host's other networks.
    pub(super) told: Told,
    pub(super) kernel: Kernel,
    pub(super) rows: Rows,
    pub(super) config: NetworkConfig,
    pub(super) engine_id: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Networks {
    /// Opens the rows and the kernel's sockets, and knows all networks afterwards. Nothing is changed in the kernel.
    pub(crate) fn open(store: boxship_store::Store, config: &EngineConfig, engine_id: &str) -> Result<Self> {
        let usual_root = config.data_root == EngineConfig::default().data_root;
        let networks = Self {
            tables: Arc::default(),
            changing: Mutex::default(),
            obstacles: Mutex::default(),
            told: Told::default(),
            kernel: Kernel::open(engine_id, usual_root, &config.network),
            rows: Rows::open(store)?,
            config: config.network.clone(),
            engine_id: engine_id.to_owned(),
        };
        networks.load()?;
        Ok(networks)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        locked(&self.tables)
    }

    /// Held while networks are made or removed.
    pub(super) fn change(&self) -> MutexGuard<'_, ()> {
        locked(&self.changing)
    }

    /// The network of exactly this identifier or name: what a container keeps is no beginning of an identifier.
    pub(crate) fn named(&self, reference: &str) -> Result<Arc<Network>> {
        let tables = self.tables();
        let by_name = || tables.by_name.get(reference).and_then(|id| tables.by_id.get(id));
        let entry = tables.by_id.get(reference).or_else(by_name);
        entry
            .map(|entry| entry.network.clone())
            .ok_or_else(|| Error::not_found(format!("network {reference} not found")))
    }

    /// Finds a network as Docker does: whole identifier, then name, then the beginning of an identifier.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Network>> {
        let missing = || Error::not_found(format!("network {reference} not found"));
        let tables = self.tables();
        let by_name = || tables.by_name.get(reference).and_then(|id| tables.by_id.get(id));
        if let Some(entry) = tables.by_id.get(reference).or_else(by_name) {
            return Ok(entry.network.clone());
        }
        if reference.is_empty() {
            return Err(missing());
        }
        let found: Vec<_> = tables
            .by_id
            .range(reference.to_owned()..)
            .take_while(|(id, _)| id.starts_with(reference))
            .map(|(_, entry)| &entry.network)
            .collect();
        match found.as_slice() {
            [] => Err(missing()),
            [only] => Ok((*only).clone()),
            many => Err(Error::invalid(format!(
                "network {reference} is ambiguous ({} matches found based on ID prefix)",
                many.len()
            ))),
        }
    }

    /// All networks.
    pub(crate) fn list(&self) -> Vec<Arc<Network>> {
        self.tables().by_id.values().map(|entry| entry.network.clone()).collect()
    }

    /// The networks that the kernel has, for whoever must not keep them alive; `None` when they are gone.
    pub(super) fn made(&self) -> impl Fn() -> Option<Vec<Arc<Network>>> + Send + 'static {
        let tables = Arc::downgrade(&self.tables);
        move || {
            let tables = tables.upgrade()?;
            let tables = locked(&tables);
            let made = tables.by_id.values().filter(|entry| entry.made);
            Some(made.map(|entry| entry.network.clone()).collect())
        }
    }

    /// Whether there is one of exactly this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.tables().by_name.contains_key(name)
    }

    /// Adds a network; `made`: the kernel has it.
    pub(super) fn insert(&self, network: Network, made: bool) -> Result<Arc<Network>> {
        let occupancy = Occupancy::new(&network)?;
        let network = Arc::new(network);
        let mut tables = self.tables();
        tables.by_name.insert(network.name.clone(), network.id.clone());
        let entry = Entry { network: network.clone(), occupancy, made, removing: false };
        tables.by_id.insert(network.id.clone(), entry);
        Ok(network)
    }

    /// Forgets a network.
    pub(super) fn forget(&self, network: &Network) {
        let mut tables = self.tables();
        tables.by_id.remove(&network.id);
        if tables.by_name.get(&network.name).is_some_and(|id| *id == network.id) {
            tables.by_name.remove(&network.name);
        }
    }

    /// Lets nobody join any more, unless there is somebody: then those are given.
    pub(super) fn close(&self, network: &Network) -> std::result::Result<(), Vec<Member>> {
        let mut tables = self.tables();
        let Some(entry) = tables.by_id.get_mut(&network.id) else { return Ok(()) };
        if !entry.occupancy.members.is_empty() {
            return Err(entry.occupancy.members.clone());
        }
        entry.removing = true;
        Ok(())
    }

    /// Takes [`Networks::close`] back.
    pub(super) fn reopen(&self, network: &Network) {
        if let Some(entry) = self.tables().by_id.get_mut(&network.id) {
            entry.removing = false;
        }
    }

    /// Takes addresses for an endpoint; until [`Networks::release`], the network can't be removed. Pure bookkeeping.
    pub(crate) fn lease(&self, network: &Network, lease: &Lease) -> Result<Leased> {
        match self.tables().by_id.get_mut(&network.id).filter(|entry| !entry.removing) {
            Some(entry) => entry.occupancy.lease(network, lease),
            None => Err(Error::not_found(format!("network {} not found", network.name))),
        }
    }

    /// What an endpoint of a container that ran on holds is taken again, when the engine opens.
    pub(crate) fn claim(&self, container: &str, endpoint: &Endpoint) -> Result<()> {
        let mut tables = self.tables();
        let Some(entry) = tables.by_id.get_mut(&endpoint.network_id) else {
            return Err(Error::not_found(format!("network {} not found", endpoint.network)));
        };
        entry.occupancy.claim(Member {
            container: container.to_owned(),
            endpoint: endpoint.id.clone(),
            mac: endpoint.mac,
            leased: Leased { ipv4: endpoint.ipv4, ipv6: endpoint.ipv6 },
        });
        Ok(())
    }

    /// Gives an endpoint's addresses back; one that isn't there is fine.
    pub(crate) fn release(&self, network_id: &str, endpoint_id: &str) {
        if let Some(entry) = self.tables().by_id.get_mut(network_id) {
            entry.occupancy.release(endpoint_id);
        }
    }

    /// Who is on a network.
    pub(crate) fn members(&self, network_id: &str) -> Vec<Member> {
        self.tables().by_id.get(network_id).map(|entry| entry.occupancy.members.clone()).unwrap_or_default()
    }

    /// Sees to it that the network's bridge is there and up, and that the firewall knows it. Blocking, quick; called at
    /// each start before the interface is made.
    pub(crate) fn prepare(&self, network: &Network) -> Result<()> {
        let Some(bridge) = network.bridge() else { return self.kernel.ensure(network) };
        let made = self.tables().by_id.get(&network.id).is_some_and(|entry| entry.made);
        if made && self.kernel.links()?.exists(&bridge.link)? {
            return Ok(());
        }
        let _changing = self.change();
        self.kernel.ensure(network)?;
        self.set_made(&network.id);
        self.tell_neighbourhood();
        Ok(())
    }

    /// The kernel has it now.
    pub(super) fn set_made(&self, id: &str) {
        if let Some(entry) = self.tables().by_id.get_mut(id) {
            entry.made = true;
        }
    }

    /// The host's links.
    pub(crate) fn links(&self) -> Result<&Links> {
        self.kernel.links()
    }

    /// The firewall; `None` when it is the administrator's (`iptables: false`).
    pub(crate) fn firewall(&self) -> Result<Option<&Firewall>> {
        self.kernel.firewall()
    }

    /// The ports of the host.
    pub(crate) fn ports(&self) -> &HostPorts {
        &self.kernel.ports
    }

    /// The mark of a link of ours: `boxship:<engine>:<object>`.
    pub(crate) fn alias(&self, object: &str) -> String {
        self.kernel.alias(object)
    }

    /// Whether ports that no firewall carries are relayed.
    pub(crate) fn relays(&self) -> bool {
        self.config.relays
    }

    /// The addresses of `host-gateway`: as configured, else the default bridge's own.
    pub(crate) fn host_gateway(&self) -> Vec<IpAddr> {
        if !self.config.host_gateway.is_empty() {
            return self.config.host_gateway.clone();
        }
        let bridge = self.find(super::model::BRIDGE);
        bridge
            .map(|bridge| bridge.subnets.iter().filter_map(|subnet| subnet.gateway).collect())
            .unwrap_or_default()
    }

    /// What can't be had on this host, as far as networks go. Asks the kernel: blocking.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        let mut obstacles = locked(&self.obstacles).clone();
        if self.config.has_bridge() {
            obstacles.extend(self.kernel.links().err().map(|error| error.to_string()));
            match self.kernel.firewall() {
                Err(error) => obstacles.push(error.to_string()),
                Ok(Some(table)) => obstacles.extend(table.obstacles().into_iter().flatten()),
                Ok(None) => {}
            }
        }
        obstacles.extend(self.cut_off());
        obstacles
    }

    /// Notes what can't be had, in the log too.
    pub(super) fn obstacle(&self, what: String) {
        tracing::warn!("{what}");
        locked(&self.obstacles).push(what);
    }
}
