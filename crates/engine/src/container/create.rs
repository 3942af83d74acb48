//! Create: from a request to a durable row and a prepared root. What fails leaves neither name nor folder nor row.

use boxship_api as api;
use boxship_oci::ImageConfig;
use boxship_store::{Error as StoreError, Image};

use super::configuration::Configuration;
use super::handle::Container;
use super::specification::joins_itself;
use super::state::{self, State};
use super::{links, log_target, names};
use crate::network::{asked, names::parse_link};
use crate::{Engine, Error, Kind, Result, error::blocking, spec};

/// What comes beside the body of `POST /containers/create`.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The wanted name; `None`: a generated one.
    pub name: Option<String>,
    /// The wanted platform (`os[/arch[/variant]]`).
    pub platform: Option<String>,
}

/// An image as a container needs it.
struct Found {
    image: Image,
    config: ImageConfig,
}

impl Engine {
    /// `POST /containers/create`.
    pub async fn container_create(
        &self,
        options: CreateOptions,
        request: api::container::CreateRequest,
    ) -> Result<api::container::CreateResponse> {
        let engine = self.clone();
        // To the end even if the caller goes away: a reserved name must not be left behind.
        let work = tokio::spawn(async move { engine.create(options, request).await });
        work.await.unwrap_or_else(|error| Err(Error::caused(Kind::Internal, "create container", error)))
    }

    async fn create(
        &self,
        options: CreateOptions,
        request: api::container::CreateRequest,
    ) -> Result<api::container::CreateResponse> {
        if self.is_closing() {
            return Err(Error::unavailable("the engine is shutting down"));
        }
        let api::container::CreateRequest { mut config, host_config, networking_config } = request;
        let mut host_config = host_config.unwrap_or_default();
        let mut warnings = spec::validate(&mut config, &mut host_config, self.config(), &self.inner.host)?;
        let networks = &self.inner.networks;
        let networking = asked::normalize(&host_config, networking_config, &|name| networks.find(name).ok())?;
        self.name_joined(&mut host_config, options.name.as_deref())?;
        self.name_linked(&mut host_config)?;
        let found = self.find_image(&config.image).await?;
        warnings.extend(check_platform(&found.config, options.platform.as_deref(), &config.image)?);
        spec::merge_image(&mut config, &found.config)?;
        let mounts = spec::mount_points(&config, &host_config)?;
        let id = names::new_id()?;
        let donor = host_config.network_mode.container().and_then(|name| self.inner.registry.find(name).ok());
        let donor = donor.map(|donor| donor.configuration());
        fill_hostname(&mut config, &host_config, donor.as_deref(), id.short());
        let name = match options.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => self.inner.registry.reserve(name, id.as_str())?,
            None => self.inner.registry.reserve_generated(id.as_str())?,
        };
        let configuration = Configuration {
            id: id.as_str().to_owned(),
            name,
            created: state::now(),
            image: found.image.id.to_string(),
            os: found.config.os.clone(),
            config,
            host_config,
            networking: Some(networking),
            mounts,
        };
        if let Err(error) = self.write_down(&configuration, found.image).await {
            self.inner.registry.release(&configuration.name, &configuration.id);
            return Err(error);
        }
        let (container, driver) = Container::new(self, configuration, State::default());
        self.inner.registry.insert(container.clone());
        tokio::spawn(driver.run());
        self.tell_container(&container.configuration(), "create", &[]);
        Ok(api::container::CreateResponse { id: container.id.clone(), warnings })
    }

    /// Folders, then one durable transaction; undone when that fails.
    async fn write_down(&self, configuration: &Configuration, image: Image) -> Result<()> {
        let (engine, configuration) = (self.clone(), configuration.clone());
        blocking(move || {
            let snapshots = engine.store().snapshots();
            snapshots.make(&configuration.id, &image.id)?;
            let written = log_target::of(&engine, &configuration)
                .and_then(|_| engine.inner.rows.insert(&configuration, &image.id));
            if written.is_err()
                && let Err(error) = snapshots.discard(&configuration.id)
            {
                tracing::warn!(%error, container = configuration.id, "folder of a failed create not removed");
            }
            written
        })
        .await
    }

    /// Containers whose namespaces shall be joined must be there; they are kept by identifier, for names may change.
    /// (No `NotFound`: clients would pull the image.) `own`: the name that it shall have itself.
    fn name_joined(&self, host_config: &mut api::container::HostConfig, own: Option<&str>) -> Result<()> {
        let named = |name: Option<&str>| -> Result<Option<String>> {
            let found = name.map(|name| self.inner.registry.find(name)).transpose();
            let found = found.map_err(|error| Error::invalid(error.to_string()))?;
            Ok(found.map(|container| format!("container:{}", container.id)))
        };
        let network = host_config.network_mode.container();
        if let (Some(network), Some(own)) = (network, own.map(names::plain))
            && names::plain(network) == own
            && !self.inner.registry.find(own).is_ok_and(|other| other.configuration().name == own)
        {
            return Err(joins_itself());
        }
        if let Some(mode) = named(network)? {
            host_config.network_mode = mode.as_str().into();
        }
        if let Some(mode) = named(host_config.ipc_mode.container())? {
            host_config.ipc_mode = mode.as_str().into();
        }
        if let Some(mode) = named(host_config.pid_mode.container())? {
            host_config.pid_mode = mode.as_str().into();
        }
        Ok(())
    }

    /// Containers that legacy links of the default bridge name must be there, and have addresses of their own; they
    /// are kept by identifier, too.
    fn name_linked(&self, host_config: &mut api::container::HostConfig) -> Result<()> {
        if host_config.network_mode.is_user_defined() {
            return Ok(());
        }
        for link in host_config.links.iter_mut().flatten() {
            let (name, alias) =
                parse_link(link).ok_or_else(|| Error::invalid(format!("bad format for links: {link}")))?;
            let found =
                self.inner.registry.find(&name).map_err(|error| {
                    Error::invalid(format!("could not get container for {name}: {error}"))
                })?;
            if found.configuration().host_config.network_mode.is_host() {
                return Err(Error::invalid(
                    "conflicting options: host type networking can't be used with links. This would result in \
                     undefined behavior",
                ));
            }
            *link = links::kept(&found.id, &found.configuration().name, &alias);
        }
        Ok(())
    }

    async fn find_image(&self, name: &str) -> Result<Found> {
        let (store, name) = (self.store().clone(), name.to_owned());
        blocking(move || {
            let image = store.images().resolve(&name).map_err(|error| match error {
                StoreError::NoSuchImage(_) => Error::no_image(&with_tag(&name)),
                other => other.into(),
            })?;
            let text = store.images().config(&image.id)?;
            let config = serde_json::from_slice(&text).map_err(|error| {
                Error::caused(Kind::Internal, format!("read configuration of image {}", image.id), error)
            })?;
            Ok(Found { image, config })
        })
        .await
    }
}

