//! A container's place on a network while it runs: what its state keeps, so that a daemon that starts anew knows it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_net::MacAddress;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoint {
    /// Its identifier: 64 hexadecimal digits.
    pub id: String,
    /// The network's identifier.
    pub network_id: String,
    /// The network's name, as it was at the time.
    pub network: String,
    /// The interface's name inside; empty on `host` and `none`.
    pub interface: String,
    /// The name of the cable's end on the host; empty when there is none.
    pub host_interface: String,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// Its IPv4 address with the subnet's prefix.
    pub ipv4: Option<Ipv4Net>,
    /// Its IPv6 address with the subnet's prefix.
    pub ipv6: Option<Ipv6Net>,
    /// Where the rest of IPv4 goes.
    pub gateway4: Option<IpAddr>,
    /// Where the rest of IPv6 goes.
    pub gateway6: Option<IpAddr>,
    /// The names it answers to on this network: container, aliases, short identifier.
    pub dns_names: Vec<String>,
    /// Legacy links: alias to container, as asked for.
    pub links: Vec<String>,
    /// Options of the driver, as asked for.
    pub driver_opts: BTreeMap<String, String>,
    /// Which endpoint gives the default route: the highest.
    pub gateway_priority: i64,
}
