//! A network: its configuration as asked for, and what became of it. Immutable, pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_api as api;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The default bridge's name.
pub(crate) const BRIDGE: &str = "bridge";

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
    /// Made by the engine itself: `bridge`, `host`, `none`.
    pub predefined: bool,
    /// Its subnets, resolved; the first of a family is the one that addresses come from when none is asked for.
    pub subnets: Vec<Subnet>,
    /// Options of the address management, as asked for; `None`: none were.
    pub ipam_options: Option<BTreeMap<String, String>>,
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

/// What carries a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Driver {
    /// A bridge of the host.
    Bridge(Bridge),
    /// Further hardware addresses on a link of the host.
    Macvlan(Macvlan),
    /// Further addresses on a link of the host.
    Ipvlan(Ipvlan),
    /// The host's own.
    Host,
    /// None.
    Null,
}

/// The bridge driver's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bridge {
    /// The link's name.
    pub link: String,
    /// The link is the administrator's: never made, addressed or removed by us.
    pub foreign: bool,
    /// Members reach each other.
    pub icc: bool,
    /// Outgoing packets take the host's address.
    pub masquerade: bool,
    /// Packet size; 0: the kernel's.
    pub mtu: u32,
    /// Where ports are published when nothing is said.
    pub host_binding: Option<IpAddr>,
    /// Whether the bridge has no IPv4 address of its own.
    pub inhibit_ipv4: bool,
    /// How IPv4 meets the outside.
    pub gateway_mode4: GatewayMode,
    /// How IPv6 meets the outside.
    pub gateway_mode6: GatewayMode,
    /// Beginning of the interfaces' names inside: `eth`.
    pub interface_prefix: String,
}

/// `com.docker.network.bridge.gateway_mode_ipv4` and `_ipv6`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GatewayMode {
    /// Ports are published by address translation; outgoing packets masquerade.
    #[default]
    Nat,
    /// Published ports are open at the container's own address; nothing is translated.
    Routed,
    /// The host has no address on the bridge (internal networks only).
    Isolated,
    /// As `Nat`, and every port is open at the container's own address.
    NatUnprotected,
}

/// The macvlan driver's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Macvlan {
    /// The host's link; empty: one of our own, cut off.
    pub parent: String,
    /// `bridge`, `private`, `vepa` or `passthru`.
    pub mode: String,
}

/// The ipvlan driver's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ipvlan {
    /// The host's link; empty: one of our own, cut off.
    pub parent: String,
    /// `l2`, `l3` or `l3s`.
    pub mode: String,
    /// `bridge`, `private` or `vepa`.
    pub flag: String,
}

impl Driver {
    /// Docker's name of it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Bridge(_) => "bridge",
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

impl Network {
    /// Whether it is the default bridge: no names there, and links.
    pub(crate) fn is_default_bridge(&self) -> bool {
        self.predefined && self.name == BRIDGE
    }

    /// Whether its members find each other by name.
    pub(crate) fn has_names(&self) -> bool {
        !self.predefined
    }

    /// The bridge's options, if it is one.
    pub(crate) fn bridge(&self) -> Option<&Bridge> {
        match &self.driver {
            Driver::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    /// The subnets of a family.
    pub(crate) fn subnets_of(&self, v6: bool) -> impl Iterator<Item = &Subnet> {
        self.subnets.iter().filter(move |subnet| matches!(subnet.subnet, IpNet::V6(_)) == v6)
    }

    /// The subnet an address is of.
    pub(crate) fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.subnet.contains(&address))
    }

    /// Where a member with this address sends what is for elsewhere; nowhere on internal networks.
    pub(crate) fn gateway_for(&self, address: IpAddr) -> Option<IpAddr> {
        let subnet = self.subnet_of(address)?;
        if self.internal { None } else { subnet.gateway }
    }

    /// The attributes of its events.
    pub(crate) fn attributes(&self) -> BTreeMap<String, String> {
        [("name".to_owned(), self.name.clone()), ("type".to_owned(), self.driver.name().to_owned())].into()
    }

    /// As the API tells it, without its members.
    pub(crate) fn answer(&self) -> api::network::Network {
        use api::timestamp::Timestamp;
        let texts = |map: &BTreeMap<String, IpAddr>| {
            map.iter().map(|(name, address)| (name.clone(), address.to_string())).collect()
        };
        let config = self.subnets.iter().map(|subnet| api::network::IpamConfig {
            subnet: subnet.subnet.to_string(),
            ip_range: subnet.range.map(|range| range.to_string()).unwrap_or_default(),
            gateway: subnet.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
            auxiliary_addresses: texts(&subnet.auxiliary),
        });
        api::network::Network {
            name: self.name.clone(),
            id: self.id.clone(),
            created: Timestamp::from_nanos(i128::from(self.created)).rfc3339_nano(),
            scope: "local".to_owned(),
            driver: self.driver.name().to_owned(),
            enable_ipv4: self.ipv4,
            enable_ipv6: self.ipv6,
            ipam: api::network::Ipam {
                driver: "default".to_owned(),
                options: self.ipam_options.clone(),
                config: Some(config.collect()),
            },
            internal: self.internal,
            attachable: self.attachable,
            options: Some(self.options.clone()),
            labels: Some(self.labels.clone()),
            ..Default::default()
        }
    }
}
