//! Making a network: judged, subnets chosen, row written, kernel told, row finished; what fails takes all of it back.

use std::collections::BTreeMap;

use boxship_api::network::{CreateRequest, CreateResponse};
use boxship_net::ipam::Pool;
use boxship_oci::go;
use ipnet::IpNet;

use super::Networks;
use super::kernel::{Owner, foreign_daemon};
use super::model::{Driver, GatewayMode, Network, PREDEFINED};
use super::options::{ENABLE_IPV4, ENABLE_IPV6};
use super::rows::Phase;
use super::subnets::{self, Used, Wanted};
use crate::{Engine, Error, Result, error::blocking};

/// A name is told in events and in names of the resolver: a sane length.
const LONGEST_NAME: usize = 255;

impl Engine {
    /// `POST /networks/create`.
    pub async fn network_create(&self, request: CreateRequest) -> Result<CreateResponse> {
        let engine = self.clone();
        blocking(move || {
            let network = engine.inner.networks.create(request)?;
            engine.inner.events.tell("network", "create", &network.id, network.attributes());
            Ok(CreateResponse { id: network.id.clone(), warning: String::new() })
        })
        .await
    }
}

impl Networks {
    /// Makes a network. Blocking.
    pub(super) fn create(&self, request: CreateRequest) -> Result<std::sync::Arc<Network>> {
        judge_name(&request.name)?;
        let _changing = self.change();
        if self.has_name(&request.name) {
            return Err(Error::conflict(format!("network with name {} already exists", request.name)));
        }
        let request = self.with_configuration(request)?;
        let network = self.plan(request)?;
        self.rows.put(&network, Phase::Making)?;
        let finished = self
            .kernel
            .ensure(&network)
            .and_then(|()| self.rows.put(&network, Phase::Made))
            .and_then(|()| self.insert(network.clone(), true));
        if finished.is_err() {
            self.take_back(&network);
        }
        finished
    }

    /// Removes what a failed creation made. What can't be removed now is when the engine opens next.
    fn take_back(&self, network: &Network) {
        let removed = self.remove_links(network).and_then(|()| self.rows.remove(&network.id));
        if let Err(error) = removed {
            tracing::warn!(network = network.name, %error, "half-made network not removed");
        }
    }

    /// `config-from`: what another network keeps is what was asked for.
    fn with_configuration(&self, mut request: CreateRequest) -> Result<CreateRequest> {
        let Some(from) = request.config_from.as_ref().map(|from| from.network.clone()) else {
            return Ok(request);
        };
        if from.is_empty() {
            return Ok(request);
        }
        if request.config_only {
            return Err(Error::forbidden(
                "a configuration network cannot depend on another configuration network",
            ));
        }
        let ipam = request.ipam.clone().unwrap_or_default();
        let filled = |map: &Option<BTreeMap<String, String>>| map.as_ref().is_some_and(|map| !map.is_empty());
        if request.enable_ipv4 == Some(false)
            || request.enable_ipv6 == Some(true)
            || filled(&request.labels)
            || filled(&ipam.options)
            || ipam.config.is_some_and(|config| !config.is_empty())
        {
            return Err(Error::forbidden(
                "user specified configurations are not supported if the network depends on a configuration network",
            ));
        }
        if filled(&request.options) {
            return Err(Error::forbidden(
                "network driver options are not supported if the network depends on a configuration network",
            ));
        }
        let source = self.find(&from).ok().filter(|network| network.config_only && network.name == from);
        let source = source
            .ok_or_else(|| Error::not_found(format!("configuration network \"{from}\" does not exist")))?;
        request.enable_ipv4 = Some(source.ipv4);
        request.enable_ipv6 = Some(source.ipv6);
        request.labels = Some(source.labels.clone());
        request.options = Some(source.options.clone());
        request.ipam = Some(source.ipam.clone());
        Ok(request)
    }

