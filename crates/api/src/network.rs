//! Networks on the wire: settings and endpoints of containers, networks themselves, and how packets travel.

use crate::json::wire;
use crate::port::PortMap;
use std::collections::BTreeMap;

wire! {
    /// The endpoints asked for at `create`.
    pub struct NetworkingConfig {
        /// By network name; `null` asks for an endpoint without wishes.
        pub endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
    }

    /// A container's network, in inspect.
    pub struct NetworkSettings {
        /// The daemon's bridge, when it was set.
        pub bridge: String,
        /// The network namespace's identifier.
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        /// The network namespace's path.
        pub sandbox_key: String,
        /// Published ports.
        pub ports: Option<PortMap>,
        /// Obsolete.
        pub hairpin_mode: bool,
        /// Obsolete.
        #[serde(rename = "LinkLocalIPv6Address")]
        pub link_local_ipv6_address: String,
        /// Obsolete.
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        pub link_local_ipv6_prefix_len: i64,
        /// Obsolete.
        #[serde(rename = "SecondaryIPAddresses")]
        pub secondary_ip_addresses: Option<Vec<Address>>,
        /// Obsolete.
        #[serde(rename = "SecondaryIPv6Addresses")]
        pub secondary_ipv6_addresses: Option<Vec<Address>>,
        /// The default bridge's endpoint.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// Its gateway.
        pub gateway: String,
        /// Its IPv6 address.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// The length of that prefix.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// Its IPv4 address.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// The length of that prefix.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// Its IPv6 gateway.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// Its hardware address.
        pub mac_address: String,
        /// Endpoints by network.
        pub networks: Option<BTreeMap<String, EndpointSettings>>,
    }

    /// An address with the length of its prefix.
    pub struct Address {
        /// The address.
        pub addr: String,
        /// The length of its prefix.
        pub prefix_len: i64,
    }

    /// A container's endpoint in a network.
    pub struct EndpointSettings {
        /// The addresses asked for.
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpamConfig>,
        /// Legacy links.
        pub links: Option<Vec<String>>,
        /// Further names.
        pub aliases: Option<Vec<String>>,
        /// The hardware address.
        pub mac_address: String,
        /// Options of the driver.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// Which endpoint gives the default route.
        pub gw_priority: i64,
        /// The network's identifier.
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        /// The endpoint's identifier.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// The gateway.
        pub gateway: String,
        /// The IPv4 address.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// The length of that prefix.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// The IPv6 gateway.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// The IPv6 address.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// The length of that prefix.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// All names it answers to.
        #[serde(rename = "DNSNames")]
        pub dns_names: Option<Vec<String>>,
    }

    /// The addresses asked for an endpoint.
    pub struct EndpointIpamConfig {
        /// The IPv4 address.
        #[serde(rename = "IPv4Address")]
        opt ipv4_address: String,
        /// The IPv6 address.
        #[serde(rename = "IPv6Address")]
        opt ipv6_address: String,
        /// Link-local addresses.
        #[serde(rename = "LinkLocalIPs")]
        opt link_local_ips: Vec<String>,
    }

    /// `GET /networks`, `GET /networks/{id}`: one network.
    pub struct Network {
        /// Its name.
        pub name: String,
        /// Its identifier.
        pub id: String,
        /// When it was made.
        pub created: String,
        /// `local` or `swarm`.
        pub scope: String,
        /// Its driver.
        pub driver: String,
        /// Whether it has IPv4.
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: bool,
        /// Whether it has IPv6.
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        /// Its addresses.
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        /// Whether it is cut off from outside.
        pub internal: bool,
        /// Whether containers may attach to a global network.
        pub attachable: bool,
        /// Whether it is the swarm's routing mesh.
        pub ingress: bool,
        /// The network its configuration is taken from.
        pub config_from: ConfigReference,
        /// Whether it is only a configuration.
        pub config_only: bool,
        /// Endpoints by container.
        pub containers: BTreeMap<String, NetworkContainer>,
        /// Options of the driver.
        pub options: Option<BTreeMap<String, String>>,
        /// Its labels.
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// A network's addresses.
    pub struct Ipam {
        /// The driver.
        pub driver: String,
        /// Its options.
        pub options: Option<BTreeMap<String, String>>,
        /// The subnets.
        pub config: Option<Vec<IpamConfig>>,
    }

    /// One subnet.
    pub struct IpamConfig {
        /// The subnet.
        opt subnet: String,
        /// The part of it from which addresses are given.
        #[serde(rename = "IPRange")]
        opt ip_range: String,
        /// The gateway.
        opt gateway: String,
        /// Addresses that are not given.
        #[serde(rename = "AuxiliaryAddresses")]
        opt auxiliary_addresses: BTreeMap<String, String>,
    }

    /// The network a configuration is taken from.
    pub struct ConfigReference {
        /// Its name.
        pub network: String,
    }

    /// A container in a network.
    pub struct NetworkContainer {
        /// Its name.
        pub name: String,
        /// The endpoint's identifier.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// The hardware address.
        pub mac_address: String,
        /// The IPv4 address with its prefix.
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        /// The IPv6 address with its prefix.
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// `POST /networks/create`: a network to be made.
    pub struct CreateRequest {
        /// Its name.
        pub name: String,
        /// Obsolete: names are always unique.
        opt check_duplicate: Option<bool>,
        /// Its driver; empty for `bridge`.
        pub driver: String,
        /// `local` or `swarm`; empty for the driver's own.
        pub scope: String,
        /// Whether it has IPv4; `null` for the driver's default.
        #[serde(rename = "EnableIPv4")]
        opt enable_ipv4: Option<bool>,
        /// Whether it has IPv6; `null` for the driver's default.
        #[serde(rename = "EnableIPv6")]
        opt enable_ipv6: Option<bool>,
        /// Its addresses.
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        /// Whether it is cut off from outside.
        pub internal: bool,
        /// Whether containers may attach to a global network.
        pub attachable: bool,
        /// Whether it is the swarm's routing mesh.
        pub ingress: bool,
        /// Whether it is only a configuration.
        pub config_only: bool,
        /// The network its configuration is taken from.
        pub config_from: Option<ConfigReference>,
        /// Options of the driver.
        pub options: Option<BTreeMap<String, String>>,
        /// Its labels.
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// The network that was made.
    pub struct CreateResponse {
        /// Its identifier.
        pub id: String,
        /// What the user should know.
        pub warning: String,
    }

    /// `POST /networks/{id}/connect`.
    pub struct ConnectRequest {
        /// The container.
        pub container: String,
        /// What is asked for its endpoint.
        opt endpoint_config: Option<EndpointSettings>,
    }

    /// `POST /networks/{id}/disconnect`.
    pub struct DisconnectRequest {
        /// The container.
        pub container: String,
        /// Whether it is done even when the container is gone.
        pub force: bool,
    }

    /// `GET /boxship/network/why`: how a packet to an address would travel.
    pub struct Why {
        /// What becomes of it, in one word: `delivered`, `refused` or `dropped`.
        pub verdict: String,
        /// The same in one sentence.
        pub summary: String,
        /// The stations on its way, in their order.
        pub steps: Vec<WhyStep>,
    }

    /// One station of a packet's way.
    pub struct WhyStep {
        /// Where: `prerouting`, `forward`, `container web`.
        #[serde(rename = "Where")]
        pub place: String,
        /// What happens to it there.
        pub what: String,
        /// The rule that decides, as `nft` writes it.
        opt rule: String,
    }

    /// `POST /networks/prune`.
    pub struct PruneReport {
        /// The networks removed.
        pub networks_deleted: Option<Vec<String>>,
    }
}
