//! `network connect`: puts a container on a network, running or not.

use std::collections::BTreeMap;

use boxship_api::network::{ConnectRequest, EndpointIpamConfig, EndpointSettings};
use boxship_client::{Body, Query};
use http::Method;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::{Flag, Parsed, integer};
use crate::invocation::Invocation;
use crate::values::{csv, network};

/// `network connect`.
pub const CONNECT: Command = Command {
    name: "connect",
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    operands: Operands::Exactly(2),
    mixed: true,
    flags: &[
        Flag::list("alias", "Further names of the container in the network").of("strings").check(csv::check),
        Flag::list("driver-opt", "Options of the driver").of("strings").check(csv::check),
        Flag::value("gw-priority", "int", "The network with the highest one gives the default route")
            .check(integer),
        Flag::value("ip", "string", "IPv4 address (172.30.100.104)"),
        Flag::value("ip6", "string", "IPv6 address (2001:db8::33)"),
        Flag::list("link", "Reach another container by an alias (container:alias)")
            .check(network::check_link),
        Flag::list("link-local-ip", "Link-local addresses").of("strings").check(csv::check),
    ],
    shared: &[],
    aliases: &[],
    action: action!(connect),
};

async fn connect(invocation: &Invocation) -> Result<u8> {
    let request = request(&invocation.parsed).map_err(Failure::new)?;
    super::named("container", &request.container)?;
    let path = super::path(invocation.parsed.operand(0), "connect")?;
    let _: Body =
        invocation.client().await?.request(Method::POST, &path, Query::new(), Some(&request)).await?;
    Ok(0)
}

/// The request that the flags describe.
pub fn request(parsed: &Parsed) -> std::result::Result<ConnectRequest, String> {
    let all = |name: &str| csv::list(&parsed.list(name));
    let links = parsed.list("link");
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: parsed.text("ip").unwrap_or_default().to_string(),
            ipv6_address: parsed.text("ip6").unwrap_or_default().to_string(),
            link_local_ips: all("link-local-ip")?,
        }),
        links: (!links.is_empty()).then_some(links),
        aliases: Some(all("alias")?),
        driver_opts: Some(driver_opts(&all("driver-opt")?)?),
        gw_priority: parsed.number("gw-priority").unwrap_or(0),
        ..EndpointSettings::default()
    };
    Ok(ConnectRequest { container: parsed.operand(1).trim().to_string(), endpoint_config: Some(endpoint) })
}

fn driver_opts(given: &[String]) -> std::result::Result<BTreeMap<String, String>, String> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()))?;
        (!key.is_empty()).then(|| (key.to_string(), value.to_string()))
    };
    let wrong = || "invalid key/value pair format in driver options".to_string();
    given.iter().map(|text| pair(text).ok_or_else(wrong)).collect()
}
