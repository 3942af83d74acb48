//! A container's network as its driver handles it: made with each start, taken apart with each end, met again by an
//! engine that opens. What a run has is kept beside its other run-time files, so that it outlives a daemon that is
//! killed and not the machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxship_api::network::EndpointSettings;
use boxship_net::ports::Published;
use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use super::driver::Driver;
use super::links;
use super::network_files::{self, Addressing};
use super::state::State;
use crate::network::endpoint::{Owner, Place, dns_names, numbered};
use crate::network::publish::{self, Wish};
use crate::network::sandbox::{Sandbox, Surroundings, drop_ports};
use crate::network::{Endpoint, Network, asked};
use crate::{Engine, Error, Kind, Result, error::blocking};

/// Its file in the container's run-time folder.
const FILE: &str = "network.json";
/// What Docker puts before a reason why a network could not be set up.
const PREFIX: &str = "failed to set up container networking";

/// What a run has on networks, as its file keeps it and everybody reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Connections {
    /// Its endpoints, in the order in which it joined.
    pub(crate) endpoints: Vec<Endpoint>,
    /// What is published.
    pub(crate) ports: Vec<Published>,
    /// Ports that are offered at its networks and not published.
    pub(crate) exposed: bool,
}

impl Connections {
    fn of(sandbox: &Sandbox) -> Self {
        let exposed = sandbox.places().iter().any(|p| p.network.bridge().is_some() && !p.network.internal);
        Self { endpoints: sandbox.endpoints(), ports: sandbox.ports().to_vec(), exposed }
    }

    /// Reads those of a run; `None` when there are none, or none that can be understood.
    fn read(directory: &Path) -> Option<Self> {
        let path = directory.join(FILE);
        let text = std::fs::read(&path).ok()?;
        let found = serde_json::from_slice(&text);
        found.inspect_err(|error| tracing::warn!(%error, path = %path.display(), "not understood")).ok()
    }

    /// Writes them; whoever reads sees the old or the new ones.
    fn write(&self, directory: &Path) -> Result<()> {
        let (path, new) = (directory.join(FILE), directory.join("network.json.new"));
        let text = serde_json::to_vec(self).expect("connections have string keys only");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(|error| Error::caused(Kind::Internal, format!("write {}", path.display()), error))
    }
}

/// Endpoints asked for, its main network's first.
pub(super) fn asked(configuration: &Configuration) -> Vec<(String, EndpointSettings)> {
    if configuration.config.network_disabled {
        return Vec::new();
    }
    asked::endpoints(&configuration.host_config, configuration.networking.as_ref())
}

/// Whether it has a network of its own to speak of.
fn has_network(configuration: &Configuration) -> bool {
    !configuration.config.network_disabled && configuration.host_config.network_mode.container().is_none()
}

fn owner(configuration: &Configuration) -> Owner<'_> {
    let sysctls = &configuration.host_config.sysctls;
    let off = |name: &str| sysctls.get(name).is_some_and(|value| value.trim() == "1");
    Owner {
        id: &configuration.id,
        name: &configuration.name,
        hostname: &configuration.config.hostname,
        without_ipv6: off("net.ipv6.conf.all.disable_ipv6") || off("net.ipv6.conf.default.disable_ipv6"),
    }
}

/// Whether other containers live in this one's network namespace.
fn is_shared(engine: &Engine, id: &str) -> bool {
    engine.inner.registry.all().iter().filter(|other| other.state().is_alive()).any(|other| {
        let configuration = other.configuration();
        let joined = configuration.host_config.network_mode.container();
        joined.is_some_and(|name| engine.inner.registry.find(name).is_ok_and(|donor| donor.id == id))
    })
}

/// The engine's side of a container's network.
fn around<'a>(engine: &'a Engine, configuration: &'a Configuration) -> Surroundings<'a> {
    let (container, name) = (&configuration.id, &configuration.name);
    Surroundings { networks: &engine.inner.networks, names: &engine.inner.names, container, name }
}

/// The network an endpoint was asked for: by its identifier when that is known, else by its name.
pub(super) fn find(engine: &Engine, name: &str, settings: &EndpointSettings) -> Result<Arc<Network>> {
    let user_defined = boxship_api::container::NetworkMode::from(name).is_user_defined();
    let known = user_defined && !settings.network_id.is_empty();
    engine.inner.networks.named(if known { &settings.network_id } else { name })
}

