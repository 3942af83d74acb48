//! /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: written anew at each start into its folder below the
//! data root, mounted over the image's. Texts are pure functions of [`hosts`] and [`resolv_conf`]; only this file
//! touches the disk. A running container has the files themselves mounted, so they are changed in place, never
//! replaced, and what it wrote into them stays.

mod hosts;
mod resolv_conf;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use boxship_api::container::HostConfig;
use boxship_net::resolver::Upstream;

use self::hosts::Line;
use self::resolv_conf::{Mode, ResolvConf};
use super::configuration::Configuration;
use crate::{Engine, Error, Kind, Result};

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The real servers, when /etc/resolv.conf names only systemd-resolved's own.
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
/// What a file may have grown to in the container's hands and still be changed.
const SIZE: u64 = 1 << 20;

/// Where a container is on its networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressing {
    /// Its own addresses, in the order of its interfaces.
    pub(crate) own: Vec<IpAddr>,
    /// The addresses of `host-gateway`.
    pub(crate) host_gateway: Vec<IpAddr>,
    /// Legacy links: the other's address, and the names it is known by.
    pub(crate) links: Vec<(IpAddr, Vec<String>)>,
    /// Whether our resolver serves it: it is on a network of the user's.
    pub(crate) resolver: bool,
}

/// Whom the resolver of a container asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upstreams {
    /// The servers.
    pub(crate) servers: Vec<Upstream>,
    /// Whether the host or the user has set a number of dots.
    pub(crate) ndots_set: bool,
}

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
pub(crate) fn write(
    engine: &Engine,
    configuration: &Configuration,
    addressing: &Addressing,
) -> Result<Files> {
    let files = of(engine, configuration);
    if configuration.host_config.network_mode.container().is_some() {
        return Ok(files);
    }
    put(&files.hosts, hosts_text(configuration, addressing)?.as_bytes())?;
    put(&files.hostname, format!("{}\n", configuration.config.hostname).as_bytes())?;
    put_resolv_conf(engine, configuration, addressing, &files)?;
    Ok(files)
}

/// Changes them in a running container, as far as they follow from what has changed.
pub(crate) fn update(
    engine: &Engine,
    configuration: &Configuration,
    before: &Addressing,
    after: &Addressing,
) -> Result<()> {
    let mode = &configuration.host_config.network_mode;
    if mode.container().is_some() || mode.is_host() {
        return Ok(());
    }
    let files = of(engine, configuration);
    let (old, new) = (lines(configuration, before)?, lines(configuration, after)?);
    let missing = |from: &[Line], in_: &[Line]| -> Vec<Line> {
        from.iter().filter(|line| !in_.contains(line)).cloned().collect()
    };
    let (gone, added) = (missing(&old, &new), missing(&new, &old));
    if !gone.is_empty() || !added.is_empty() {
        let text = bounded(&files.hosts)?;
        put(&files.hosts, &hosts::changed(&text, &gone, &added))?;
    }
    if after.resolver && !before.resolver && bounded(&files.resolv_conf)? == bounded(&written(&files))? {
        put_resolv_conf(engine, configuration, after, &files)?;
    }
    Ok(())
}

/// Whom the container's resolver asks. Without a way out of its networks (`external`) only servers that the user
/// named are asked, from the container: they may be among its neighbours.
pub(crate) fn upstreams(engine: &Engine, configuration: &Configuration, external: bool) -> Upstreams {
    let file = match resolv_conf_of(engine, &configuration.host_config, true) {
        Ok(file) => file,
        // The start, which writes the files, has failed of it already.
        Err(error) => {
            tracing::warn!(container = configuration.id, %error, "no name servers");
            return Upstreams::default();
        }
    };
    let mut servers = file.upstreams(link_index);
    servers.retain(|server| external || server.from_container);
    Upstreams { servers, ndots_set: file.ndots_set() }
}

fn hosts_text(configuration: &Configuration, addressing: &Addressing) -> Result<String> {
    let lines = lines(configuration, addressing)?;
    // As with Docker, the host's own file is taken only as a whole.
    if configuration.host_config.network_mode.is_host() && lines.is_empty() {
        return Ok(read(HOSTS));
    }
    Ok(hosts::text(&lines, has_ipv6(&configuration.host_config)))
}

/// All lines but the loopback's.
fn lines(configuration: &Configuration, addressing: &Addressing) -> Result<Vec<Line>> {
    let extra = configuration.host_config.extra_hosts.as_deref().unwrap_or_default();
    let mut lines = hosts::extra(extra, &addressing.host_gateway)?;
    lines.extend(addressing.links.iter().map(|(address, names)| Line::new(*address, names.join(" "))));
    let names = hosts::own_names(&configuration.config.hostname, &configuration.config.domainname);
    lines.extend(addressing.own.iter().map(|address| Line::new(*address, names.clone())));
    Ok(lines)
}

/// Whether a container's own loopback has an IPv6 address: the kernel has IPv6 and it wasn't switched off.
fn has_ipv6(host_config: &HostConfig) -> bool {
    let off = |key: &str| {
        let value = host_config.sysctls.get(key);
        value.is_some_and(|value| value.trim() == "1")
    };
    let switched_off = off("net.ipv6.conf.all.disable_ipv6") || off("net.ipv6.conf.lo.disable_ipv6");
    !switched_off && Path::new("/proc/net/if_inet6").exists()
}

/// The host's resolver configuration as the container starts from it.
fn resolv_conf_of(engine: &Engine, host_config: &HostConfig, resolver: bool) -> Result<ResolvConf> {
    let own = ResolvConf::parse(&read(RESOLV_CONF), RESOLV_CONF);
    // The resolver and the host's namespace reach systemd-resolved itself, which knows which domain is asked where.
    let reaches_host = resolver || host_config.network_mode.is_host();
    let file = match own.is_resolved_only() && !reaches_host {
        true => ResolvConf::parse(&read(BEHIND_RESOLVED), BEHIND_RESOLVED),
        false => own,
    };
    file.overridden(host_config, engine.config())
}

fn put_resolv_conf(
    engine: &Engine,
    configuration: &Configuration,
    addressing: &Addressing,
    files: &Files,
) -> Result<()> {
    let host_config = &configuration.host_config;
    let mode = match (host_config.network_mode.is_host(), addressing.resolver) {
        (true, _) => Mode::Host,
        (_, true) => Mode::Resolver,
        _ => Mode::Direct { ipv6: addressing.own.iter().any(IpAddr::is_ipv6) },
    };
    let text = resolv_conf_of(engine, host_config, addressing.resolver)?.text(mode);
    put(&files.resolv_conf, text.as_bytes())?;
    put(&written(files), text.as_bytes())
}

/// A copy of resolv.conf as we wrote it: tells whether the container has changed its own since.
fn written(files: &Files) -> PathBuf {
    files.resolv_conf.with_extension("conf.written")
}

/// A link's number; 0, which is none, if it isn't there.
fn link_index(name: &str) -> u32 {
    // A name of a link, never a path.
    let path = Path::new("/sys/class/net").join(name.replace('/', "_")).join("ifindex");
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Writes a file that may be mounted and read at this moment: it is never empty in between.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)
    };
    write().map_err(|error| Error::caused(Kind::Internal, format!("write {}", path.display()), error))
}

/// Reads one of our files, which the container may have filled.
fn bounded(path: &Path) -> Result<Vec<u8>> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(SIZE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > SIZE {
            return Err(std::io::Error::other("it is larger than 1 MiB"));
        }
        Ok(bytes)
    };
    read().map_err(|error| Error::caused(Kind::Internal, format!("read {}", path.display()), error))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
