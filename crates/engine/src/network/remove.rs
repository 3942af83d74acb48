//! Removing networks: nobody joins any more, the kernel forgets it, then its row goes. And all that nobody uses.

use std::sync::Arc;

use boxship_api::Filters;
use boxship_api::network::PruneReport;

use super::occupancy::Member;
use super::rows::Phase;
use super::{Network, Networks};
use crate::prune::{Choice, KEYS};
use crate::{Engine, Error, Result, error::blocking};

impl Engine {
    /// `DELETE /networks/{id}`.
    pub async fn network_remove(&self, reference: &str) -> Result<()> {
        let network = self.inner.networks.find(reference)?;
        if network.is_predefined() {
            let name = &network.name;
            return Err(Error::forbidden(format!("{name} is a pre-defined network and cannot be removed")));
        }
        let engine = self.clone();
        blocking(move || engine.remove_network(&network)).await
    }

    fn remove_network(&self, network: &Arc<Network>) -> Result<()> {
        self.inner.networks.remove(network, &|members| self.in_use(network, members))?;
        if !network.config_only {
            self.inner.events.tell("network", "destroy", &network.id, network.attributes());
        }
        Ok(())
    }

    /// Docker's sentence about who is on it.
    fn in_use(&self, network: &Network, members: &[Member]) -> Error {
        let told: Vec<_> = members
            .iter()
            .map(|member| {
                let container = self.inner.registry.by_id(&member.container);
                let name = container.map(|container| container.configuration().name.clone());
                let id: String = member.endpoint.chars().take(12).collect();
                format!("name:\"{}\" id:\"{id}\"", name.unwrap_or_default())
            })
            .collect();
        Error::forbidden(format!(
            "error while removing network: network {} has active endpoints ({})",
            network.name,
            told.join(", ")
        ))
    }

    /// `POST /networks/prune`.
    pub async fn network_prune(&self, filters: &Filters) -> Result<PruneReport> {
        filters.validate(&KEYS)?;
        let choice = Choice::new(filters)?;
        let mut deleted = Vec::new();
        for network in self.inner.networks.list() {
            let kept = network.is_predefined()
                || network.config_only
                || !choice.admits(Some(network.created), &network.labels)
                || !self.inner.networks.members(&network.id).is_empty();
            if kept {
                continue;
            }
            let (engine, pruned) = (self.clone(), network.clone());
            // One that was joined meanwhile, or can't be removed, stays; the others are removed.
            match blocking(move || engine.remove_network(&pruned)).await {
                Ok(()) => deleted.push(network.name.clone()),
                Err(error) => tracing::warn!(network = network.name, %error, "not pruned"),
            }
        }
        let attributes = [("reclaimed".to_owned(), "0".to_owned())].into();
        self.inner.events.tell("network", "prune", "", attributes);
        Ok(PruneReport { networks_deleted: (!deleted.is_empty()).then_some(deleted) })
    }
}

impl Networks {
    /// Removes a network that nobody is on; else `in_use` says so. Blocking.
    pub(super) fn remove(&self, network: &Arc<Network>, in_use: &dyn Fn(&[Member]) -> Error) -> Result<()> {
        let _changing = self.change();
        if self.find(&network.id).is_err() {
            return Err(Error::not_found(format!("network {} not found", network.name)));
        }
        if network.config_only && self.list().iter().any(|other| other.config_from == network.name) {
            let name = &network.name;
            return Err(Error::forbidden(format!(
                "error while removing network: configuration network \"{name}\" is in use"
            )));
        }
        self.close(network).map_err(|members| in_use(&members))?;
        let removed = self.rows.put(network, Phase::Removing).and_then(|()| self.remove_links(network));
        if let Err(error) = removed {
            // Its row says that it goes; as long as this engine lives it is still there, and can be removed again.
            self.reopen(network);
            return Err(error);
        }
        self.rows.remove(&network.id)?;
        self.forget(network);
        Ok(())
    }

    /// Takes a network's links away; one that other networks sit on too stays. All networks must be known.
    pub(super) fn remove_links(&self, network: &Network) -> Result<()> {
        self.kernel.remove(network)?;
        let Some(parent) = network.driver.parent() else { return Ok(()) };
        let networks = self.list();
        let mut others = networks.iter().filter(|other| other.id != network.id);
        match others.any(|other| other.driver.parent() == Some(parent)) {
            true => Ok(()),
            false => self.kernel.remove_parent(parent),
        }
    }
}