    /// The network that will be: nothing is made yet.
    fn plan(&self, request: CreateRequest) -> Result<Network> {
        refuse_swarm(&request)?;
        let id = new_id()?;
        let driver_name = if request.driver.is_empty() { "bridge" } else { &request.driver };
        let mut options = request.options.unwrap_or_default();
        if request.config_from.as_ref().is_none_or(|from| from.network.is_empty()) {
            for (key, value) in self.config.default_options.get(driver_name).into_iter().flatten() {
                options.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let ipv4 = family_switch(request.enable_ipv4, ENABLE_IPV4, true, &mut options)?;
        let ipv6 = family_switch(request.enable_ipv6, ENABLE_IPV6, false, &mut options)?;
        let ipam = request.ipam.unwrap_or_default();
        if !matches!(ipam.driver.as_str(), "" | "default") {
            let driver = ipam.driver;
            return Err(Error::not_found(format!(
                "could not find plugin {driver} in v1 plugin registry: plugin not found"
            )));
        }
        subnets::validate(ipam.config.as_deref().unwrap_or_default(), ipv6)?;
        let driver = match request.config_only {
            true => Driver::Null,
            false => Driver::parse(driver_name, &id, request.internal, &options)?,
        };
        // What sits on nothing leads nowhere.
        let internal = request.internal || driver.is_without_parent(&id);
        let mut network = Network {
            id,
            name: request.name,
            created: now(),
            driver,
            options,
            labels: request.labels.unwrap_or_default(),
            ipv4,
            ipv6,
            internal,
            attachable: request.attachable,
            config_only: request.config_only,
            config_from: request.config_from.map(|from| from.network).unwrap_or_default(),
            subnets: Vec::new(),
            ipam,
        };
        if !network.config_only {
            self.judge_links(&mut network)?;
            network.subnets = self.choose_subnets(&network)?;
            self.judge_neighbourhood(&network)?;
        }
        Ok(network)
    }

    /// Links of the host that it wants must not be somebody else's.
    fn judge_links(&self, network: &mut Network) -> Result<()> {
        match &mut network.driver {
            Driver::Bridge(bridge) => {
                if let Some(other) =
                    self.list().iter().find(|n| n.bridge().is_some_and(|b| b.link == bridge.link))
                {
                    return Err(Error::forbidden(format!(
                        "cannot create network {} ({link}): conflicts with network {} ({link}): networks have same \
                         bridge name",
                        network.id,
                        other.id,
                        link = bridge.link,
                    )));
                }
                match self.kernel.owner(&bridge.link)? {
                    Owner::Nobody | Owner::We => {}
                    Owner::Administrator => bridge.foreign = true,
                    Owner::OtherDaemon => return Err(foreign_daemon(&bridge.link)),
                }
            }
            Driver::Macvlan(macvlan) => {
                let (parent, passthru) = (macvlan.parent.clone(), macvlan.mode == "passthru");
                let sharing = |other: &Network| match &other.driver {
                    Driver::Macvlan(its) => its.parent == parent && (passthru || its.mode == "passthru"),
                    _ => false,
                };
                if let Some(other) = self.list().iter().find(|other| sharing(other)) {
                    return Err(Error::invalid(format!(
                        "cannot use mode passthru, macvlan network {} is already using parent interface {parent}",
                        other.id
                    )));
                }
            }
            Driver::Ipvlan(ipvlan) => {
                let parent = &ipvlan.parent;
                let uses = |n: &Network| matches!(&n.driver, Driver::Ipvlan(its) if its.parent == *parent);
                if let Some(other) = self.list().iter().find(|other| uses(other)) {
                    return Err(Error::invalid(format!(
                        "network {} is already using parent interface {parent}",
                        other.name
                    )));
                }
            }
            Driver::Host | Driver::Null => {}
        }
        Ok(())
    }

    fn choose_subnets(&self, network: &Network) -> Result<Vec<subnets::Subnet>> {
        if !network.ipv4 && !network.ipv6 {
            return Err(Error::invalid("IPv4 or IPv6 must be enabled"));
        }
        let taken: Vec<IpNet> = self
            .list()
            .iter()
            .flat_map(|other| other.subnets.iter().map(|s| s.subnet).collect::<Vec<_>>())
            .collect();
        let (routes, pools) = (self.kernel.routes(), self.pools());
        let mut chosen = Vec::new();
        for v6 in [false, true].into_iter().filter(|v6| if *v6 { network.ipv6 } else { network.ipv4 }) {
            let configs = network.ipam.config.iter().flatten();
            let asked: Vec<_> = configs.filter(|config| config.subnet.contains(':') == v6).collect();
            if asked.len() > 1 && network.bridge().is_some() {
                return Err(Error::forbidden("bridge driver doesn't support multiple subnets"));
            }
            let used = Used { networks: &taken, routes: &routes, pools: &pools };
            let without_gateway = needs_no_gateway(network, v6);
            chosen.extend(subnets::resolve(&Wanted { v6, asked, without_gateway }, &used)?);
        }
        Ok(chosen)
    }

    /// A bridge must not take the addresses of a network the host is in: packets from there would be taken for
    /// containers' that come by the wrong way, and the host would be cut off.
    fn judge_neighbourhood(&self, network: &Network) -> Result<()> {
        let Some(bridge) = network.bridge().filter(|bridge| !bridge.foreign) else { return Ok(()) };
        let own = self.kernel.own_addresses(&bridge.link);
        for subnet in network.subnets.iter().map(|subnet| subnet.subnet) {
            let link_local =
                |net: &IpNet| matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local());
            let mut inside = own.iter().filter(|(_, own)| !link_local(own) && subnet.contains(&own.addr()));
            if let Some((link, own)) = inside.next() {
                return Err(Error::forbidden(format!(
                    "subnet {subnet} has the host's own address {} on {link} in it",
                    own.addr()
                )));
            }
        }
        Ok(())
    }

    /// The ranges in force; IPv6 has one always.
    pub(super) fn pools(&self) -> Vec<Pool> {
        let mut pools = self.config.pools();
        if !pools.iter().any(|pool| matches!(pool.base, IpNet::V6(_))) {
            pools.extend(subnets::unique_local(&self.engine_id));
        }
        pools
    }
}

/// Networks whose members have nowhere to send what is for elsewhere, and whose host has no address.
fn needs_no_gateway(network: &Network, v6: bool) -> bool {
    match &network.driver {
        Driver::Bridge(bridge) => {
            bridge.gateway_mode(v6) == GatewayMode::Isolated
                || (!v6 && bridge.inhibit_ipv4 && network.internal)
        }
        Driver::Macvlan(_) => network.internal,
        Driver::Ipvlan(ipvlan) => network.internal || ipvlan.mode != "l2",
        Driver::Host | Driver::Null => true,
    }
}

fn judge_name(name: &str) -> Result<()> {
    if PREDEFINED.contains(&name) || name == "default" {
        return Err(Error::forbidden(format!("operation is not permitted on predefined {name} network ")));
    }
    if name.trim().is_empty() {
        return Err(Error::invalid("invalid name: name is empty"));
    }
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "invalid name: it is longer than {LONGEST_NAME} bytes or has control characters"
        )));
    }
    Ok(())
}

