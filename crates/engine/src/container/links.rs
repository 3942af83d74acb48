//! Legacy links of the default bridge: who links to others finds them in its /etc/hosts and in variables, for there
//! are no names on that network. (On networks of users a link is an alias that the resolver knows.)

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use boxship_api::container::HostConfig;

use super::configuration::Configuration;
use super::driver::Driver;
use super::names;
use super::request::Request;
use crate::network::names::parse_link;
use crate::network::publish::exposed;
use crate::{Engine, Error, Result, error::blocking};

/// One of a container's links, as its configuration keeps it: `id/name:alias`.
struct Link {
    id: String,
    /// What the other one was called when they were linked: what it still is called when it is gone.
    name: String,
    alias: String,
}

/// A link as it is kept.
pub(super) fn kept(id: &str, name: &str, alias: &str) -> String {
    format!("{id}/{name}:{alias}")
}

/// The containers it links to; none where links are something else.
fn of(host_config: &HostConfig) -> impl Iterator<Item = Link> {
    let mode = &host_config.network_mode;
    let legacy = !mode.is_user_defined() && mode.container().is_none();
    let links = host_config.links.iter().flatten().filter(move |_| legacy);
    links.filter_map(|link| parse_link(link)).map(|(other, alias)| {
        // Links of older versions have no name.
        let (id, name) = other.split_once('/').unwrap_or((&other, &other));
        Link { id: id.to_owned(), name: name.to_owned(), alias }
    })
}

/// Links as inspect tells them: `/db:/web/alias`. `name` knows what the containers are called now.
pub(super) fn shown(
    configuration: &Configuration,
    name: impl Fn(&str) -> Option<String>,
) -> Option<Vec<String>> {
    let shown: Vec<_> = of(&configuration.host_config)
        .map(|link| {
            let name = name(&link.id).unwrap_or(link.name);
            format!("/{name}:/{}/{}", configuration.name, link.alias)
        })
        .collect();
    (!shown.is_empty()).then_some(shown)
}

/// Lines of /etc/hosts. `strict`: at its start the containers it links to must run.
pub(super) fn hosts(
    engine: &Engine,
    configuration: &Configuration,
    strict: bool,
) -> Result<Vec<(IpAddr, Vec<String>)>> {
    Ok(linked(engine, configuration, strict)?.into_iter().flat_map(Linked::hosts).collect())
}

/// A container that another one links to on the default bridge.
struct Linked {
    alias: String,
    configuration: Arc<Configuration>,
    addresses: Vec<IpAddr>,
}

impl Linked {
    /// Lines of /etc/hosts: alias, host name, and the name where it differs.
    fn hosts(self) -> Vec<(IpAddr, Vec<String>)> {
        let mut names = vec![self.alias.clone(), self.configuration.config.hostname.clone()];
        if self.configuration.name != self.alias {
            names.push(self.configuration.name.clone());
        }
        self.addresses.into_iter().map(|address| (address, names.clone())).collect()
    }

    /// Docker's old variables: where the other one is, and what it was told.
    fn variables(&self, parent: &str) -> Vec<String> {
        let prefix = self.alias.replace('-', "_").to_uppercase();
        let address = self.addresses.first().map(ToString::to_string).unwrap_or_default();
        let ports = exposed(&self.configuration.config);
        let mut variables = Vec::new();
        let url = |port: u16, protocol| format!("{protocol}://{address}:{port}");
        let first = ports.iter().find(|(_, p)| p.name() == "tcp").or(ports.first());
        if let Some((port, protocol)) = first {
            variables.push(format!("{prefix}_PORT={}", url(*port, protocol.name())));
        }
        for (port, protocol) in &ports {
            let word = protocol.name();
            let name = format!("{prefix}_PORT_{port}_{}", word.to_uppercase());
            variables.push(format!("{name}={}", url(*port, word)));
            variables.push(format!("{name}_ADDR={address}"));
            variables.push(format!("{name}_PORT={port}"));
            variables.push(format!("{name}_PROTO={word}"));
        }
        variables.push(format!("{prefix}_NAME=/{parent}/{}", self.alias));
        for entry in self.configuration.config.env.iter().flatten() {
            if let Some((name, value)) =
                entry.split_once('=').filter(|(name, _)| !matches!(*name, "HOME" | "PATH"))
            {
                variables.push(format!("{prefix}_ENV_{name}={value}"));
            }
        }
        variables
    }
}

/// The containers it links to on the default bridge; `strict`: they must run, else those that don't are left out.
fn linked(engine: &Engine, configuration: &Configuration, strict: bool) -> Result<Vec<Linked>> {
    let links = of(&configuration.host_config);
    let found = links.map(|link| linked_to(engine, configuration, link));
    if strict { found.collect() } else { Ok(found.filter_map(Result::ok).collect()) }
}