/// The name as Docker tells it of a missing image: with a tag, unless it is an id or a digest.
fn with_tag(name: &str) -> String {
    match boxship_oci::Reference::parse(name) {
        Ok(reference) if reference.is_name_only() => format!("{name}:latest"),
        _ => name.to_owned(),
    }
}

/// An image of another platform is refused when one was asked for, else warned of.
fn check_platform(image: &ImageConfig, wanted: Option<&str>, name: &str) -> Result<Option<String>> {
    let host = boxship_oci::Platform::host();
    let have = (image.os.as_str(), image.architecture.as_str());
    if let Some(wanted) = wanted.filter(|text| !text.is_empty()) {
        let platform: boxship_oci::Platform =
            wanted.parse().map_err(|error: boxship_oci::Error| Error::invalid(error.to_string()))?;
        if (platform.os.as_str(), platform.architecture.as_str()) != have {
            return Err(Error::not_found(format!(
                "image with reference {name} was found but its platform ({}/{}) does not match the specified \
                 platform ({wanted})",
                have.0, have.1
            )));
        }
        return Ok(None);
    }
    let fits = have.1.is_empty() || (host.os.as_str(), host.architecture.as_str()) == have;
    Ok((!fits).then(|| {
        format!(
            "The requested image's platform ({}/{}) does not match the detected host platform ({}/{}) and no \
             specific platform was requested",
            have.0, have.1, host.os, host.architecture
        )
    }))
}

/// Who joins another's network has its host name too; else it is what was asked for, on the host's network (or UTS
/// namespace) the host's own, and without a wish the short id.
fn fill_hostname(
    config: &mut api::container::Config,
    host_config: &api::container::HostConfig,
    donor: Option<&Configuration>,
    short_id: &str,
) {
    if let Some(donor) = donor {
        config.hostname.clone_from(&donor.config.hostname);
        config.domainname.clone_from(&donor.config.domainname);
    } else if config.hostname.is_empty() {
        config.hostname = match host_config.network_mode.is_host() || host_config.uts_mode.is_host() {
            true => crate::info::host_name(),
            false => short_id.to_owned(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_images_are_named_with_a_tag() {
        for (name, expect) in [
            ("busybox", "busybox:latest"),
            ("busybox:1", "busybox:1"),
            ("host:5000/a", "host:5000/a:latest"),
            ("NOT valid", "NOT valid"),
        ] {
            assert_eq!(with_tag(name), expect);
        }
    }

    #[test]
    fn platforms() {
        let image = |architecture: &str| ImageConfig {
            os: "linux".into(),
            architecture: architecture.into(),
            ..ImageConfig::default()
        };
        let host = boxship_oci::Platform::host();
        assert_eq!(check_platform(&image(&host.architecture), None, "x").unwrap(), None);
        assert!(check_platform(&image("mips"), None, "x").unwrap().unwrap().contains("linux/mips"));
        assert!(check_platform(&image("mips"), Some("linux/amd64"), "x").is_err());
        assert_eq!(check_platform(&image("mips"), Some("linux/mips"), "x").unwrap(), None);
        assert!(check_platform(&image("mips"), Some("//"), "x").is_err());
    }

    #[test]
    fn hostnames() {
        let mut config = api::container::Config::default();
        let host_config = api::container::HostConfig::default();
        fill_hostname(&mut config, &host_config, None, "abc");
        assert_eq!(config.hostname, "abc");
        fill_hostname(&mut config, &host_config, None, "def");
        assert_eq!(config.hostname, "abc");
        let mut donor = Configuration::default();
        donor.config.hostname = "donor".into();
        fill_hostname(&mut config, &host_config, Some(&donor), "def");
        assert_eq!(config.hostname, "donor");
    }
}
