//! What settings mean for networks: dockerd's keys and their checks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use boxship_engine::network::{FirewallMode, NetworkConfig, Pool};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::Value;

use super::settings::Settings;
use super::wrong;
use crate::error::Error;

/// The engine's settings of networks.
pub(super) fn resolve(settings: &Settings) -> Result<NetworkConfig, Error> {
    let on = |name: &str, default: bool| settings.switch(name).unwrap_or(default);
    let bridge = settings.text("bridge").filter(|bridge| !bridge.is_empty()).map(str::to_owned);
    let bip: Option<Ipv4Net> = parsed(settings, "bip", "an IPv4 address with a prefix")?;
    if bridge.is_some() && bip.is_some() {
        return Err(wrong("You specified -b & --bip, mutually exclusive options. Please specify only one"));
    }
    if !on("icc", true) && !firewall_is_on(settings)? {
        return Err(wrong(
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or \
             --iptables to true",
        ));
    }
    if on("allow-direct-routing", false) {
        return Err(wrong(
            "allow-direct-routing is not supported: make networks with -o \
             com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected instead",
        ));
    }
    let ip = parsed::<IpAddr>(settings, "ip", "an IP address")?;
    Ok(NetworkConfig {
        bridge,
        bip,
        bip6: parsed::<Ipv6Net>(settings, "bip6", "an IPv6 address with a prefix")?,
        fixed_cidr: parsed::<Ipv4Net>(settings, "fixed-cidr", "an IPv4 subnet")?,
        fixed_cidr_v6: parsed::<Ipv6Net>(settings, "fixed-cidr-v6", "an IPv6 subnet")?,
        default_gateway: parsed(settings, "default-gateway", "an IPv4 address")?,
        default_gateway_v6: parsed(settings, "default-gateway-v6", "an IPv6 address")?,
        ipv6: on("ipv6", false),
        mtu: mtu(settings)?,
        icc: on("icc", true),
        ip_masq: on("ip-masq", true),
        relays: on("userland-proxy", true),
        ip_forward: on("ip-forward", true),
        host_binding: ip.filter(|address| !address.is_unspecified()),
        pools: pools(settings)?,
        default_options: default_options(settings)?,
        host_gateway: host_gateways(settings)?,
        firewall: firewall(settings)?,
    })
}

fn parsed<T: FromStr>(settings: &Settings, name: &str, wanted: &str) -> Result<Option<T>, Error> {
    let text = settings.text(name).filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|_| wrong(format!("{name} {text:?} is not {wanted}")))).transpose()
}

fn mtu(settings: &Settings) -> Result<u32, Error> {
    match settings.number("mtu").unwrap_or(0) {
        0 => Ok(0),
        mtu @ 68..=65_535 => Ok(mtu as u32),
        mtu => Err(wrong(format!("mtu {mtu} must be between 68 and 65535"))),
    }
}

/// `iptables` and `ip6tables` are one switch: the table is of both families.
fn firewall_is_on(settings: &Settings) -> Result<bool, Error> {
    let (v4, v6) = (settings.switch("iptables"), settings.switch("ip6tables"));
    match (v4.unwrap_or(true), v6) {
        (true, Some(false)) => Err(wrong(
            "ip6tables=false alone is not supported: one table serves both families; iptables=false turns it off",
        )),
        (on, _) => Ok(on),
    }
}

fn firewall(settings: &Settings) -> Result<FirewallMode, Error> {
    if let Some(backend) = settings.text("firewall-backend")
        && !matches!(backend, "" | "nftables")
    {
        return Err(wrong(format!("firewall-backend {backend:?} is not supported: it is always nftables")));
    }
    let mode = match settings.text("firewall") {
        None | Some("docker") => FirewallMode::Docker,
        Some("honest") => FirewallMode::Honest,
        Some(other) => {
            return Err(wrong(format!("firewall {other:?} is not supported: it is one of docker, honest")));
        }
    };
    Ok(if firewall_is_on(settings)? { mode } else { FirewallMode::Off })
}

/// `base=10.0.0.0/8,size=24` on the command line, `{"base":"10.0.0.0/8","size":24}` in the file.
fn pools(settings: &Settings) -> Result<Vec<Pool>, Error> {
    settings.values_of("default-address-pools").iter().map(pool).collect()
}

fn pool(value: &Value) -> Result<Pool, Error> {
    let (base, size) = match value {
        Value::String(text) => {
            let (mut base, mut size) = (None, None);
            for field in text.split(',') {
                match field.split_once('=') {
                    Some(("base", value)) => base = Some(value.to_owned()),
                    Some(("size", value)) => size = value.parse::<u64>().ok(),
                    _ => {
                        return Err(wrong(format!(
                            "default-address-pool {text:?}: unexpected field {field:?}"
                        )));
                    }
                }
            }
            (base, size)
        }
        value => {
            let base = value.get("base").or_else(|| value.get("Base")).and_then(Value::as_str);
            (base.map(str::to_owned), value.get("size").or_else(|| value.get("Size")).and_then(Value::as_u64))
        }
    };
    let base = base.ok_or_else(|| wrong("default-address-pools: base is missing"))?;
    let net: IpNet = base
        .parse()
        .map_err(|_| wrong(format!("default-address-pools: invalid base pool {base:?}: it is no subnet")))?;
    let size = size.ok_or_else(|| wrong(format!("default-address-pools: size of {base} is missing")))?;
    let fits =
        u8::try_from(size).ok().filter(|size| (net.prefix_len()..=net.max_prefix_len()).contains(size));
    let size = fits.ok_or_else(|| {
        wrong(format!("default-address-pools: size {size} doesn't fit into the base pool {base}"))
    })?;
    Ok(Pool { base: net.trunc(), size })
}

