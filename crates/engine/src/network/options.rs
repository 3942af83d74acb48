//! What the options of a network's driver mean. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_oci::go;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// Whether there is IPv4, and IPv6: of every driver.
pub(super) const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
/// See [`ENABLE_IPV4`].
pub(super) const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";
const MTU: &str = "com.docker.network.driver.mtu";

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

impl Default for Bridge {
    fn default() -> Self {
        Self {
            link: String::new(),
            foreign: false,
            icc: true,
            masquerade: true,
            mtu: 0,
            host_binding: None,
            inhibit_ipv4: false,
            gateway_mode4: GatewayMode::Nat,
            gateway_mode6: GatewayMode::Nat,
            interface_prefix: "eth".to_owned(),
        }
    }
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
    /// The host's link.
    pub parent: String,
    /// `bridge`, `private`, `vepa` or `passthru`.
    pub mode: String,
}

/// The ipvlan driver's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ipvlan {
    /// The host's link.
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

    /// The link of the host that it sits on, without a bridge.
    pub(crate) fn parent(&self) -> Option<&str> {
        match self {
            Self::Macvlan(macvlan) => Some(&macvlan.parent),
            Self::Ipvlan(ipvlan) => Some(&ipvlan.parent),
            Self::Bridge(_) | Self::Host | Self::Null => None,
        }
    }

    /// Whether its parent leads nowhere: none was named.
    pub(crate) fn is_without_parent(&self, id: &str) -> bool {
        self.parent().is_some_and(|parent| parent == lonely_parent(self.name(), id))
    }

    /// From the name and the options of a request. `id` names links that have no name of their own.
    pub(crate) fn parse(
        name: &str,
        id: &str,
        internal: bool,
        options: &BTreeMap<String, String>,
    ) -> Result<Self> {
        match name {
            "" | "bridge" | "default" => Bridge::parse(id, internal, options).map(Self::Bridge),
            "macvlan" => {
                options.keys().try_for_each(|key| known(name, key, &["parent", "macvlan_mode"]))?;
                let mode = choice(options, "macvlan_mode", &["bridge", "private", "vepa", "passthru"]);
                let mode = mode.map_err(|mode| {
                    Error::invalid(format!(
                        "requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default"
                    ))
                })?;
                Ok(Self::Macvlan(Macvlan { parent: parent(name, id, options)?, mode }))
            }
            "ipvlan" => {
                let keys = ["parent", "ipvlan_mode", "ipvlan_flag"];
                options.keys().try_for_each(|key| known(name, key, &keys))?;
                let mode = choice(options, "ipvlan_mode", &["l2", "l3", "l3s"]).map_err(|mode| {
                    Error::invalid(format!(
                        "requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default"
                    ))
                })?;
                let flag = choice(options, "ipvlan_flag", &["bridge", "private", "vepa"]).map_err(|flag| {
                    Error::invalid(format!(
                        "requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
                    ))
                })?;
                Ok(Self::Ipvlan(Ipvlan { parent: parent(name, id, options)?, mode, flag }))
            }
            "host" | "null" => {
                Err(Error::forbidden(format!("only one instance of \"{name}\" network is allowed")))
            }
            "overlay" => Err(Error::forbidden(
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
                 node to swarm and try again.",
            )),
            other => Err(Error::not_found(format!(
                "could not find plugin {other} in v1 plugin registry: plugin not found"
            ))),
        }
    }
}

/// Refuses options without a meaning: unlike Docker's, this driver ignores none. Families are judged elsewhere.
fn known(driver: &str, key: &str, keys: &[&str]) -> Result<()> {
    match keys.iter().chain(&[ENABLE_IPV4, ENABLE_IPV6]).any(|known| *known == key) {
        true => Ok(()),
        false => Err(Error::invalid(format!("the {driver} driver has no option {key}"))),
    }
}

/// One of the allowed words; the first is the default.
fn choice(
    options: &BTreeMap<String, String>,
    key: &str,
    allowed: &[&str],
) -> std::result::Result<String, String> {
    match options.get(key).map(String::as_str) {
        None | Some("") => Ok(allowed[0].to_owned()),
        Some(word) if allowed.contains(&word) => Ok(word.to_owned()),
        Some(word) => Err(word.to_owned()),
    }
}

fn parent(driver: &str, id: &str, options: &BTreeMap<String, String>) -> Result<String> {
    match options.get("parent").map(String::as_str) {
        None | Some("") => Ok(lonely_parent(driver, id)),
        Some("lo") => Err(Error::invalid(format!("loopback interface is not a valid {driver} parent link"))),
        Some(link) => link_name(link),
    }
}

