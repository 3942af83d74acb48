//! What the daemon tells the engine about networks at open. Read-only afterwards.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use boxship_net::ipam::Pool;
use ipnet::{Ipv4Net, Ipv6Net};

/// Where a Docker that has run on this host keeps its networks.
const DOCKERS_NETWORKS: &str = "/var/lib/docker/network";

/// How published ports meet the host's own input rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirewallMode {
    /// As Docker: they bypass them.
    #[default]
    Docker,
    /// A new connection has to pass the host's input rules first.
    Honest,
    /// The firewall is the administrator's: no table is made (`iptables: false`).
    Off,
}

/// The settings of networks.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The default bridge's link: `None` is our own, made at need; `none` says that there shall be no default bridge.
    pub bridge: Option<String>,
    /// The default bridge's own address with the prefix (`bip`).
    pub bip: Option<Ipv4Net>,
    /// The same for IPv6 (`bip6`).
    pub bip6: Option<Ipv6Net>,
    /// The part of the default bridge's subnet that addresses are given from.
    pub fixed_cidr: Option<Ipv4Net>,
    /// The default bridge's IPv6 subnet, or the part of it that addresses are given from.
    pub fixed_cidr_v6: Option<Ipv6Net>,
    /// The default bridge's default route, when it isn't the bridge.
    pub default_gateway: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub default_gateway_v6: Option<Ipv6Addr>,
    /// Whether the default bridge has IPv6.
    pub ipv6: bool,
    /// Packet size on the default bridge; 0: the kernel's.
    pub mtu: u32,
    /// Whether the default bridge's containers reach each other.
    pub icc: bool,
    /// Whether the default bridge's outgoing packets take the host's address.
    pub ip_masq: bool,
    /// Whether forwarding is turned on in the kernel where networks need it.
    pub ip_forward: bool,
    /// Where ports of the default bridge are published when nothing is said; `None`: everywhere.
    pub host_binding: Option<IpAddr>,
    /// Ranges that subnets are cut from; empty: Docker's.
    pub pools: Vec<Pool>,
    /// Default options of new networks, by driver.
    pub default_options: BTreeMap<String, BTreeMap<String, String>>,
    /// The addresses of `host-gateway`; empty: the default bridge's.
    pub host_gateway: Vec<IpAddr>,
    /// How published ports meet the host's own rules.
    pub firewall: FirewallMode,
    /// Whether published ports that no firewall carries are relayed (`userland-proxy`).
    pub relays: bool,
}

impl NetworkConfig {
    /// No default bridge, no firewall: nothing of the host is touched unless a network is created.
    pub fn detached() -> Self {
        Self { bridge: Some("none".to_owned()), firewall: FirewallMode::Off, ..Self::default() }
    }

    /// Whether there is a default bridge.
    pub fn has_bridge(&self) -> bool {
        self.bridge.as_deref() != Some("none")
    }

    /// Whether the administrator has wishes about the default bridge that may turn out impossible.
    pub(super) fn is_particular(&self) -> bool {
        self.bridge.is_some()
            || self.bip.is_some()
            || self.bip6.is_some()
            || self.fixed_cidr.is_some()
            || self.fixed_cidr_v6.is_some()
            || self.default_gateway.is_some()
            || self.default_gateway_v6.is_some()
    }

    /// The pools in force.
    pub fn pools(&self) -> Vec<Pool> {
        match self.pools.as_slice() {
            [] if Path::new(DOCKERS_NETWORKS).exists() => Pool::beside_docker(),
            [] => Pool::defaults(),
            asked => asked.to_vec(),
        }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            bridge: None,
            bip: None,
            bip6: None,
            fixed_cidr: None,
            fixed_cidr_v6: None,
            default_gateway: None,
            default_gateway_v6: None,
            ipv6: false,
            mtu: 0,
            icc: true,
            ip_masq: true,
            ip_forward: true,
            host_binding: None,
            pools: Vec::new(),
            default_options: BTreeMap::new(),
            host_gateway: Vec::new(),
            firewall: FirewallMode::Docker,
            relays: true,
        }
    }
}
