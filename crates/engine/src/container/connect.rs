//! Connect and disconnect: networks of a container change, at once when it runs, else with its next start. What was
//! asked for is durable first; a run that cannot follow takes it back.

use std::sync::Arc;

use boxship_api::container::NetworkMode;
use boxship_api::network::EndpointSettings;

use super::configuration::Configuration;
use super::driver::Driver;
use super::network::{self, asked};
use super::request::Request;
use super::state::Status;
use crate::network::{Driver as NetworkDriver, Network, asked as judged};
use crate::{Engine, Error, Kind, Result, error::blocking};

const SHARED: &str = "container sharing network namespace with another container or host cannot be connected to any other network";
const NO_HOST: &str =
    "cannot connect container to host network - container must be created in host network mode";
const STAYS_ON_HOST: &str =
    "cannot disconnect container from host network - container was created in host network mode";
const PRIVATE: &str =
    "container cannot be connected to multiple networks with one of the networks in private (none) mode";

impl Engine {
    /// `POST /networks/{id}/connect`.
    pub async fn network_connect(
        &self,
        network: &str,
        container: &str,
        settings: EndpointSettings,
    ) -> Result<()> {
        let (container, network) = (self.inner.registry.find(container)?, network.to_owned());
        let settings = Box::new(settings);
        container.ask(|reply| Request::Connect { network, settings, reply }).await
    }

    /// `POST /networks/{id}/disconnect`.
    pub async fn network_disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let (found, network) = (self.inner.registry.find(container), network.to_owned());
        let found = match found {
            // By force an endpoint can be removed whose container is gone; here endpoints go with them.
            Err(error) if force && error.kind() == Kind::NotFound => {
                self.inner.networks.find(&network)?;
                return Err(Error::not_found(format!("endpoint {container} not found")));
            }
            found => found?,
        };
        found.ask(|reply| Request::Disconnect { network, force, reply }).await
    }
}

/// Whether a container that is asked to be on these networks may be on one more; Docker's rules.
fn fits(
    configuration: &Configuration,
    others: &[(String, EndpointSettings)],
    network: &Network,
) -> Result<()> {
    let mode = &configuration.host_config.network_mode;
    if mode.container().is_some() {
        return Err(Error::invalid(SHARED));
    }
    let is_host = network.driver == NetworkDriver::Host;
    if is_host && !mode.is_host() {
        return Err(Error::invalid(NO_HOST));
    }
    // It would run in the host's namespace all the same, also when it has left the host's network.
    if mode.is_host() && !is_host {
        return Err(Error::invalid(SHARED));
    }
    for name in others.iter().map(|(name, _)| NetworkMode::from(name.as_str())) {
        if name.is_host() || is_host {
            return Err(Error::invalid(SHARED));
        }
        if name.is_none() || network.driver == NetworkDriver::Null {
            return Err(Error::invalid(PRIVATE));
        }
    }
    Ok(())
}

impl Driver {
    fn check_changeable(&self) -> Result<()> {
        match self.state().status {
            Status::Removing | Status::Dead => Err(Error::internal(format!(
                "Container {} is marked for removal and cannot be connected or disconnected to the network",
                self.container.id
            ))),
            _ => Ok(()),
        }
    }

    pub(super) async fn connect(&mut self, reference: &str, mut settings: EndpointSettings) -> Result<()> {
        self.check_changeable()?;
        let configuration = self.configuration();
        let network = self.engine.inner.networks.find(reference)?;
        judged::check(Some(&network), &network.name, &settings).map_err(Error::invalid)?;
        judged::forget_results(&mut settings);
        let others = asked(&configuration);
        let runs = self.state().is_alive();
        if others.iter().any(|(name, _)| *name == network.name) {
            // Docker leaves a stopped container as it is.
            return match runs {
                true => Err(Error::forbidden(format!(
                    "endpoint with name {} already exists in network {}",
                    configuration.name, network.name
                ))),
                false => Ok(()),
            };
        }
        fits(&configuration, &others, &network)?;
        let mut changed = (*configuration).clone();
        endpoints_of(&mut changed, others).insert(network.name.clone(), Some(settings.clone()));
        // A container without any network is on its way back to one.
        changed.config.network_disabled = false;
        self.keep(changed).await?;
        if !runs {
            return Ok(());
        }
        if let Err(error) = self.join(network.clone(), settings).await {
            self.keep((*configuration).clone()).await?;
            return Err(error);
        }
        self.tell_network("connect", &network);
        Ok(())
    }

