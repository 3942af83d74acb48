//! /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: written anew at each start into its folder below the
//! data root, mounted over the image's. Texts are pure functions; only [`write`] touches the disk.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use boxship_api::container::HostConfig;

use super::configuration::Configuration;
use crate::{Engine, EngineConfig, Error, Kind, Result};

const LOCALHOST: &str = "127.0.0.1\tlocalhost\n\
                         ::1\tlocalhost ip6-localhost ip6-loopback\n\
                         fe00::\tip6-localnet\n\
                         ff00::\tip6-mcastprefix\n\
                         ff02::1\tip6-allnodes\n\
                         ff02::2\tip6-allrouters\n";
/// Asked when the host names no server a container could reach.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// The real servers, when /etc/resolv.conf names only systemd-resolved's own.
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The files of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// /etc/hosts.
    pub(crate) hosts: PathBuf,
    /// /etc/hostname.
    pub(crate) hostname: PathBuf,
    /// /etc/resolv.conf.
    pub(crate) resolv_conf: PathBuf,
}

/// Where they are: a container that joins another's network shares its files too.
pub(crate) fn of(engine: &Engine, configuration: &Configuration) -> Files {
    let joined = configuration.host_config.network_mode.container();
    let owner = joined.and_then(|name| engine.inner.registry.find(name).ok());
    let id = owner.as_ref().map_or(configuration.id.as_str(), |owner| owner.id.as_str());
    let folder = engine.store().paths().container(id);
    Files {
        hosts: folder.join("hosts"),
        hostname: folder.join("hostname"),
        resolv_conf: folder.join("resolv.conf"),
    }
}

/// Writes them, unless they are another container's.
pub(crate) fn write(engine: &Engine, configuration: &Configuration) -> Result<Files> {
    let files = of(engine, configuration);
    let host_config = &configuration.host_config;
    if host_config.network_mode.container().is_some() {
        return Ok(files);
    }
    let on_host = host_config.network_mode.is_host();
    let base = if on_host { read("/etc/hosts") } else { LOCALHOST.to_owned() };
    let config = &configuration.config;
    let (hostname, domain) = (&config.hostname, &config.domainname);
    let mut text = hosts(&base, host_config.extra_hosts.as_deref().unwrap_or_default())?;
    // Docker's bridge gives it an address, which stands here; without a network nothing does.
    if host_config.network_mode.is_bridge() && !config.network_disabled {
        text.push_str(&own_line(hostname, domain));
    }
    put(&files.hosts, &text)?;
    let hostname = if domain.is_empty() { hostname.clone() } else { format!("{hostname}.{domain}") };
    put(&files.hostname, &format!("{hostname}\n"))?;
    put(&files.resolv_conf, &resolv_conf(&host_resolv_conf(on_host), host_config, engine.config()))?;
    Ok(files)
}

fn put(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)
        .map_err(|error| Error::caused(Kind::Internal, format!("write {}", path.display()), error))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The host's resolver configuration as its containers can use it.
fn host_resolv_conf(on_host: bool) -> String {
    let own = read("/etc/resolv.conf");
    let stub = !on_host && servers(&own).eq(["127.0.0.53"]);
    if stub { read(BEHIND_STUB) } else { own }
}

fn servers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim)
}

/// The hosts file: a base and `--add-host` lines (`name:address`).
fn hosts(base: &str, extra: &[String]) -> Result<String> {
    let mut text = base.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in extra {
        let (name, address) = line
            .split_once([':', '='])
            .ok_or_else(|| Error::invalid(format!("bad format for add-host: \"{line}\"")))?;
        if address == "host-gateway" {
            return Err(Error::invalid(
                "unable to derive the IP value for host-gateway: there is no bridge network",
            ));
        }
        let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        if plain.parse::<IpAddr>().is_err() {
            return Err(Error::invalid(format!("invalid IP address in add-host: \"{address}\"")));
        }
        text.push_str(&format!("{plain}\t{name}\n"));
    }
    Ok(text)
}

