//! A container's network while it runs: its namespace, its interfaces in it, the host's ports held for it, its
//! resolver. Made before its shim is launched, taken apart after its end; what fails halfway is undone in reverse.
//!
//! One driver owns it, nobody else touches it. Everything here but [`Sandbox::serve_names`] is blocking.

use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxship_net::namespace::Namespace;
use boxship_net::pool::Pool;
use boxship_net::ports::{Held, Published};
use boxship_net::resolver::{Resolver, Settings, Upstream};

use super::endpoint::{self, Place};
use super::names::{Directory, Scope};
use super::publish::{self, Wish};
use super::{Endpoint, Networks, relay};
use crate::{Error, Result};

/// See the module.
pub(crate) struct Sandbox {
    /// Where the container lives; `None` when it has no interfaces: on the host's network, on none, or on none any more.
    namespace: Option<Namespace>,
    /// Its endpoints, in the order in which it joined.
    places: Vec<Place>,
    /// What is published.
    ports: Vec<Published>,
    /// The host's ports, held for as long as they are published.
    held: Vec<Held>,
    /// The folder of its run: there its shim listens.
    shim: PathBuf,
    /// What it can resolve.
    scope: Arc<Scope>,
    /// Who answers it.
    resolver: Option<Resolver>,
}

/// The engine's side of it.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The networks.
    pub networks: &'a Networks,
    /// Everybody's names.
    pub names: &'a Arc<Directory>,
    /// The container's identifier.
    pub container: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl Sandbox {
    /// With endpoints whose addresses are leased; nothing is attached yet.
    fn new(
        around: Surroundings<'_>,
        shim: PathBuf,
        namespace: Option<Namespace>,
        places: Vec<Place>,
    ) -> Self {
        let scope = Arc::new(Scope::new(around.names.clone(), &places));
        let (ports, held) = (Vec::new(), Vec::new());
        Self { namespace, places, ports, held, shim, scope, resolver: None }
    }

    /// For a new run: in a namespace of its own when there will be interfaces.
    pub(crate) fn create(
        around: Surroundings<'_>,
        shim: PathBuf,
        namespaces: &Pool,
        places: Vec<Place>,
    ) -> Result<Self> {
        let needed = places.iter().any(|place| !place.endpoint.interface.is_empty());
        let namespace = if needed { Some(namespaces.take()?) } else { None };
        Ok(Self::new(around, shim, namespace, places))
    }

    /// Where the runtime finds the namespace for as long as this is there: by descriptor, for nothing is mounted on the
    /// host's tree.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let descriptor = self.namespace.as_ref()?.as_fd().as_raw_fd();
        Some(format!("/proc/{}/fd/{descriptor}", std::process::id()).into())
    }

    fn namespace(&self) -> Result<&Namespace> {
        self.namespace
            .as_ref()
            .ok_or_else(|| Error::internal("the container has no network namespace of its own"))
    }

    /// Its endpoints.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Its endpoints, for its state.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.places.iter().map(|place| place.endpoint.clone()).collect()
    }

    /// What is published.
    pub(crate) fn ports(&self) -> &[Published] {
        &self.ports
    }

    /// Has its shim, which is there by now, relay what the firewall doesn't carry.
    pub(crate) fn relay(&mut self, around: Surroundings<'_>) -> Result<()> {
        if !around.networks.relays() {
            return Ok(());
        }
        let firewall = around.networks.firewall()?.is_some();
        relay::begin(&self.shim, &self.ports, &mut self.held, firewall)
    }

    /// Attaches all interfaces, sets the default routes, publishes the ports; the names are told. What was done when
    /// something fails is undone by [`Sandbox::lower`].
    pub(crate) fn raise(&mut self, around: Surroundings<'_>, wishes: &[Wish]) -> Result<()> {
        for place in &self.places {
            self.attach(around, place)?;
        }
        self.route()?;
        self.publish(around, wishes)?;
        self.places.iter().for_each(|place| around.names.set(place));
        Ok(())
    }

    fn attach(&self, around: Surroundings<'_>, place: &Place) -> Result<()> {
        around.networks.prepare(&place.network)?;
        let mark = around.networks.alias(&format!("{}:{}", around.container, place.endpoint.id));
        let Some(attachment) = place.attachment(mark) else { return Ok(()) };
        Ok(self.namespace()?.attach(around.networks.links()?, &attachment)?)
    }

    fn route(&self) -> Result<()> {
        let (v4, v6) = endpoint::default_routes(&self.places);
        match &self.namespace {
            Some(namespace) => Ok(namespace.set_default(v4.as_ref(), v6.as_ref())?),
            None => Ok(()),
        }
    }

    /// Holds and publishes the ports at the endpoints that give the default routes.
    fn publish(&mut self, around: Surroundings<'_>, wishes: &[Wish]) -> Result<()> {
        let (v4, v6) = endpoint::doors(&self.places);
        let relays = around.networks.relays();
        let (held, ports) = publish::hold(around.networks.ports(), wishes, v4.as_ref(), v6.as_ref(), relays)
            .map_err(|error| {
                let first = endpoint::by_preference(&self.places).first().copied();
                let (name, id) = (around.name, first.map_or("", |place| place.endpoint.id.as_str()));
                Error::new(
                    error.kind(),
                    format!(
                        "driver failed programming external connectivity on endpoint {name} ({id}): {error}"
                    ),
                )
            })?;
        carry(around, &ports)?;
        (self.held, self.ports) = (held, ports);
        Ok(())
    }

    fn unpublish(&mut self, around: Surroundings<'_>) {
        drop_ports(around, &self.ports);
        self.ports.clear();
        self.held.clear();
    }

    /// Joins one more network of a running container, by its process. What fails leaves it as it was.
    pub(crate) fn join(
        &mut self,
        around: Surroundings<'_>,
        pid: u32,
        place: Place,
        wishes: &[Wish],
    ) -> Result<()> {
        if self.namespace.is_none() {
            self.namespace = Some(namespace_of(pid)?);
        }
        let before = endpoint::doors(&self.places);
        self.attach(around, &place)?;
        self.places.push(place);
        let moved = self.settle(around, before, wishes);
        if let Err(error) = moved {
            let place = self.places.pop();
            if let Some(place) = place {
                self.remove_link(around, &place);
            }
            if let Err(error) = self.settle(around, (None, None), wishes) {
                tracing::warn!(container = around.container, %error, "network not as it was");
            }
            return Err(error);
        }
        if let Some(place) = self.places.last() {
            around.names.set(place);
        }
        self.scope.set(&self.places);
        Ok(())
    }

    /// Leaves a network of a running container; gives the endpoint back, its addresses still taken.
    pub(crate) fn leave(
        &mut self,
        around: Surroundings<'_>,
        network_id: &str,
        wishes: &[Wish],
    ) -> Result<Option<Place>> {
        let Some(at) = self.places.iter().position(|place| place.network.id == network_id) else {
            return Ok(None);
        };
        let before = endpoint::doors(&self.places);
        let place = self.places.remove(at);
        around.names.remove(&place);
        self.scope.set(&self.places);
        self.remove_link(around, &place);
        self.settle(around, before, wishes)?;
        Ok(Some(place))
    }

    /// Default routes and ports after a change; ports move only when their door did.
    fn settle(
        &mut self,
        around: Surroundings<'_>,
        before: (Option<publish::Door>, Option<publish::Door>),
        wishes: &[Wish],
    ) -> Result<()> {
        self.route()?;
        if endpoint::doors(&self.places) == before {
            return Ok(());
        }
        relay::end(&self.shim, &self.ports)?;
        self.unpublish(around);
        self.publish(around, wishes)?;
        self.relay(around)
    }

    /// Takes a link away; it may be gone with its namespace already.
    fn remove_link(&self, around: Surroundings<'_>, place: &Place) {
        let endpoint = &place.endpoint;
        if endpoint.interface.is_empty() {
            return;
        }
        let removed = match endpoint.host_interface.as_str() {
            "" => self.namespace.as_ref().map_or(Ok(()), |namespace| namespace.detach(&endpoint.interface)),
            host => around.networks.links().map_or(Ok(()), |links| links.remove(host)),
        };
        if let Err(error) = removed {
            let link = &endpoint.host_interface;
            tracing::warn!(container = around.container, link, %error, "interface not removed");
        }
    }

    /// The names of its endpoints changed: everybody is told.
    pub(crate) fn rename(&mut self, around: Surroundings<'_>, names: impl Fn(&Place) -> Vec<String>) {
        for place in self.places.iter_mut().filter(|place| !place.endpoint.dns_names.is_empty()) {
            place.endpoint.dns_names = names(place);
            around.names.set(place);
        }
    }

    /// Whether a resolver is needed: names exist only on networks that users made.
    pub(crate) fn wants_resolver(&self) -> bool {
        self.places.iter().any(|place| place.network.has_names())
    }

    /// Whether it reaches what is outside.
    pub(crate) fn leads_outside(&self) -> bool {
        endpoint::leads_outside(&self.places)
    }

    /// Starts its resolver, or tells the one it has of changed servers. Within a tokio runtime.
    pub(crate) fn serve_names(&mut self, upstreams: Vec<Upstream>, ndots_set: bool) -> Result<()> {
        if let Some(resolver) = &self.resolver {
            resolver.set_upstreams(upstreams);
            return Ok(());
        }
        let settings = Settings { names: self.scope.clone(), upstreams, ndots_set };
        self.resolver = Some(Resolver::serve(self.namespace()?, settings)?);
        Ok(())
    }

    /// A container that ran on while no engine was there: what it holds is taken again, and published if it is not.
    pub(crate) fn adopt(
        around: Surroundings<'_>,
        shim: PathBuf,
        pid: u32,
        places: Vec<Place>,
        ports: Vec<Published>,
    ) -> Self {
        let complain = |error: &Error| {
            tracing::error!(container = around.container, %error, "network not wholly met again");
        };
        let needed = places.iter().any(|place| !place.endpoint.interface.is_empty());
        let namespace = needed.then(|| namespace_of(pid).inspect_err(complain).ok()).flatten();
        let mut sandbox = Self::new(around, shim, namespace, places);
        let relayed = relay::already(&sandbox.shim, &ports);
        sandbox.held = publish::hold_again(around.networks.ports(), &ports, &relayed);
        sandbox.places.iter().for_each(|place| around.names.set(place));
        // Its networks first, where the kernel lost them.
        let prepared = sandbox.places.iter().try_for_each(|place| around.networks.prepare(&place.network));
        if let Err(error) = prepared.and_then(|()| carry(around, &ports)) {
            complain(&error);
        }
        sandbox.ports = ports;
        if let Err(error) = sandbox.relay(around) {
            complain(&error);
        }
        sandbox
    }

    /// Takes everything apart that is there: when this returns, ports and addresses are free for others. What is left
    /// is to be removed at leisure.
    pub(crate) fn lower(mut self, around: Surroundings<'_>) -> Remains {
        self.resolver = None;
        self.places.iter().for_each(|place| around.names.remove(place));
        self.unpublish(around);
        let mut links = Vec::new();
        for place in self.places.iter().rev() {
            match place.endpoint.host_interface.as_str() {
                "" => self.remove_link(around, place),
                host => match around.networks.links().and_then(|links| Ok(links.cut(host)?)) {
                    Ok(()) => links.push(host.to_owned()),
                    Err(_) => self.remove_link(around, place),
                },
            }
            place.release(around.networks);
        }
        Remains { links, namespace: self.namespace }
    }
}