/// The name of the link that is made where none was named, as Docker calls it.
fn lonely_parent(driver: &str, id: &str) -> String {
    let prefix = if driver == "ipvlan" { "di" } else { "dm" };
    format!("{prefix}-{}", &id[..12])
}

/// The link and the tag that the name of a VLAN's link says: `eth0.50`.
pub(super) fn vlan(name: &str) -> std::result::Result<(&str, u16), String> {
    let (of, tag) =
        name.split_once('.').ok_or_else(|| format!("the parent link {name} was not found on the host"))?;
    if of.is_empty() || tag.contains('.') {
        return Err(format!(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
        ));
    }
    let number = tag
        .parse::<i64>()
        .map_err(|_| format!("unable to parse a valid vlan id from: {tag} (ex. eth0.10 for vlan 10)"))?;
    let id = u16::try_from(number).ok().filter(|id| (1..=4094).contains(id));
    Ok((of, id.ok_or_else(|| format!("vlan id must be between 1-4094, received: {number}"))?))
}

/// A link's name, as the kernel allows it.
pub(crate) fn link_name(name: &str) -> Result<String> {
    let fits = (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%'));
    if fits { Ok(name.to_owned()) } else { Err(Error::invalid(format!("invalid interface name: {name:?}"))) }
}

impl Bridge {
    fn parse(id: &str, internal: bool, options: &BTreeMap<String, String>) -> Result<Self> {
        let mut bridge = Self { link: format!("br-{}", &id[..12]), ..Self::default() };
        for (key, value) in options {
            bridge.set(key, value)?;
        }
        let isolated = [bridge.gateway_mode4, bridge.gateway_mode6].contains(&GatewayMode::Isolated);
        if isolated && !internal {
            return Err(Error::invalid("gateway mode 'isolated' can only be used for an internal network"));
        }
        Ok(bridge)
    }

    /// One option.
    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let failed = |why: &str| Error::invalid(format!("failed to parse {key} value: {value} ({why})"));
        let switch = || go::boolean(value).map_err(|why| failed(&why));
        match key {
            BRIDGE_NAME => self.link = link_name(value)?,
            MTU => self.mtu = mtu(value).map_err(|why| failed(&why))?,
            "com.docker.network.bridge.enable_ip_masquerade" => self.masquerade = switch()?,
            "com.docker.network.bridge.enable_icc" => self.icc = switch()?,
            "com.docker.network.bridge.inhibit_ipv4" => self.inhibit_ipv4 = switch()?,
            "com.docker.network.bridge.gateway_mode_ipv4" => {
                self.gateway_mode4 = mode(value).map_err(|w| failed(&w))?
            }
            "com.docker.network.bridge.gateway_mode_ipv6" => {
                self.gateway_mode6 = mode(value).map_err(|w| failed(&w))?
            }
            "com.docker.network.bridge.host_binding_ipv4" => {
                self.host_binding = Some(value.parse().map_err(|_| failed("nil ip"))?);
            }
            "com.docker.network.container_iface_prefix" => self.interface_prefix = interface_prefix(value)?,
            "com.docker.network.bridge.default_bridge" if !switch()? => {}
            "com.docker.network.bridge.default_bridge"
            | "com.docker.network.bridge.trusted_host_interfaces"
            | "com.docker.network.host_ipv4"
            | "com.docker.network.host_ipv6" => {
                return Err(Error::invalid(format!("driver option {key} is not supported")));
            }
            _ => known("bridge", key, &[])?,
        }
        Ok(())
    }

    /// The mode of a family.
    pub(crate) fn gateway_mode(&self, v6: bool) -> GatewayMode {
        if v6 { self.gateway_mode6 } else { self.gateway_mode4 }
    }
}

/// The number that stands behind it has to fit too.
fn interface_prefix(value: &str) -> Result<String> {
    match link_name(value)? {
        name if name.len() <= 12 => Ok(name),
        name => Err(Error::invalid(format!("interface prefix {name:?} is longer than 12 characters"))),
    }
}

fn mode(value: &str) -> std::result::Result<GatewayMode, String> {
    Ok(match value {
        "nat" => GatewayMode::Nat,
        "nat-unprotected" => GatewayMode::NatUnprotected,
        "routed" => GatewayMode::Routed,
        "isolated" => GatewayMode::Isolated,
        _ => return Err(format!("unknown gateway mode {value}")),
    })
}