fn refuse_swarm(request: &CreateRequest) -> Result<()> {
    let scoped = !request.scope.is_empty();
    if request.config_only && (request.ingress || request.internal || request.attachable || scoped) {
        return Err(Error::forbidden(
            "configuration network can only contain network specific fields. Network operator fields like [ ingress | \
             internal | attachable | scope ] are not supported.",
        ));
    }
    if request.ingress {
        return Err(Error::forbidden("Ingress network can only be global scope network"));
    }
    match request.scope.as_str() {
        "" | "local" => Ok(()),
        "swarm" => Err(Error::forbidden("cannot create a swarm scoped network when swarm is not active")),
        other => Err(Error::invalid(format!("invalid scope: {other}"))),
    }
}

/// Whether a family is on: the request says so, or an option, or the default.
fn family_switch(
    asked: Option<bool>,
    key: &str,
    default: bool,
    options: &mut BTreeMap<String, String>,
) -> Result<bool> {
    if let Some(asked) = asked {
        // It would look wrong in inspect beside what was asked for.
        options.remove(key);
        return Ok(asked);
    }
    match options.get(key) {
        None => Ok(default),
        Some(value) => go::boolean(value)
            .map_err(|_| Error::invalid(format!("driver-opt \"{key}\" is not a valid bool"))),
    }
}

/// A random identifier.
pub(super) fn new_id() -> Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(format!("draw an id: {error}")))?;
    Ok(boxship_oci::digest::encode_hex(&bytes))
}

/// Nanoseconds since 1970.
pub(super) fn now() -> i64 {
    boxship_api::timestamp::Timestamp::from_system(std::time::SystemTime::now()).to_nanos() as i64
}