/// Leases for all endpoints asked for, or for none.
fn lease_all(engine: &Engine, configuration: &Configuration) -> Result<Vec<Place>> {
    let networks = &engine.inner.networks;
    let mut places = Vec::new();
    // `--bridge none`: who asks for no other network gets a loopback only, as with Docker.
    let is_there = |name: &str| name != "bridge" || engine.config().network.has_bridge();
    for (name, settings) in asked(configuration).into_iter().filter(|(name, _)| is_there(name)) {
        let place = find(engine, &name, &settings)
            .and_then(|network| Place::lease(networks, network, owner(configuration), &settings, &[]));
        match place {
            Ok(place) => places.push(place),
            Err(error) => {
                places.iter().for_each(|place| place.release(networks));
                return Err(error);
            }
        }
    }
    numbered(&places).inspect_err(|_| places.iter().for_each(|place| place.release(networks)))
}

/// The network could not be set up, as Docker tells it.
pub(super) fn explain(error: Error) -> Error {
    Error::new(error.kind(), format!("{PREFIX}: {error}"))
}

/// Leases addresses and makes the namespace; `None` for a container without a network of its own.
pub(super) fn create(engine: &Engine, configuration: &Configuration) -> Result<Option<Sandbox>> {
    if !has_network(configuration) {
        return Ok(None);
    }
    let places = lease_all(engine, configuration)?;
    let around = around(engine, configuration);
    let shim = engine.store().paths().exec_container(&configuration.id);
    Sandbox::create(around, shim, &engine.inner.namespaces, places.clone()).map(Some).inspect_err(|_| {
        places.iter().for_each(|place| place.release(around.networks));
    })
}

/// What its files have to say about addresses. `strict`: at its start the containers it links to must run.
pub(super) fn addressing(
    engine: &Engine,
    configuration: &Configuration,
    sandbox: Option<&Sandbox>,
    strict: bool,
) -> Result<Addressing> {
    let places = sandbox.map(Sandbox::places).unwrap_or_default();
    Ok(Addressing {
        own: places.iter().flat_map(Place::addresses).collect(),
        host_gateway: engine.inner.networks.host_gateway(),
        links: links::hosts(engine, configuration, strict)?,
        resolver: sandbox.is_some_and(Sandbox::wants_resolver),
    })
}

/// Attaches, routes, publishes, serves names: everything of the kernel's, while the shim makes the container. The
/// sandbox comes back in any case, to be lowered when this failed.
pub(super) async fn raise(
    engine: Engine,
    configuration: Arc<Configuration>,
    sandbox: Option<Sandbox>,
) -> Raised {
    let Some(sandbox) = sandbox else { return Raised { sandbox: None, outcome: Ok(()) } };
    let fallback = |error| Raised { sandbox: None, outcome: Err(error) };
    let work = blocking(move || {
        let mut sandbox = sandbox;
        let outcome = raise_now(&engine, &configuration, &mut sandbox);
        Ok(Raised { sandbox: Some(sandbox), outcome })
    });
    work.await.unwrap_or_else(fallback)
}

/// What came of it.
pub(super) struct Raised {
    pub(super) sandbox: Option<Sandbox>,
    pub(super) outcome: Result<()>,
}

fn raise_now(engine: &Engine, configuration: &Configuration, sandbox: &mut Sandbox) -> Result<()> {
    let began = std::time::Instant::now();
    sandbox.raise(around(engine, configuration), &wishes(configuration)?)?;
    serve_names(engine, configuration, sandbox)?;
    Connections::of(sandbox).write(&engine.store().paths().exec_container(&configuration.id))?;
    tracing::debug!(container = configuration.id, elapsed = ?began.elapsed(), "network set up");
    Ok(())
}

fn wishes(configuration: &Configuration) -> Result<Vec<Wish>> {
    publish::wishes(&configuration.config, &configuration.host_config)
}

fn serve_names(engine: &Engine, configuration: &Configuration, sandbox: &mut Sandbox) -> Result<()> {
    if !sandbox.wants_resolver() {
        return Ok(());
    }
    let upstreams = network_files::upstreams(engine, configuration, sandbox.leads_outside());
    sandbox.serve_names(upstreams.servers, upstreams.ndots_set)
}

