//! What networks have in the kernel: a bridge each, marked as ours, and an entry in the firewall's table. Blocking and
//! quick. Every call repeats harmlessly; what is somebody else's is never touched.

use std::collections::HashSet;
use std::sync::Arc;

use boxship_net::firewall::{self, Firewall, Mode};
use boxship_net::link::{self, Links};
use boxship_net::ports::{HostPorts, Published};
use ipnet::IpNet;

use super::model::{Bridge, Driver, GatewayMode};
use super::options::{self, Ipvlan, Macvlan};
use super::{FirewallMode, Network, NetworkConfig};
use crate::{Error, Result};

/// The beginning of the marks of every daemon of this kind.
const FAMILY: &str = "boxship:";
/// The firewall's table of the daemon with the usual data root; others have their engine's identifier in it.
const TABLE: &str = "boxship";

/// The kernel's side, each part with why it can't be used.
pub(super) struct Kernel {
    pub(super) links: std::result::Result<Links, String>,
    pub(super) firewall: std::result::Result<Option<Arc<Firewall>>, String>,
    pub(super) ports: HostPorts,
    /// The name of the firewall's table.
    table: String,
    mark: String,
    /// Whether the host is made a router where a network needs one.
    forwards: bool,
}

impl Kernel {
    /// Opens the sockets; touches nothing.
    pub(super) fn open(engine_id: &str, usual_root: bool, config: &NetworkConfig) -> Self {
        let table = if usual_root { TABLE.to_owned() } else { format!("{TABLE}_{}", short(engine_id)) };
        let mode = match config.firewall {
            FirewallMode::Docker => Some(Mode::Docker),
            FirewallMode::Honest => Some(Mode::Honest),
            FirewallMode::Off => None,
        };
        let words = |error: boxship_net::Error| crate::error::with_causes(&error);
        Self {
            links: Links::open().map_err(words),
            firewall: mode.map(|mode| Firewall::open(&table, mode).map(Arc::new)).transpose().map_err(words),
            table,
            ports: HostPorts::default(),
            mark: format!("{FAMILY}{engine_id}:"),
            forwards: config.ip_forward,
        }
    }

    /// The mark of an object of ours.
    pub(super) fn alias(&self, object: &str) -> String {
        format!("{}{object}", self.mark)
    }

    fn bridge_alias(&self, network: &Network) -> String {
        self.alias(&format!("network:{}", network.id))
    }

    pub(super) fn links(&self) -> Result<&Links> {
        self.links
            .as_ref()
            .map_err(|why| Error::unavailable(format!("links of the host can't be used: {why}")))
    }

    pub(super) fn firewall(&self) -> Result<Option<&Firewall>> {
        match &self.firewall {
            Ok(firewall) => Ok(firewall.as_deref()),
            Err(why) => Err(Error::unavailable(format!("the firewall can't be used: {why}"))),
        }
    }

    /// Networks the host has routes to.
    pub(super) fn routes(&self) -> Vec<IpNet> {
        let routed = self.links.as_ref().ok().map(|links| links.routed());
        routed.and_then(|routed| routed.ok()).unwrap_or_default()
    }

    /// A link's own addresses.
    pub(super) fn addresses(&self, link: &str) -> Result<Vec<IpNet>> {
        Ok(self.links()?.addresses(link)?)
    }

    /// The host's own addresses with neighbours, and their links, but for one link.
    pub(super) fn own_addresses(&self, but: &str) -> Vec<(String, IpNet)> {
        let links = self.links.as_ref().ok().and_then(|links| links.interfaces().ok()).unwrap_or_default();
        let others = links.into_iter().filter(|link| link.name != but);
        others
            .flat_map(|link| link.addresses.into_iter().map(move |address| (link.name.clone(), address)))
            .filter(|(_, address)| address.prefix_len() < address.max_prefix_len())
            .collect()
    }

    /// Whether something is plugged into a bridge.
    pub(super) fn is_used(&self, bridge: &str) -> bool {
        let links = self.links.as_ref().ok().and_then(|links| links.interfaces().ok()).unwrap_or_default();
        let index = links.iter().find(|link| link.name == bridge).map(|link| link.index);
        index.is_some() && links.iter().any(|link| link.master == index)
    }