/// Its own name: all that it has is the loopback.
fn own_line(hostname: &str, domain: &str) -> String {
    match domain.is_empty() {
        true => format!("127.0.0.1\t{hostname}\n"),
        false => format!("127.0.0.1\t{hostname}.{domain} {hostname}\n"),
    }
}

/// The resolver's file: what is asked for the container, else what the engine is set to, else the host's.
fn resolv_conf(host: &str, asked: &HostConfig, engine: &EngineConfig) -> String {
    let choose = |asked: &Option<Vec<String>>, set: &[String]| -> Vec<String> {
        asked.clone().filter(|list| !list.is_empty()).unwrap_or_else(|| set.to_vec())
    };
    let dns = choose(&asked.dns, &engine.dns);
    let search = choose(&asked.dns_search, &engine.dns_search);
    let options = choose(&asked.dns_options, &engine.dns_opts);
    if asked.network_mode.is_host() && dns.is_empty() && search.is_empty() && options.is_empty() {
        return host.to_owned();
    }
    let words = |key: &str| -> Vec<String> {
        let lines = host.lines().filter_map(|line| line.trim().strip_prefix(key));
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let dns = if dns.is_empty() { reachable(host) } else { dns };
    let search = if search.is_empty() { words("search ") } else { search };
    let options = if options.is_empty() { words("options ") } else { options };
    let mut text = String::new();
    for server in dns {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !search.is_empty() && search != ["."] {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text
}

/// Servers that are not the host's own loopback.
fn reachable(host: &str) -> Vec<String> {
    let loopback = |server: &str| {
        let address = server.split('%').next().unwrap_or(server);
        address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let found: Vec<_> = servers(host).filter(|server| !loopback(server)).map(str::to_owned).collect();
    if found.is_empty() { PUBLIC.map(str::to_owned).to_vec() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_files() {
        let extra = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(hosts("a", &extra(&["db:10.0.0.1", "v6:::1"])).unwrap(), "a\n10.0.0.1\tdb\n::1\tv6\n");
        assert_eq!(hosts("", &extra(&["x=[fe80::1]"])).unwrap(), "fe80::1\tx\n");
        for bad in ["nothing", "x:host-gateway", "x:300.1.1.1"] {
            assert_eq!(hosts("", &extra(&[bad])).unwrap_err().kind(), Kind::Invalid, "{bad}");
        }
    }

    #[test]
    fn its_own_name() {
        assert_eq!(own_line("box", ""), "127.0.0.1\tbox\n");
        assert_eq!(own_line("box", "example.org"), "127.0.0.1\tbox.example.org box\n");
    }

    #[test]
    fn resolver_files() {
        let host =
            "# local\nnameserver 127.0.0.1\nnameserver 9.9.9.9\nsearch corp.example\noptions ndots:2\n";
        let engine = EngineConfig::default();
        let mut asked = HostConfig::default();
        assert_eq!(
            resolv_conf(host, &asked, &engine),
            "nameserver 9.9.9.9\nsearch corp.example\noptions ndots:2\n"
        );
        assert_eq!(
            resolv_conf("nameserver ::1\n", &asked, &engine),
            "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
        );
        asked.dns = Some(vec!["1.1.1.1".into()]);
        asked.dns_search = Some(vec![".".into()]);
        assert_eq!(resolv_conf(host, &asked, &engine), "nameserver 1.1.1.1\noptions ndots:2\n");
        let on_host = HostConfig { network_mode: "host".into(), ..HostConfig::default() };
        assert_eq!(resolv_conf(host, &on_host, &engine), host);
        let set = EngineConfig { dns: vec!["4.4.4.4".into()], ..EngineConfig::default() };
        let text = resolv_conf("", &HostConfig::default(), &set);
        assert_eq!(text, "nameserver 4.4.4.4\n");
    }
}
