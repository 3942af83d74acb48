//! Which servers to ask for a registry's name, in which order and how: Docker's `registry-mirrors` and
//! `insecure-registries`, and the `certs.d/HOST` folders of Docker, Boxship and containerd.
//!
//! It reads files and asks no server. Rules: `docker.io` is `registry-1.docker.io`; mirrors come first, the registry
//! itself last; insecure registries (and this very machine) are asked by TLS unverified, then in the clear.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use boxship_oci::reference::DEFAULT_DOMAIN;
use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::hosts_toml;
use crate::tls::TlsRules;
use crate::url::{Scheme, Url, is_loopback, split_authority};

/// The server behind `docker.io`.
pub(crate) const HUB: &str = "registry-1.docker.io";

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Blobs and manifests by digest.
    pub pull: bool,
    /// Tags.
    pub resolve: bool,
    /// Uploads.
    pub push: bool,
}

impl Abilities {
    pub(crate) const ALL: Abilities = Abilities { pull: true, resolve: true, push: true };
    const MIRROR: Abilities = Abilities { push: false, ..Abilities::ALL };
}

/// One server that can be asked.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where its API begins, ends without slash: `https://host/v2`.
    pub base: Url,
    /// How TLS is checked.
    pub tls: TlsRules,
    /// What may be asked of it.
    pub abilities: Abilities,
    /// Whether it is the registry itself.
    pub official: bool,
    /// Whether it may be spoken to, and send us, in the clear.
    pub insecure: bool,
    /// The registry that a mirror is told to stand for (containerd's `ns` parameter).
    pub namespace: Option<String>,
    /// Headers to send along.
    pub headers: Vec<(String, String)>,
    /// Hosts beside its own site that may be given its credentials for tokens.
    pub realms: Vec<String>,
}

/// The settings.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// Mirrors of `docker.io`.
    pub mirrors: Vec<String>,
    /// `host[:port]` and networks that needn't be verified.
    pub insecure: Vec<String>,
    /// Folders with a sub-folder for each host; the first that has the host counts.
    pub folders: Vec<PathBuf>,
}

/// Where hosts' folders are.
pub const FOLDERS: &[&str] = &["/etc/boxship/certs.d", "/etc/docker/certs.d", "/etc/containerd/certs.d"];

impl Hosts {
    /// The servers of a registry, in the order in which they are asked.
    pub async fn endpoints(&self, domain: &str) -> Result<Vec<Endpoint>> {
        if let Some((path, text)) = self.hosts_toml(domain)? {
            let hosts = hosts_toml::parse(&text)
                .map_err(|e| Error::Configuration(format!("{}: {e}", path.display())))?;
            return self.configured(domain, &path, hosts).await;
        }
        let mut endpoints = Vec::new();
        if domain == DEFAULT_DOMAIN {
            for mirror in &self.mirrors {
                endpoints.push(self.mirror(mirror).await?);
            }
        }
        endpoints.extend(self.official(domain).await?);
        Ok(endpoints)
    }

    /// The registry itself: by TLS, and in the clear when it is insecure.
    async fn official(&self, domain: &str) -> Result<Vec<Endpoint>> {
        let host = if domain == DEFAULT_DOMAIN { HUB } else { domain };
        let insecure = domain != DEFAULT_DOMAIN && self.is_insecure(host).await;
        let mut endpoints = vec![self.endpoint(Scheme::Https, host, "", insecure)?];
        if insecure {
            endpoints.push(self.endpoint(Scheme::Http, host, "", insecure)?);
        }
        Ok(endpoints)
    }

    fn endpoint(&self, scheme: Scheme, host: &str, path: &str, insecure: bool) -> Result<Endpoint> {
        let text = format!("{}://{host}{}/v2", scheme.as_str(), path.trim_end_matches('/'));
        let base = Url::parse(&text)
            .ok_or_else(|| Error::Configuration(format!("{text:?} is no address of a registry")))?;
        let tls = TlsRules { unverified: insecure, ..self.certificates(host)? };
        Ok(Endpoint {
            base,
            tls,
            abilities: Abilities::ALL,
            official: true,
            insecure,
            namespace: None,
            headers: Vec::new(),
            realms: Vec::new(),
        })
    }