    /// Whether a link of that name is there, and whose it is.
    pub(super) fn owner(&self, link: &str) -> Result<Owner> {
        Ok(match self.links()?.mark(link)? {
            None => Owner::Nobody,
            Some(mark) if mark.starts_with(&self.mark) => Owner::We,
            Some(mark) if mark.starts_with(FAMILY) => Owner::OtherDaemon,
            Some(_) => Owner::Administrator,
        })
    }

    /// Has the firewall's table watched over: who flushes it is told in the log, and it is made anew.
    pub(super) fn watch(&self) -> Result<()> {
        let Ok(Some(table)) = &self.firewall else { return Ok(()) };
        Ok(table.watch(|sentence| tracing::warn!("firewall: {sentence}"))?)
    }

    /// Sees to it that the network is there: first the rules, then what they rule.
    pub(super) fn ensure(&self, network: &Network) -> Result<()> {
        if let (Some(entry), Some(table)) = (firewall_entry(network), self.firewall()?) {
            table.set_network(&entry)?;
        }
        self.ensure_link(network)
    }

    /// Sees to it that the network's link is there, and the way out of it.
    pub(super) fn ensure_link(&self, network: &Network) -> Result<()> {
        match &network.driver {
            Driver::Bridge(bridge) => {
                if !bridge.foreign && self.owner(&bridge.link)? == Owner::OtherDaemon {
                    return Err(foreign_daemon(&bridge.link));
                }
                self.links()?.ensure_bridge(&self.bridge_of(network, bridge))?;
                if let Ok(Some(table)) = self.firewall() {
                    table.secure();
                }
                if self.forwards && !network.internal { self.forward(network) } else { Ok(()) }
            }
            Driver::Macvlan(Macvlan { parent, .. }) | Driver::Ipvlan(Ipvlan { parent, .. }) => {
                self.ensure_parent(network, parent)
            }
            Driver::Host | Driver::Null => Ok(()),
        }
    }

    /// Makes the host a router for the network's families; only for our own packets, if it was none before.
    fn forward(&self, network: &Network) -> Result<()> {
        for (v6, _) in [(false, network.ipv4), (true, network.ipv6)].into_iter().filter(|(_, on)| *on) {
            let table = self.firewall()?;
            // The guard stands before anything is forwarded: a crash in between leaves no open router.
            if is_no_router(v6)
                && let Some(table) = table
            {
                table.guard_others(v6)?;
            }
            if self.links()?.forwarding(v6)? {
                match table {
                    Some(table) => table.guard_others(v6)?,
                    None => {
                        tracing::warn!("forwarding was turned on; no firewall of ours guards other links")
                    }
                }
            }
        }
        Ok(())
    }

    /// Sees to it that the link is there that the network sits on. One that is missing is made where its name says of
    /// what; others are the administrator's.
    fn ensure_parent(&self, network: &Network, parent: &str) -> Result<()> {
        let links = self.links()?;
        let kind = match options::vlan(parent) {
            _ if network.driver.is_without_parent(&network.id) => link::ParentKind::Dummy,
            Ok((of, id)) => link::ParentKind::Vlan { of: of.to_owned(), id },
            Err(_) if links.exists(parent)? => return Ok(()),
            Err(reason) => return Err(Error::invalid(reason)),
        };
        let alias = self.alias(&parent_object(parent));
        Ok(links.ensure_parent(&link::Parent { name: parent.to_owned(), alias, kind })?)
    }

    /// Removes a link that networks sat on, if it is one that we made.
    pub(super) fn remove_parent(&self, parent: &str) -> Result<()> {
        let links = self.links()?;
        match links.mark(parent)?.is_some_and(|mark| mark == self.alias(&parent_object(parent))) {
            true => Ok(links.remove(parent)?),
            false => Ok(()),
        }
    }

    fn bridge_of(&self, network: &Network, bridge: &Bridge) -> link::Bridge {
        let isolated = |v6: bool| bridge.gateway_mode(v6) == GatewayMode::Isolated;
        let own = network.subnets.iter().filter(|subnet| {
            let v6 = subnet.is_v6();
            !isolated(v6) && (v6 || !bridge.inhibit_ipv4)
        });
        link::Bridge {
            name: bridge.link.clone(),
            alias: self.bridge_alias(network),
            addresses: own.filter_map(|subnet| subnet.host_address()).collect(),
            mtu: bridge.mtu,
            foreign: bridge.foreign,
        }
    }