/// One more network for a run: its address, its interface, its names, its files.
pub(super) fn join(
    engine: &Engine,
    configuration: &Configuration,
    sandbox: &mut Sandbox,
    pid: u32,
    network: Arc<Network>,
    settings: &EndpointSettings,
) -> Result<()> {
    let networks = &engine.inner.networks;
    let place = Place::lease(networks, network, owner(configuration), settings, sandbox.places())?;
    let joined = wishes(configuration)
        .and_then(|wishes| sandbox.join(around(engine, configuration), pid, place.clone(), &wishes));
    joined.inspect_err(|_| place.release(networks))?;
    serve_names(engine, configuration, sandbox)
}

/// One network less for a run.
pub(super) fn leave(
    engine: &Engine,
    configuration: &Configuration,
    sandbox: &mut Sandbox,
    network_id: &str,
) -> Result<()> {
    let around = around(engine, configuration);
    let left = sandbox.leave(around, network_id, &wishes(configuration)?)?;
    if let Some(place) = left {
        place.release(&engine.inner.networks);
    }
    serve_names(engine, configuration, sandbox)
}

impl Driver {
    /// Its shim is there, its program not yet: the ports that the shim relays become its own.
    pub(super) async fn relay_ports(&mut self) -> Result<()> {
        let Some(mut sandbox) = self.sandbox.take_if(|sandbox| !sandbox.ports().is_empty()) else {
            return Ok(());
        };
        let (engine, configuration) = (self.engine.clone(), self.configuration());
        let work = blocking(move || {
            let outcome = sandbox.relay(around(&engine, &configuration));
            Ok((sandbox, outcome))
        });
        let (sandbox, outcome) = work.await?;
        self.sandbox = Some(sandbox);
        outcome
    }

    /// Changes the networks of a run, off the async threads; its file and state follow.
    pub(super) async fn change_networks(
        &mut self,
        change: impl FnOnce(&Engine, &Configuration, &mut Sandbox) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let Some(mut sandbox) = self.sandbox.take() else {
            return Err(Error::internal("the container's network is not known"));
        };
        let (engine, configuration) = (self.engine.clone(), self.configuration());
        let work = blocking(move || {
            let outcome = change(&engine, &configuration, &mut sandbox);
            Ok((sandbox, outcome))
        });
        let (sandbox, outcome) = work.await?;
        self.sandbox = Some(sandbox);
        self.show_networks().await?;
        self.refresh_files().await?;
        outcome
    }

    /// Brings its files up to its addresses, and to those of containers it links to.
    pub(super) async fn refresh_files(&mut self) -> Result<()> {
        if self.sandbox.is_none() || !self.state().is_alive() {
            return Ok(());
        }
        let configuration = self.configuration();
        let after = addressing(&self.engine, &configuration, self.sandbox.as_ref(), false)?;
        if self.addressing == after {
            return Ok(());
        }
        let (engine, before, new) = (self.engine.clone(), self.addressing.clone(), after.clone());
        blocking(move || network_files::update(&engine, &configuration, &before, &new)).await?;
        self.addressing = after;
        Ok(())
    }

    fn run_folder(&self) -> PathBuf {
        self.engine.store().paths().exec_container(&self.container.id)
    }

    /// Its network is there: everybody sees it, and is told.
    pub(super) fn tell_joined(&self) {
        for place in self.sandbox.iter().flat_map(|sandbox| sandbox.places()) {
            self.tell_network("connect", &place.network);
        }
    }

    pub(super) fn tell_network(&self, action: &str, network: &Network) {
        let mut attributes = network.attributes();
        attributes.insert("container".to_owned(), self.container.id.clone());
        self.engine.inner.events.tell("network", action, &network.id, attributes);
    }

    /// What it has on networks, for its state.
    pub(super) fn connections(&self) -> Arc<Connections> {
        Arc::new(self.sandbox.as_ref().map(Connections::of).unwrap_or_default())
    }

