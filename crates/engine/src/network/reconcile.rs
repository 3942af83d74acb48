//! At open: rows × kernel. Interrupted creations and removals are taken back or finished, networks are made again as
//! far as the kernel lost them, and links of ours that nobody needs are removed.
//!
//! Three steps around the containers' own: [`Networks::load`] (memory only), [`Networks::restore`] (before containers are
//! met again), [`Networks::clear_strangers`] (after they claimed what is theirs).

use std::collections::HashSet;

use boxship_net::ports::Published;
use ipnet::IpNet;

use super::kernel::{Owner, foreign_daemon, parent_object};
use super::model::{BRIDGE, Network};
use super::rows::Phase;
use super::{FirewallMode, Networks, predefined};
use crate::Result;

impl Networks {
    /// Reads the rows, and sees to it that the predefined networks have theirs.
    pub(super) fn load(&self) -> Result<()> {
        let mut bridge = None;
        let mut subnets: Vec<IpNet> = Vec::new();
        for (network, phase) in self.rows.load()? {
            match phase {
                Phase::Making | Phase::Removing => self.finish_removal(&network),
                Phase::Made if network.name == BRIDGE => bridge = Some(network),
                Phase::Made => {
                    subnets.extend(network.subnets.iter().map(|subnet| subnet.subnet));
                    self.insert(network, false)?;
                }
            }
        }
        for name in ["host", "none"] {
            if !self.has_name(name) {
                let network = predefined::without_link(name)?;
                self.rows.put(&network, Phase::Made)?;
                self.insert(network, true)?;
            }
        }
        self.load_bridge(bridge, &subnets)
    }

    fn load_bridge(&self, stored: Option<Network>, others: &[IpNet]) -> Result<()> {
        if !self.config.has_bridge() {
            if let Some(network) = stored {
                self.finish_removal(&network);
            }
            return Ok(());
        }
        let network = match self.default_bridge(stored.clone(), others) {
            Ok(network) => network,
            // What the administrator asked for can't be: better no daemon than another network than was meant.
            Err(error) if self.config.is_particular() => return Err(error),
            Err(error) => {
                self.obstacle(format!("the default bridge can't be set up: {error}"));
                return Ok(());
            }
        };
        if let Some(old) = &stored
            && old.bridge().map(|bridge| &bridge.link) != network.bridge().map(|bridge| &bridge.link)
            && let Err(error) = self.kernel.remove(old)
        {
            self.obstacle(format!("the former default bridge was not removed: {error}"));
        }
        if stored.as_ref() != Some(&network) {
            self.rows.put(&network, Phase::Made)?;
        }
        self.insert(network, false).map(drop)
    }

    /// A crash interrupted it, or it is not wanted any more. A link that it sat on may be others', who are not known yet:
    /// if it isn't, it goes with the strangers.
    fn finish_removal(&self, network: &Network) {
        let removed = self.kernel.remove(network).and_then(|()| self.rows.remove(&network.id));
        if let Err(error) = removed {
            self.obstacle(format!("network {} was not removed: {error}", network.name));
        }
    }

    /// Makes the networks in the kernel, and the firewall's table for them. The default bridge is made when the first
    /// container needs it: a host that runs none keeps its links and rules as they are. `ports` stay published.
    pub(crate) fn restore(&self, ports: &[Published]) {
        let mut made = Vec::new();
        for network in self.list() {
            let Some(bridge) = network.bridge() else {
                // Each start of a container tries again: what it sits on may come later than we.
                if let Err(error) = self.kernel.ensure_link(&network) {
                    tracing::warn!(network = network.name, %error, "network can't be set up");
                }
                continue;
            };
            if network.is_default_bridge() {
                match self.kernel.owner(&bridge.link) {
                    Ok(Owner::We | Owner::Administrator) => {}
                    Ok(Owner::Nobody) => continue,
                    Ok(Owner::OtherDaemon) => {
                        self.obstacle(foreign_daemon(&bridge.link).to_string());
                        continue;
                    }
                    // Told among the obstacles already.
                    Err(_) => continue,
                }
            }
            match self.kernel.ensure_link(&network) {
                Ok(()) => made.push(network.clone()),
                Err(error) => {
                    self.obstacle(format!("network {} can't be set up: {error}", network.name));
                }
            }
        }
        match self.kernel.replace_table(&made, ports) {
            Ok(()) => made.iter().for_each(|network| self.set_made(&network.id)),
            Err(error) if made.is_empty() || self.config.firewall == FirewallMode::Off => {
                tracing::debug!(%error, "no firewall");
                made.iter().for_each(|network| self.set_made(&network.id));
            }
            Err(error) => self.obstacle(format!("the firewall's table can't be set up: {error}")),
        }
        if let Err(error) = self.kernel.watch() {
            tracing::debug!(%error, "the firewall's table is not watched over");
        }
        self.watch_neighbourhood();
    }

    /// Removes links of ours that no network and no endpoint needs. Endpoints' marks are `<container>:<endpoint>`.
    pub(crate) fn clear_strangers(&self) {
        let wanted = || {
            let mut wanted = HashSet::new();
            for network in self.list() {
                wanted.insert(format!("network:{}", network.id));
                wanted.extend(network.driver.parent().map(parent_object));
                let members = self.members(&network.id);
                wanted
                    .extend(members.iter().map(|member| format!("{}:{}", member.container, member.endpoint)));
            }
            wanted
        };
        if let Err(error) = self.kernel.remove_strangers(wanted) {
            tracing::debug!(%error, "links that nobody needs were not looked for");
        }
    }
}