    /// The server at an address that names scheme and host, and nobody else.
    pub(crate) async fn server(&self, text: &str) -> Result<Endpoint> {
        let wrong = || Error::Configuration(format!("{text:?} is no address of a registry"));
        let url = Url::parse(text).filter(|url| !url.target.contains('?')).ok_or_else(wrong)?;
        let host = if url.host == DEFAULT_DOMAIN { HUB.to_owned() } else { url.authority() };
        let insecure = url.scheme == Scheme::Http || self.is_insecure(&host).await;
        self.endpoint(url.scheme, &host, &url.target, insecure)
    }

    async fn mirror(&self, text: &str) -> Result<Endpoint> {
        let url = Url::parse(text)
            .ok_or_else(|| Error::Configuration(format!("registry-mirrors: {text:?} is no address")))?;
        let host = url.authority();
        let insecure = url.scheme == Scheme::Http || self.is_insecure(&host).await;
        let endpoint = self.endpoint(url.scheme, &host, &url.target, insecure)?;
        Ok(Endpoint { official: false, abilities: Abilities::MIRROR, ..endpoint })
    }

    /// By name, or by an address in one of the networks. This very machine is always.
    async fn is_insecure(&self, authority: &str) -> bool {
        let Some((host, _)) = split_authority(authority) else { return false };
        let named = |rule: &&String| rule.eq_ignore_ascii_case(authority);
        if is_loopback(&host) || self.insecure.iter().any(|rule| named(&rule)) {
            return true;
        }
        let networks: Vec<IpNet> = self.insecure.iter().filter_map(|rule| network(rule)).collect();
        // As in Docker, a name that leads to this very machine counts too.
        let addresses = boxship_dial::addresses(&host).await.unwrap_or_default();
        let inside = |address: &IpAddr| {
            address.is_loopback() || networks.iter().any(|network| network.contains(address))
        };
        addresses.iter().any(inside)
    }

    /// The folder of a host: `host:port`, or containerd's `host_port_`.
    fn folder(&self, authority: &str) -> Vec<PathBuf> {
        let other = match authority.rsplit_once(':') {
            Some((host, port)) => format!("{host}_{port}_"),
            None => authority.to_owned(),
        };
        let named = self.folders.iter().flat_map(|root| [root.join(authority), root.join(&other)]);
        named.filter(|folder| folder.is_dir()).collect()
    }

    fn hosts_toml(&self, domain: &str) -> Result<Option<(PathBuf, String)>> {
        let default = self.folders.iter().map(|root| root.join("_default"));
        for folder in self.folder(domain).into_iter().chain(default) {
            let path = folder.join("hosts.toml");
            match std::fs::read_to_string(&path) {
                Ok(text) => return Ok(Some((path, text))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::Configuration(format!("read {}: {e}", path.display()))),
            }
        }
        Ok(None)
    }

    /// The authorities and the client's certificate in a host's folder: `*.crt`, `NAME.cert` with `NAME.key`.
    fn certificates(&self, authority: &str) -> Result<TlsRules> {
        let mut rules = TlsRules::default();
        for folder in self.folder(authority) {
            let failed = |e| Error::Configuration(format!("list {}: {e}", folder.display()));
            let mut paths: Vec<PathBuf> =
                folder.read_dir().map_err(failed)?.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            let with = |extension: &str| {
                let extension = extension.to_owned();
                paths.iter().filter(move |path| path.extension().is_some_and(|e| *e == *extension))
            };
            rules.authorities.extend(with("crt").cloned());
            for cert in with("cert") {
                let key = cert.with_extension("key");
                if !key.is_file() {
                    let message =
                        format!("missing key {} for client certificate {}", key.display(), cert.display());
                    return Err(Error::Configuration(message));
                }
                rules.client.get_or_insert((cert.clone(), key));
            }
        }
        Ok(rules)
    }