    /// Its end, or a start that failed: gives everything back. Gives the networks it was on.
    pub(super) async fn leave_networks(&mut self) -> Vec<Arc<Network>> {
        let Some(sandbox) = self.sandbox.take() else { return Vec::new() };
        let left = sandbox.places().iter().map(|place| place.network.clone()).collect();
        let (engine, configuration) = (self.engine.clone(), self.configuration());
        let file = self.run_folder().join(FILE);
        let lowered = blocking(move || {
            let remains = sandbox.lower(around(&engine, &configuration));
            if is_shared(&engine, &configuration.id) {
                remains.clear(&engine.inner.networks);
            }
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            }
        });
        if let Err(error) = lowered.await {
            tracing::warn!(container = self.container.id, %error, "network not taken apart");
        }
        left
    }

    /// An engine that opens meets a container that runs: what it has is taken again.
    pub(super) async fn adopt_networks(&mut self, pid: u32) {
        let (engine, configuration) = (self.engine.clone(), self.configuration());
        let directory = self.run_folder();
        let adopted = blocking(move || {
            let Some(found) = Connections::read(&directory) else { return Ok(None) };
            let sandbox = adopt(&engine, &configuration, pid, found);
            let addressing = addressing(&engine, &configuration, Some(&sandbox), false)?;
            Ok(Some((sandbox, addressing)))
        });
        match adopted.await {
            Ok(None) => {}
            Ok(Some((sandbox, addressing))) => {
                (self.sandbox, self.addressing) = (Some(sandbox), addressing);
                let connections = self.connections();
                self.change(|state| state.network = connections);
            }
            Err(error) => tracing::error!(container = self.container.id, %error, "network not met again"),
        }
    }

    /// An engine that opens finds that it has ended: what was published for it is taken back.
    pub(super) async fn forget_networks(&self) {
        if self.sandbox.is_some() || self.state().is_alive() {
            return;
        }
        let (engine, configuration) = (self.engine.clone(), self.configuration());
        let directory = self.run_folder();
        let forgotten = blocking(move || {
            if let Some(found) = Connections::read(&directory) {
                drop_ports(around(&engine, &configuration), &found.ports);
                std::fs::remove_file(directory.join(FILE))?;
            }
            Ok(())
        });
        if let Err(error) = forgotten.await {
            tracing::warn!(container = self.container.id, %error, "network not forgotten");
        }
    }

    /// After a change of the networks of a run: its file, its state.
    pub(super) async fn show_networks(&mut self) -> Result<()> {
        let connections = self.connections();
        self.change(|state| state.network = connections.clone());
        let directory = self.run_folder();
        blocking(move || connections.write(&directory)).await
    }

    /// Its name changed: so do the names it answers to.
    pub(super) async fn rename_endpoints(&mut self) -> Result<()> {
        let configuration = self.configuration();
        let endpoints = asked(&configuration);
        let engine = self.engine.clone();
        let Some(sandbox) = &mut self.sandbox else { return Ok(()) };
        sandbox.rename(around(&engine, &configuration), |place| {
            let settings = endpoints.iter().find(|(name, _)| *name == place.network.name);
            let plain = EndpointSettings::default();
            dns_names(owner(&configuration), settings.map_or(&plain, |(_, settings)| settings))
        });
        self.show_networks().await?;
        self.tell_linked();
        Ok(())
    }
}

/// Takes again what a run has, as its file tells it.
fn adopt(engine: &Engine, configuration: &Configuration, pid: u32, found: Connections) -> Sandbox {
    let networks = &engine.inner.networks;
    let mut places = Vec::new();
    for endpoint in found.endpoints {
        let claimed = networks.find(&endpoint.network_id).and_then(|network| {
            networks.claim(&configuration.id, &endpoint)?;
            Ok(network)
        });
        match claimed {
            Ok(network) => places.push(Place { network, endpoint }),
            Err(error) => {
                tracing::error!(container = configuration.id, network = endpoint.network, %error, "endpoint lost");
            }
        }
    }
    let shim = engine.store().paths().exec_container(&configuration.id);
    let mut sandbox = Sandbox::adopt(around(engine, configuration), shim, pid, places, found.ports);
    if let Err(error) = serve_names(engine, configuration, &mut sandbox) {
        tracing::error!(container = configuration.id, %error, "names are not served");
    }
    sandbox
}

/// What a daemon that is gone had published for containers that may run on: the first firewall of a new one has it too,
/// so that nothing is out of reach in between.
pub(crate) fn published_before(engine: &Engine, containers: &[(Configuration, State)]) -> Vec<Published> {
    let paths = engine.store().paths();
    let found = containers.iter().filter_map(|(configuration, _)| {
        let directory = paths.exec_container(&configuration.id);
        // An end that was recorded.
        if boxship_shim::Exit::read(&directory).is_ok_and(|exit| exit.is_some()) {
            return None;
        }
        Connections::read(&directory)
    });
    found.flat_map(|connections| connections.ports).collect()
}