    /// Takes a network away; what is gone already is fine.
    pub(super) fn remove(&self, network: &Network) -> Result<()> {
        let Some(bridge) = network.bridge() else { return Ok(()) };
        if let Ok(Some(table)) = self.firewall() {
            table.remove_network(&bridge.link)?;
        }
        if !bridge.foreign {
            let links = self.links()?;
            // A daemon that was killed between making the link and marking it leaves one that only its name tells.
            let named = bridge.link.strip_prefix("br-").is_some_and(|digits| network.id.starts_with(digits));
            let ours = |mark: String| mark == self.bridge_alias(network) || named && mark.is_empty();
            if links.mark(&bridge.link)?.is_some_and(ours) {
                links.remove(&bridge.link)?;
            }
        }
        Ok(())
    }

    /// Makes the firewall's table anew for these networks; without any, it is taken away.
    pub(super) fn replace_table(&self, networks: &[Arc<Network>], ports: &[Published]) -> Result<()> {
        let Some(table) = self.firewall()? else {
            // One from before the firewall was turned off would go on ruling. A kernel without nftables has none.
            let left = Firewall::open(&self.table, Mode::Docker).ok();
            return Ok(left.map_or(Ok(()), |table| table.clear())?);
        };
        let entries: Vec<_> = networks.iter().filter_map(|network| firewall_entry(network)).collect();
        // A table that keeps the host from forwarding for others stays, whatever else is in it.
        match entries.is_empty() && !table.guards() {
            true => table.clear()?,
            false => table.replace(&entries, ports)?,
        }
        Ok(())
    }

    /// Removes links of ours that aren't `wanted` (marks without their beginning). What is wanted is asked after the
    /// links are listed: who joins meanwhile is known before its link is made.
    pub(super) fn remove_strangers(&self, wanted: impl FnOnce() -> HashSet<String>) -> Result<()> {
        let links = self.links()?;
        let marked = links.marked(&self.mark)?;
        let wanted = wanted();
        for link in marked {
            if !wanted.contains(link.alias.strip_prefix(&self.mark).unwrap_or_default()) {
                tracing::info!(link = link.name, "a link without a container or network is removed");
                links.remove(&link.name)?;
            }
        }
        Ok(())
    }
}

/// Whether the host forwards nothing of a family; where that can't be known, forwarding it is asked for anyway.
fn is_no_router(v6: bool) -> bool {
    let path = if v6 { "/proc/sys/net/ipv6/conf/all/forwarding" } else { "/proc/sys/net/ipv4/ip_forward" };
    std::fs::read_to_string(path).is_ok_and(|value| value.trim() == "0")
}

/// What a link is called in its mark that networks without a bridge sit on: several may.
pub(super) fn parent_object(parent: &str) -> String {
    format!("parent:{parent}")
}

/// Whose a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It isn't there.
    Nobody,
    /// This engine.
    We,
    /// Another daemon of this kind.
    OtherDaemon,
    /// It bears no mark.
    Administrator,
}

/// What to do when another daemon's bridge is in the way.
pub(super) fn foreign_daemon(link: &str) -> Error {
    Error::conflict(format!(
        "the bridge {link} belongs to another boxship daemon: give this one a bridge of its own with --bridge, or, if the \
         other is gone for good, remove what it left: ip link delete {link}"
    ))
}

/// The beginning of an identifier, without hyphens.
fn short(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric()).take(12).collect()
}

/// What the firewall's table has to know of a network; nothing of those without a bridge.
pub(super) fn firewall_entry(network: &Network) -> Option<firewall::Network> {
    let bridge = network.bridge()?;
    let translates = |v6: bool| {
        let mode = bridge.gateway_mode(v6);
        bridge.masquerade
            && !network.internal
            && matches!(mode, GatewayMode::Nat | GatewayMode::NatUnprotected)
    };
    let unprotected = |v6: bool| bridge.gateway_mode(v6) == GatewayMode::NatUnprotected;
    Some(firewall::Network {
        bridge: bridge.link.clone(),
        subnets: network.subnets.iter().map(|subnet| subnet.subnet).collect(),
        internal: network.internal,
        icc: bridge.icc,
        masquerade4: network.ipv4 && translates(false),
        masquerade6: network.ipv6 && translates(true),
        unprotected: !network.internal && (unprotected(false) || unprotected(true)),
        foreign: bridge.foreign,
    })
}