/// `bridge=com.docker.network.driver.mtu=1400` on the command line, objects by driver in the file.
fn default_options(settings: &Settings) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
    let mut options: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (driver, value) in settings.pairs("default-network-opts").into_iter().flatten() {
        let of_driver = options.entry(driver.clone()).or_default();
        let unclear = || wrong(format!("default-network-opts: options of {driver} must be names with texts"));
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    of_driver.insert(key.clone(), value.as_str().ok_or_else(unclear)?.to_owned());
                }
            }
            Value::String(text) => {
                for pair in text.split('\n') {
                    let (key, value) = pair.split_once('=').ok_or_else(unclear)?;
                    of_driver.insert(key.to_owned(), value.to_owned());
                }
            }
            _ => return Err(unclear()),
        }
    }
    Ok(options)
}

/// At most one address of each family.
fn host_gateways(settings: &Settings) -> Result<Vec<IpAddr>, Error> {
    let mut texts = settings.list("host-gateway-ips");
    texts.extend(settings.text("host-gateway-ip").map(str::to_owned));
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in texts.iter().flat_map(|text| text.split(',')).filter(|text| !text.is_empty()) {
        let address: IpAddr =
            text.parse().map_err(|_| wrong(format!("host-gateway-ip {text:?} is not an IP address")))?;
        if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            return Err(wrong("only one IPv4 and one IPv6 host gateway IP address can be specified"));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(json: &str) -> Result<NetworkConfig, String> {
        let mut settings = Settings::default();
        let values: serde_json::Map<String, Value> = serde_json::from_str(json).unwrap();
        for (name, value) in values {
            settings.set(&name, value);
        }
        resolve(&settings).map_err(|error| error.to_string().replace("unable to configure the daemon: ", ""))
    }

    #[test]
    fn values() {
        let config = resolved(
            r#"{"bip":"10.7.0.1/16","mtu":1400,"ipv6":true,"fixed-cidr-v6":"fd07::/64","ip":"127.0.0.1",
                "default-address-pools":[{"base":"10.8.0.0/16","size":24},"base=fd08::/48,size=64"],
                "default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1300"}},
                "host-gateway-ips":["10.7.0.1","fd07::1"],"firewall":"honest"}"#,
        )
        .unwrap();
        assert_eq!(config.bip.unwrap().to_string(), "10.7.0.1/16");
        assert_eq!((config.mtu, config.pools.len()), (1400, 2));
        assert_eq!(config.pools[1].base.to_string(), "fd08::/48");
        assert_eq!(config.default_options["bridge"]["com.docker.network.driver.mtu"], "1300");
        assert_eq!(config.host_gateway.len(), 2);
        assert_eq!(config.firewall, FirewallMode::Honest);
        assert_eq!(config.host_binding, Some("127.0.0.1".parse().unwrap()));
        assert_eq!(resolved(r#"{"iptables":false}"#).unwrap().firewall, FirewallMode::Off);
    }

    #[test]
    fn what_is_refused() {
        for (json, expect) in [
            (r#"{"bip":"10.7.0.1"}"#, "bip \"10.7.0.1\" is not an IPv4 address with a prefix"),
            (
                r#"{"bip":"10.7.0.1/24","bridge":"br0"}"#,
                "You specified -b & --bip, mutually exclusive options. Please specify only one",
            ),
            (r#"{"mtu":5}"#, "mtu 5 must be between 68 and 65535"),
            (
                r#"{"default-address-pools":[{"base":"10.8.0.0/16","size":8}]}"#,
                "default-address-pools: size 8 doesn't fit into the base pool 10.8.0.0/16",
            ),
            (
                r#"{"host-gateway-ips":["1.2.3.4","1.2.3.5"]}"#,
                "only one IPv4 and one IPv6 host gateway IP address can be specified",
            ),
            (
                r#"{"allow-direct-routing":true}"#,
                "allow-direct-routing is not supported: make networks with -o \
                 com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected instead",
            ),
            (r#"{"firewall":"open"}"#, "firewall \"open\" is not supported: it is one of docker, honest"),
            (
                r#"{"firewall-backend":"iptables"}"#,
                "firewall-backend \"iptables\" is not supported: it is always nftables",
            ),
        ] {
            assert_eq!(resolved(json).unwrap_err(), expect, "{json}");
        }
    }
}