    async fn configured(&self, domain: &str, path: &Path, file: hosts_toml::File) -> Result<Vec<Endpoint>> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut endpoints = Vec::new();
        for host in file.hosts {
            let url = Url::parse(&host.address).ok_or_else(|| {
                Error::Configuration(format!("{}: {:?} is no address", path.display(), host.address))
            })?;
            let authority = url.authority();
            let insecure = url.scheme == Scheme::Http || self.is_insecure(&authority).await;
            let mut endpoint = self.endpoint(url.scheme, &authority, &url.target, insecure)?;
            if host.override_path {
                let base = format!("{}{}", url.origin(), url.target.trim_end_matches('/'));
                endpoint.base = Url::parse(&base).unwrap_or(endpoint.base);
            }
            endpoint.tls.authorities.extend(host.authorities.iter().map(|path| folder.join(path)));
            endpoint.tls.client =
                host.client.map(|(cert, key)| (folder.join(cert), folder.join(key))).or(endpoint.tls.client);
            endpoint.tls.unverified = host.skip_verify.unwrap_or(endpoint.tls.unverified);
            endpoint.insecure |= endpoint.tls.unverified;
            endpoint.abilities = host.abilities;
            endpoint.headers = host.headers;
            endpoint.realms = host.realms;
            endpoint.official = authority == if domain == DEFAULT_DOMAIN { HUB } else { domain };
            endpoint.namespace = (!endpoint.official).then(|| domain.to_owned());
            endpoints.push(endpoint);
        }
        // The registry itself, unless the file names another server or it is among the hosts.
        match file.server {
            _ if endpoints.iter().any(|endpoint| endpoint.official) => {}
            Some(server) => {
                let url = Url::parse(&server).or_else(|| Url::parse(&format!("https://{server}")));
                let url = url.ok_or_else(|| {
                    Error::Configuration(format!("{}: server {server:?} is no address", path.display()))
                })?;
                let insecure = url.scheme == Scheme::Http || self.is_insecure(&url.authority()).await;
                endpoints.push(self.endpoint(url.scheme, &url.authority(), &url.target, insecure)?);
            }
            None => endpoints.extend(self.official(domain).await?),
        }
        Ok(endpoints)
    }
}

/// A network, or a single address as one.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(endpoints: &[Endpoint]) -> Vec<String> {
        endpoints.iter().map(|e| e.base.to_string()).collect()
    }

    #[tokio::test]
    async fn order_of_endpoints() {
        let hosts = Hosts {
            mirrors: vec!["http://mirror.example:5000/sub/".into()],
            insecure: vec!["10.0.0.0/8".into(), "plain.example:5000".into()],
            folders: Vec::new(),
        };
        for (domain, expect) in [
            ("docker.io", &["http://mirror.example:5000/sub/v2", "https://registry-1.docker.io/v2"][..]),
            ("localhost:5000", &["https://localhost:5000/v2", "http://localhost:5000/v2"]),
            ("[::1]:5000", &["https://[::1]:5000/v2", "http://[::1]:5000/v2"]),
            ("10.1.1.1", &["https://10.1.1.1/v2", "http://10.1.1.1/v2"]),
            ("192.0.2.1", &["https://192.0.2.1/v2"]),
            ("plain.example:5000", &["https://plain.example:5000/v2", "http://plain.example:5000/v2"]),
        ] {
            assert_eq!(shown(&hosts.endpoints(domain).await.unwrap()), expect, "{domain}");
        }
    }

    #[tokio::test]
    async fn folders_of_hosts() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("127.0.0.1:5000");
        std::fs::create_dir(&folder).unwrap();
        for name in ["ca.crt", "client.cert", "client.key"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let hosts = Hosts { folders: vec![dir.path().to_owned()], ..Hosts::default() };
        let endpoints = hosts.endpoints("127.0.0.1:5000").await.unwrap();
        assert_eq!(endpoints[0].tls.authorities, [folder.join("ca.crt")]);
        assert!(endpoints[0].tls.client.is_some());
        std::fs::write(
            folder.join("hosts.toml"),
            "[host.\"http://127.0.0.1:1/x\"]\ncapabilities = [\"pull\"]\n[host.\"https://127.0.0.2\"]\n",
        )
        .unwrap();
        let endpoints = hosts.endpoints("127.0.0.1:5000").await.unwrap();
        let expect = [
            "http://127.0.0.1:1/x/v2",
            "https://127.0.0.2/v2",
            "https://127.0.0.1:5000/v2",
            "http://127.0.0.1:5000/v2",
        ];
        assert_eq!(shown(&endpoints), expect);
        assert_eq!(endpoints[0].namespace.as_deref(), Some("127.0.0.1:5000"));
        assert!(!endpoints[0].abilities.resolve && endpoints[1].abilities.push);
        std::fs::remove_file(folder.join("client.key")).unwrap();
        assert!(hosts.endpoints("127.0.0.1:5000").await.is_err());
    }
}