    pub(super) async fn disconnect(&mut self, reference: &str, force: bool) -> Result<()> {
        let configuration = self.configuration();
        let others = asked(&configuration);
        let networks = &self.engine.inner.networks;
        // Its own network's name is not taken for the beginning of another's identifier.
        let found = match others.iter().any(|(name, _)| name == reference) {
            true => networks.named(reference),
            false => networks.find(reference),
        };
        let runs = self.state().is_alive();
        let name = match &found {
            Ok(network) => network.name.clone(),
            // Of a network that is gone only the wish is left.
            Err(_) if force || !runs => reference.to_owned(),
            Err(error) => return Err(Error::new(error.kind(), error.to_string())),
        };
        self.check_changeable()?;
        if !others.iter().any(|(other, _)| *other == name) {
            let the = if runs { "" } else { "the " };
            let id = &self.container.id;
            return Err(Error::internal(format!("container {id} is not connected to {the}network {name}")));
        }
        let network = found.ok();
        if network.as_ref().is_some_and(|network| network.driver == NetworkDriver::Host) && runs {
            return Err(Error::invalid(STAYS_ON_HOST));
        }
        let mut changed = (*configuration).clone();
        endpoints_of(&mut changed, others).remove(&name);
        self.keep(changed).await?;
        if let Some(network) = network.filter(|_| runs) {
            self.leave(&network).await?;
            self.tell_network("disconnect", &network);
        }
        Ok(())
    }

    /// Writes a changed configuration durably and shows it.
    async fn keep(&mut self, configuration: Configuration) -> Result<()> {
        let (engine, row) = (self.engine.clone(), configuration.clone());
        blocking(move || engine.inner.rows.update(&row)).await?;
        self.adopt(configuration);
        Ok(())
    }

    async fn join(&mut self, network: Arc<Network>, settings: EndpointSettings) -> Result<()> {
        let pid = self.state().pid;
        self.change_networks(move |engine, configuration, sandbox| {
            network::join(engine, configuration, sandbox, pid, network, &settings)
        })
        .await
    }

    async fn leave(&mut self, network: &Network) -> Result<()> {
        let id = network.id.clone();
        self.change_networks(move |engine, configuration, sandbox| {
            network::leave(engine, configuration, sandbox, &id)
        })
        .await
    }
}

/// The endpoints asked for, to be changed: those in force when none were named.
fn endpoints_of(
    configuration: &mut Configuration,
    asked: Vec<(String, EndpointSettings)>,
) -> &mut std::collections::BTreeMap<String, Option<EndpointSettings>> {
    let networking = configuration.networking.get_or_insert_default();
    networking
        .endpoints_config
        .get_or_insert_with(|| asked.into_iter().map(|(name, settings)| (name, Some(settings))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::endpoint::tests::network;

    #[test]
    fn networks_that_do_not_go_together() {
        let mine = network("mine", false);
        let host = Network { driver: NetworkDriver::Host, ..(*mine).clone() };
        let none = Network { driver: NetworkDriver::Null, ..(*mine).clone() };
        for (mode, others, network, expect) in [
            ("bridge", &["bridge"][..], &*mine, None),
            ("bridge", &[], &*mine, None),
            ("bridge", &["bridge"], &host, Some(NO_HOST)),
            ("host", &["host"], &*mine, Some(SHARED)),
            ("host", &[], &*mine, Some(SHARED)),
            ("host", &[], &host, None),
            ("none", &["none"], &*mine, Some(PRIVATE)),
            ("bridge", &["bridge"], &none, Some(PRIVATE)),
            ("container:x", &[], &*mine, Some(SHARED)),
        ] {
            let mut configuration = Configuration::default();
            configuration.host_config.network_mode = mode.into();
            let others: Vec<_> =
                others.iter().map(|name| ((*name).to_owned(), EndpointSettings::default())).collect();
            let outcome = fits(&configuration, &others, network).err().map(|error| error.to_string());
            assert_eq!(outcome.as_deref(), expect, "{mode}");
        }
    }

    #[test]
    fn the_default_network_is_one_that_can_be_left() {
        let mut configuration = Configuration::default();
        let asked = network::asked(&configuration);
        endpoints_of(&mut configuration, asked).remove("bridge");
        assert!(network::asked(&configuration).is_empty());
    }
}
