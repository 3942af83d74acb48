//! `/networks/…`: the two networks that exist without any set-up, `host` and `none`.

use boxship_api::network::{Ipam, Network, PruneReport};
use http::StatusCode;

use crate::http::router::{Route, route};
use crate::http::{Call, Failure, Reply, reply};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/networks" => list),
    route!(GET "/networks/" => list),
    route!(POST "/networks/create" => change),
    route!(POST "/networks/prune" since 25 => prune),
    route!(POST "/networks/{name}/connect" => change),
    route!(POST "/networks/{name}/disconnect" => change),
    route!(GET "/networks/{name}" => inspect),
    route!(DELETE "/networks/{name}" => remove),
];

/// Names and drivers; the identifiers are made of the names, so they are the same on every host.
const NETWORKS: [(&str, &str, &str); 2] = [
    ("host", "host", "686f73740000000000000000000000000000000000000000000000000000686f"),
    ("none", "null", "6e6f6e650000000000000000000000000000000000000000000000000000006e"),
];

fn all() -> impl Iterator<Item = Network> {
    NETWORKS.into_iter().map(|(name, driver, id)| Network {
        name: name.to_owned(),
        id: id.to_owned(),
        created: "1970-01-01T00:00:00Z".to_owned(),
        scope: "local".to_owned(),
        driver: driver.to_owned(),
        enable_ipv4: true,
        ipam: Ipam { driver: "default".to_owned(), options: None, config: Some(Vec::new()) },
        options: Some(Default::default()),
        labels: Some(Default::default()),
        ..Network::default()
    })
}

async fn list(call: Call) -> Result<Reply, Failure> {
    let filters = call.query.filters()?;
    let accepted = ["dangling", "driver", "id", "label", "name", "scope", "type"];
    filters.validate(&accepted).map_err(|error| Failure::invalid(error.to_string()))?;
    let dangling = filters.bool_or("dangling", false).map_err(|error| Failure::invalid(error.to_string()))?;
    let any =
        |key: &str, matches: &dyn Fn(&str) -> bool| !filters.contains(key) || filters.get(key).any(matches);
    let wanted: Vec<Network> = all()
        .filter(|network| {
            !dangling
                && any("name", &|name| network.name.contains(name))
                && any("id", &|id| network.id.starts_with(id))
                && any("driver", &|driver| network.driver == driver)
                && any("scope", &|scope| network.scope == scope)
                && any("type", &|kind| kind == "builtin")
                && !filters.contains("label")
        })
        .collect();
    reply::json(StatusCode::OK, &wanted)
}

async fn inspect(call: Call) -> Result<Reply, Failure> {
    match find(&call.name) {
        Some(network) => reply::json(StatusCode::OK, &network),
        None => Err(missing(&call.name)),
    }
}

async fn remove(call: Call) -> Result<Reply, Failure> {
    match find(&call.name) {
        Some(network) => {
            let name = network.name;
            Err(Failure::forbidden(format!("{name} is a pre-defined network and cannot be removed")))
        }
        None => Err(missing(&call.name)),
    }
}

async fn change(_: Call) -> Result<Reply, Failure> {
    Err(Failure::unsupported(
        "networks are not supported by this engine: use the network modes host, none or container:<name>",
    ))
}

async fn prune(_: Call) -> Result<Reply, Failure> {
    reply::json(StatusCode::OK, &PruneReport::default())
}

fn find(name: &str) -> Option<Network> {
    all().find(|network| network.name == name || (name.len() >= 4 && network.id.starts_with(name)))
}

fn missing(name: &str) -> Failure {
    Failure::not_found(format!("network {name} not found"))
}