/// Smaller ones carry no IPv4, larger ones no link.
fn mtu(value: &str) -> std::result::Result<u32, String> {
    match value.parse::<u32>() {
        Ok(mtu) if mtu == 0 || (68..=65_535).contains(&mtu) => Ok(mtu),
        Ok(_) => Err("it must be between 68 and 65535".to_owned()),
        Err(_) => Err(format!("strconv.Atoi: parsing {value:?}: invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";

    fn parse(driver: &str, internal: bool, options: &[(&str, &str)]) -> Result<Driver> {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Driver::parse(driver, ID, internal, &options)
    }

    #[test]
    fn bridges() {
        let Driver::Bridge(plain) = parse("", false, &[(ENABLE_IPV6, "true")]).unwrap() else { panic!() };
        assert_eq!(plain, Bridge { link: "br-0123456789ab".into(), ..Bridge::default() });
        let options = [
            (BRIDGE_NAME, "br7"),
            (MTU, "9000"),
            ("com.docker.network.bridge.enable_icc", "false"),
            ("com.docker.network.bridge.gateway_mode_ipv6", "routed"),
            ("com.docker.network.bridge.host_binding_ipv4", "127.0.0.1"),
        ];
        let Driver::Bridge(bridge) = parse("bridge", false, &options).unwrap() else { panic!() };
        assert_eq!((bridge.link.as_str(), bridge.mtu, bridge.icc), ("br7", 9000, false));
        assert_eq!(bridge.gateway_mode(true), GatewayMode::Routed);
        assert_eq!(bridge.host_binding, Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_refused() {
        let icc = "com.docker.network.bridge.enable_icc";
        let mode4 = "com.docker.network.bridge.gateway_mode_ipv4";
        for (driver, options, expect) in [
            ("nope", &[][..], "could not find plugin nope in v1 plugin registry: plugin not found"),
            ("bridge", &[("foo", "x")], "the bridge driver has no option foo"),
            ("macvlan", &[("foo", "x")], "the macvlan driver has no option foo"),
            ("host", &[], "only one instance of \"host\" network is allowed"),
            ("bridge", &[(BRIDGE_NAME, "a/b")], "invalid interface name: \"a/b\""),
            ("bridge", &[(BRIDGE_NAME, "br%d")], "invalid interface name: \"br%d\""),
            ("bridge", &[(BRIDGE_NAME, "0123456789abcdef")], "invalid interface name: \"0123456789abcdef\""),
            (
                "bridge",
                &[(MTU, "x")],
                "failed to parse com.docker.network.driver.mtu value: x (strconv.Atoi: parsing \"x\": invalid syntax)",
            ),
            (
                "bridge",
                &[(icc, "so")],
                "failed to parse com.docker.network.bridge.enable_icc value: so (strconv.ParseBool: parsing \"so\": invalid syntax)",
            ),
            (
                "bridge",
                &[(mode4, "isolated")],
                "gateway mode 'isolated' can only be used for an internal network",
            ),
            ("macvlan", &[("parent", "lo")], "loopback interface is not a valid macvlan parent link"),
            (
                "ipvlan",
                &[("parent", "eth0"), ("ipvlan_mode", "l4")],
                "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default",
            ),
        ] {
            assert_eq!(parse(driver, false, options).unwrap_err().to_string(), expect);
        }
        assert!(parse("bridge", true, &[(mode4, "isolated")]).is_ok());
    }

    #[test]
    fn parents() {
        for (driver, options, expect, without) in [
            ("macvlan", &[("parent", "eth0.50")][..], "eth0.50", false),
            ("macvlan", &[], "dm-0123456789ab", true),
            ("ipvlan", &[("parent", "")], "di-0123456789ab", true),
        ] {
            let driver = parse(driver, false, options).unwrap();
            assert_eq!((driver.parent(), driver.is_without_parent(ID)), (Some(expect), without));
        }
        assert_eq!(parse("", false, &[]).unwrap().parent(), None);
        for (name, expect) in [
            ("eth0.50", Ok(("eth0", 50))),
            ("eth0.4094", Ok(("eth0", 4094))),
            ("eth0", Err("the parent link eth0 was not found on the host")),
            ("eth0.4095", Err("vlan id must be between 1-4094, received: 4095")),
            ("eth0.-1", Err("vlan id must be between 1-4094, received: -1")),
            ("eth0.x", Err("unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)")),
            (
                "eth0.1.2",
                Err(
                    "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received eth0.1.2",
                ),
            ),
        ] {
            assert_eq!(vlan(name), expect.map_err(str::to_owned), "{name}");
        }
    }
}
