//! A network: its configuration as asked for, and what became of it. Immutable, pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_api as api;
use boxship_api::timestamp::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(crate) use super::options::{Bridge, Driver, GatewayMode};

/// The default bridge's name.
pub(crate) const BRIDGE: &str = "bridge";
/// The names of the networks that are always there.
pub(crate) const PREDEFINED: [&str; 3] = [BRIDGE, "host", "none"];
/// Auxiliary addresses of these names are where a bridge's members send what is for elsewhere.
const GATEWAY_KEYS: [&str; 2] = ["DefaultGatewayIPv4", "DefaultGatewayIPv6"];

/// A network. Its row is this, in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, nanoseconds since 1970.
    pub created: i64,
    /// Its driver with what its options mean.
    pub driver: Driver,
    /// Options of the driver, as asked for.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Cut off: nothing goes in or out, only among its members.
    pub internal: bool,
    /// Accepted and told, without a meaning on one host.
    pub attachable: bool,
    /// Only a configuration for others: nobody can be on it.
    pub config_only: bool,
    /// The network its configuration was taken from; empty: none.
    pub config_from: String,
    /// Its subnets, resolved; the first of a family is the one that addresses come from when none is asked for.
    pub subnets: Vec<Subnet>,
    /// The address management, as asked for.
    pub ipam: api::network::Ipam,
}

/// One subnet of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// The whole.
    pub subnet: IpNet,
    /// The part that addresses are given from.
    pub range: Option<IpNet>,
    /// Where members send what is not for the subnet; the host's own address on a bridge.
    pub gateway: Option<IpAddr>,
    /// Addresses that are never given, by name.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

impl Subnet {
    /// Whether it is of IPv6.
    pub(crate) fn is_v6(&self) -> bool {
        matches!(self.subnet, IpNet::V6(_))
    }

    /// The host's own address on it, with the prefix.
    pub(crate) fn host_address(&self) -> Option<IpNet> {
        IpNet::new(self.gateway?, self.subnet.prefix_len()).ok()
    }
}

impl Network {
    /// Whether the engine itself made it: `bridge`, `host`, `none`.
    pub(crate) fn is_predefined(&self) -> bool {
        PREDEFINED.contains(&self.name.as_str())
    }

    /// Whether it is the default bridge: no names there, and links.
    pub(crate) fn is_default_bridge(&self) -> bool {
        self.name == BRIDGE
    }

    /// Whether its members find each other by name.
    pub(crate) fn has_names(&self) -> bool {
        !self.is_predefined()
    }

    /// The bridge's options, if it is one.
    pub(crate) fn bridge(&self) -> Option<&Bridge> {
        match &self.driver {
            Driver::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    /// Whether the user chose its subnets of a family: only then may a member choose its address.
    pub(crate) fn has_asked_subnets(&self, v6: bool) -> bool {
        let asked = self.ipam.config.iter().flatten();
        asked
            .filter_map(|config| config.subnet.parse::<IpNet>().ok())
            .any(|net| matches!(net, IpNet::V6(_)) == v6)
    }

    /// The subnets of a family.
    pub(crate) fn subnets_of(&self, v6: bool) -> impl Iterator<Item = &Subnet> {
        self.subnets.iter().filter(move |subnet| subnet.is_v6() == v6)
    }

    /// The subnet an address is of.
    pub(crate) fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.subnet.contains(&address))
    }

    /// Where a member with this address sends what is for elsewhere; nowhere on internal networks.
    pub(crate) fn gateway_for(&self, address: IpAddr) -> Option<IpAddr> {
        let subnet = self.subnet_of(address)?;
        if self.internal || self.is_routed_by_interface() {
            return None;
        }
        let chosen = GATEWAY_KEYS.iter().find_map(|key| subnet.auxiliary.get(*key).copied());
        chosen.filter(|_| self.bridge().is_some()).or(subnet.gateway)
    }

    /// Whether members send everything straight to the interface (ipvlan in its l3 modes).
    pub(crate) fn is_routed_by_interface(&self) -> bool {
        matches!(&self.driver, Driver::Ipvlan(ipvlan) if ipvlan.mode != "l2")
    }

    /// Name and driver: the attributes of its events.
    pub(crate) fn attributes(&self) -> BTreeMap<String, String> {
        [("name".to_owned(), self.name.clone()), ("type".to_owned(), self.driver_name().to_owned())].into()
    }

    /// Docker's name of its driver; a configuration has the one that does nothing.
    pub(crate) fn driver_name(&self) -> &'static str {
        if self.config_only { "null" } else { self.driver.name() }
    }

    /// As the API tells it, without its members.
    pub(crate) fn answer(&self) -> api::network::Network {
        api::network::Network {
            name: self.name.clone(),
            id: self.id.clone(),
            created: Timestamp::from_nanos(i128::from(self.created)).rfc3339_nano(),
            scope: "local".to_owned(),
            driver: self.driver_name().to_owned(),
            enable_ipv4: self.ipv4,
            enable_ipv6: self.ipv6,
            ipam: self.ipam_answer(),
            internal: self.internal,
            attachable: self.attachable,
            config_only: self.config_only,
            config_from: api::network::ConfigReference { network: self.config_from.clone() },
            options: Some(self.options.clone()),
            labels: Some(self.labels.clone()),
            ..Default::default()
        }
    }

    /// Families that were asked about are told as asked, the others as they became.
    fn ipam_answer(&self) -> api::network::Ipam {
        let mut config = Vec::new();
        for v6 in [false, true] {
            let asked = self.ipam.config.iter().flatten().filter(|c| c.subnet.contains(':') == v6);
            config.extend(asked.cloned());
        }
        for v6 in [false, true].into_iter().filter(|v6| !self.has_asked_subnets(*v6)) {
            config.extend(self.subnets_of(v6).map(|subnet| api::network::IpamConfig {
                subnet: subnet.subnet.to_string(),
                gateway: subnet.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
                ..Default::default()
            }));
        }
        api::network::Ipam {
            driver: "default".to_owned(),
            options: self.ipam.options.clone(),
            config: (!config.is_empty()).then_some(config),
        }
    }
}