fn linked_to(engine: &Engine, parent: &Configuration, link: Link) -> Result<Linked> {
    let Link { id, name, alias } = link;
    let dead = |name: &str| {
        let names = format!("/{name} AS /{}/{alias}", parent.name);
        Error::internal(format!("Cannot link to a non running container: {names}"))
    };
    let snapshot = engine.inner.registry.find(&id).map_err(|_| dead(&name))?.snapshot();
    let name = &snapshot.configuration.name;
    if !snapshot.state.is_alive() {
        return Err(dead(name));
    }
    let endpoints = &snapshot.state.network.endpoints;
    let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.network == "bridge") else {
        let message = format!("Cannot link to /{name}, as it does not belong to the default network");
        return Err(Error::internal(message));
    };
    let v4 = endpoint.ipv4.map(|net| net.addr().into());
    let v6 = endpoint.ipv6.map(|net| net.addr().into());
    let addresses = v4.into_iter().chain(v6).collect();
    Ok(Linked { alias, configuration: snapshot.configuration, addresses })
}

/// The variables that its links give it.
pub(super) fn variables(engine: &Engine, configuration: &Configuration) -> Result<Vec<String>> {
    let linked = linked(engine, configuration, true)?;
    Ok(linked.iter().flat_map(|linked| linked.variables(&configuration.name)).collect())
}

impl Engine {
    /// The names that containers have as others' links: by their identifiers, `/web/alias`.
    pub(super) fn link_names(&self) -> HashMap<String, Vec<String>> {
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        for container in self.inner.registry.all() {
            let configuration = container.configuration();
            for Link { id, alias, .. } in of(&configuration.host_config) {
                names.entry(id).or_default().push(format!("/{}/{alias}", configuration.name));
            }
        }
        names
    }

    /// Removes a link by its name, `web/alias`; the container itself stays.
    pub(super) async fn remove_link(&self, name: &str) -> Result<()> {
        let plain = names::plain(name);
        let Some((parent, alias)) = plain.rsplit_once('/') else {
            self.inner.registry.find(name)?;
            return Err(Error::internal("Conflict, cannot remove the default link name of the container"));
        };
        let missing = || Error::internal(format!("Cannot get parent /{parent} for link name /{plain}"));
        let parent = self.inner.registry.find(parent).map_err(|_| missing())?;
        if of(&parent.configuration().host_config).all(|link| link.alias != alias) {
            return Err(Error::no_container(name));
        }
        parent.ask(|reply| Request::Unlink { alias: alias.to_owned(), reply }).await
    }
}

impl Driver {
    pub(super) async fn unlink(&mut self, alias: &str) -> Result<()> {
        let mut configuration = (*self.configuration()).clone();
        if let Some(links) = &mut configuration.host_config.links {
            links.retain(|link| parse_link(link).is_none_or(|(_, other)| other != alias));
        }
        let (engine, row) = (self.engine.clone(), configuration.clone());
        blocking(move || engine.inner.rows.update(&row)).await?;
        self.adopt(configuration);
        self.refresh_files().await
    }

    /// Others link to it on the default bridge: where it is, or how it is called, may be new to them.
    pub(super) fn tell_linked(&self) {
        let configuration = self.configuration();
        for other in self.engine.inner.registry.all() {
            let theirs = other.configuration();
            if of(&theirs.host_config).any(|link| link.id == configuration.id) {
                other.tell(Request::Refresh);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_hosts_of_a_link() {
        let mut other = Configuration { name: "db-1".into(), ..Configuration::default() };
        other.config.hostname = "host".into();
        other.config.env = Some(vec!["A=b=c".into(), "PATH=/".into()]);
        other.config.exposed_ports =
            ["53/udp", "80/tcp"].map(|port| (port.to_owned(), boxship_api::Empty)).into();
        let addresses = vec!["172.17.0.2".parse().unwrap()];
        let linked = Linked { alias: "my-db".into(), configuration: Arc::new(other), addresses };
        assert_eq!(
            linked.variables("web"),
            [
                "MY_DB_PORT=tcp://172.17.0.2:80",
                "MY_DB_PORT_53_UDP=udp://172.17.0.2:53",
                "MY_DB_PORT_53_UDP_ADDR=172.17.0.2",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_PORT_80_TCP=tcp://172.17.0.2:80",
                "MY_DB_PORT_80_TCP_ADDR=172.17.0.2",
                "MY_DB_PORT_80_TCP_PORT=80",
                "MY_DB_PORT_80_TCP_PROTO=tcp",
                "MY_DB_NAME=/web/my-db",
                "MY_DB_ENV_A=b=c",
            ]
        );
        assert_eq!(linked.hosts()[0].1, ["my-db", "host", "db-1"]);
    }

    #[test]
    fn links_of_the_default_bridge_only() {
        let mut configuration = Configuration { name: "web".into(), ..Configuration::default() };
        let links = ["db:data", "/a:/old/b", "db/old:c", "gone:d"].map(str::to_owned);
        configuration.host_config.links = Some([&links[..], &[kept("gone", "cache", "e")]].concat());
        let name = |id: &str| (id == "db").then(|| "new".to_owned());
        assert_eq!(
            shown(&configuration, name).unwrap(),
            ["/new:/web/data", "/a:/web/b", "/new:/web/c", "/gone:/web/d", "/cache:/web/e"]
        );
        configuration.host_config.network_mode = "mine".into();
        assert_eq!(shown(&configuration, name), None);
    }
}