/// Links that nothing passes any more. The kernel takes some twenty milliseconds to remove one, which nobody should
/// have to wait for: it does so by itself when the last hold on the namespace goes, which is ours, unless other
/// containers have joined it.
pub(crate) struct Remains {
    links: Vec<String>,
    namespace: Option<Namespace>,
}

impl Remains {
    /// Removes them from a namespace that others live on in. Blocking.
    pub(crate) fn clear(self, networks: &Networks) {
        for link in &self.links {
            let removed = networks.links().and_then(|links| Ok(links.remove(link)?));
            if let Err(error) = removed {
                tracing::warn!(link, %error, "interface not removed");
            }
        }
        drop(self.namespace);
    }
}

/// Has the firewall carry ports, and keep internal networks from those that are relayed.
fn carry(around: Surroundings<'_>, ports: &[Published]) -> Result<()> {
    match around.networks.firewall()? {
        Some(firewall) if !ports.is_empty() => Ok(firewall.publish(ports)?),
        _ => Ok(()),
    }
}

/// Has the firewall carry ports no more.
pub(crate) fn drop_ports(around: Surroundings<'_>, ports: &[Published]) {
    if !ports.is_empty()
        && let Ok(Some(firewall)) = around.networks.firewall()
        && let Err(error) = firewall.unpublish(ports)
    {
        tracing::warn!(container = around.container, %error, "ports not unpublished");
    }
}

/// The namespace of a process.
fn namespace_of(pid: u32) -> Result<Namespace> {
    Ok(Namespace::open(Path::new(&format!("/proc/{pid}/ns/net")))?)
}
