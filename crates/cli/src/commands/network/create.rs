//! `network create`: makes a network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use boxship_api::network::{ConfigReference, CreateRequest, CreateResponse, Ipam, IpamConfig};
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::{Flag, Parsed};
use crate::invocation::Invocation;
use crate::values::{csv, environment, names, pairs};

/// `network create`.
pub const CREATE: Command = Command {
    name: "create",
    usage: "[OPTIONS] NETWORK",
    about: "Create a network",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::switch("attachable", "Let containers be attached by hand (they always may be)"),
        Flag::value("aux-address", "map", "An address that is never given, by a name of it")
            .default("map[]")
            .many(),
        Flag::value("config-from", "string", "The network whose configuration is copied"),
        Flag::switch("config-only", "Only a configuration, that others copy"),
        Flag::value("driver", "string", "Driver: bridge, macvlan or ipvlan").short('d').default("bridge"),
        Flag::list("gateway", "The gateway of a subnet").of("strings").check(csv::check),
        Flag::switch("ingress", "Create swarm's routing mesh (there is no swarm)"),
        Flag::switch("internal", "Cut the network off from everything outside"),
        Flag::list("ip-range", "The part of a subnet that addresses are given from")
            .of("strings")
            .check(csv::check),
        Flag::value("ipam-driver", "string", "Driver of the address management").default("default"),
        Flag::value("ipam-opt", "map", "Options of the address management").default("map[]").many(),
        Flag::switch("ipv4", "Give IPv4 addresses").default("true"),
        Flag::switch("ipv6", "Give IPv6 addresses"),
        Flag::list("label", "Set labels").check(names::check_label),
        Flag::value("opt", "map", "Options of the driver").short('o').default("map[]").many(),
        Flag::value("scope", "string", "Scope of the network: local"),
        Flag::list("subnet", "A subnet, as address/length").of("strings").check(csv::check),
    ],
    shared: &[],
    aliases: &[],
    action: action!(create),
};

async fn create(invocation: &Invocation) -> Result<u8> {
    let request = request(&invocation.parsed).map_err(Failure::new)?;
    let client = invocation.client().await?;
    let answer: CreateResponse = client.post("/networks/create", Query::new(), &request).await?;
    if !answer.warning.is_empty() {
        invocation.complain(format!("WARNING: {}", answer.warning));
    }
    invocation.line(answer.id)?;
    Ok(0)
}

/// The request that the flags describe.
pub fn request(parsed: &Parsed) -> std::result::Result<CreateRequest, String> {
    let text = |name: &str, default: &str| parsed.text(name).unwrap_or(default).to_string();
    let switch = |name: &str| parsed.given(name).then(|| parsed.on(name));
    Ok(CreateRequest {
        name: parsed.operand(0).to_string(),
        driver: text("driver", "bridge"),
        scope: text("scope", ""),
        enable_ipv4: switch("ipv4"),
        enable_ipv6: switch("ipv6"),
        ipam: Some(Ipam {
            driver: text("ipam-driver", "default"),
            options: Some(pairs::map(&parsed.list("ipam-opt"))),
            config: Some(subnets(parsed)?),
        }),
        internal: parsed.on("internal"),
        attachable: parsed.on("attachable"),
        ingress: parsed.on("ingress"),
        config_only: parsed.on("config-only"),
        config_from: parsed.filled("config-from").map(|network| ConfigReference { network }),
        options: Some(pairs::map(&parsed.list("opt"))),
        labels: Some(pairs::map(&environment::labels(&[], &parsed.list("label"))?)),
        ..CreateRequest::default()
    })
}

/// The subnets, each with the range, the gateway and the addresses that lie in it.
fn subnets(parsed: &Parsed) -> std::result::Result<Vec<IpamConfig>, String> {
    let all = |name: &str| csv::list(&parsed.list(name));
    let (subnets, ranges, gateways) = (all("subnet")?, all("ip-range")?, all("gateway")?);
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".into());
    }
    let mut configs: Vec<IpamConfig> = Vec::new();
    for subnet in subnets {
        for other in &configs {
            if contains(&subnet, &other.subnet)? || contains(&other.subnet, &subnet)? {
                return Err("multiple overlapping subnet configuration is not supported".into());
            }
        }
        configs.push(IpamConfig { subnet, ..IpamConfig::default() });
    }
    for range in ranges {
        cidr(&range)?;
        let config = matching(&mut configs, &range, || format!("no matching subnet for range {range}"))?;
        if !config.ip_range.is_empty() {
            let (first, subnet) = (&config.ip_range, &config.subnet);
            return Err(format!(
                "cannot configure multiple ranges ({range}, {first}) on the same subnet ({subnet})"
            ));
        }
        config.ip_range = range;
    }
    for gateway in gateways {
        let config =
            matching(&mut configs, &gateway, || format!("no matching subnet for gateway {gateway}"))?;
        if !config.gateway.is_empty() {
            let (first, subnet) = (&config.gateway, &config.subnet);
            return Err(format!(
                "cannot configure multiple gateways ({gateway}, {first}) for the same subnet ({subnet})"
            ));
        }
        config.gateway = gateway;
    }
    auxiliary(&mut configs, pairs::map(&parsed.list("aux-address")))?;
    Ok(configs)
}

fn auxiliary(configs: &mut [IpamConfig], given: BTreeMap<String, String>) -> std::result::Result<(), String> {
    for (name, address) in given {
        let config = matching(configs, &address, || format!("no matching subnet for aux-address {address}"))?;
        config.auxiliary_addresses.insert(name, address);
    }
    Ok(())
}

/// The subnet that the address or range lies in.
fn matching<'a>(
    configs: &'a mut [IpamConfig],
    data: &str,
    none: impl FnOnce() -> String,
) -> std::result::Result<&'a mut IpamConfig, String> {
    let mut found = None;
    for config in configs {
        if contains(&config.subnet, data)? {
            found = Some(config);
        }
    }
    found.ok_or_else(none)
}

/// Whether the address, or a range's first, is in the subnet. What is no address is in none.
fn contains(subnet: &str, data: &str) -> std::result::Result<bool, String> {
    let (network, length) = cidr(subnet).map_err(|why| format!("invalid subnet: {why}"))?;
    let address = if data.contains('/') { Some(cidr(data)?.0) } else { data.parse().ok() };
    Ok(match (network, address) {
        (IpAddr::V4(network), Some(IpAddr::V4(address))) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            (u32::from(network) ^ u32::from(address)) & mask == 0
        }
        (IpAddr::V6(network), Some(IpAddr::V6(address))) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            (u128::from(network) ^ u128::from(address)) & mask == 0
        }
        _ => false,
    })
}

/// `ADDRESS/LENGTH`.
fn cidr(text: &str) -> std::result::Result<(IpAddr, u32), String> {
    let read = || {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        let length: u32 = length.parse().ok().filter(|_| digits)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (length <= most).then_some((address, length))
    };
    read().ok_or_else(|| format!("invalid CIDR address: {text}"))
}
