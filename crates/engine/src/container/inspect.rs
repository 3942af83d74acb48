//! Inspect: everything the API tells about one container.

use boxship_api as api;

use super::configuration::Configuration;
use super::handle::{Container, Snapshot};
use super::network_settings::network_settings;
use super::state;
use super::{links, log_target, network_files};
use crate::info::STORAGE_DRIVER;
use crate::{Engine, Result, error::blocking};

impl Engine {
    /// `GET /containers/{id}/json`.
    pub async fn container_inspect(
        &self,
        reference: &str,
        size: bool,
    ) -> Result<api::container::InspectResponse> {
        let container = self.inner.registry.find(reference)?;
        let engine = self.clone();
        blocking(move || {
            let mut response = engine.inspect(&container);
            if size {
                let (own, whole) = engine.sizes(&container.id)?;
                (response.size_rw, response.size_root_fs) = (Some(own), Some(whole));
            }
            Ok(response)
        })
        .await
    }

    /// What a container is called now.
    fn name_now(&self, id: &str) -> Option<String> {
        Some(self.inner.registry.find(id).ok()?.configuration().name.clone())
    }

    /// Bytes in the container's own layer, and in its whole root.
    pub(crate) fn sizes(&self, id: &str) -> Result<(i64, i64)> {
        let store = self.store();
        let own = store.snapshots().usage(id)? as i64;
        let image = store.snapshots().get(id)?.image;
        // The image may be gone while its layers are kept.
        let below = store.images().get(&image).map_or(0, |image| image.size as i64);
        Ok((own, own + below))
    }

    fn inspect(&self, container: &Container) -> api::container::InspectResponse {
        let Snapshot { configuration, state } = container.snapshot();
        let (path, args) = configuration.command();
        let files = network_files::of(self, &configuration);
        let exec_ids = self.inner.execs.running_in(&container.id);
        let shown = |path: &std::path::Path| match state.started_at {
            0 => String::new(),
            _ => path.display().to_string(),
        };
        api::container::InspectResponse {
            id: container.id.clone(),
            created: state::time(configuration.created),
            path,
            args: Some(args),
            state: Some(state.to_api()),
            image: configuration.image.clone(),
            resolv_conf_path: shown(&files.resolv_conf),
            hostname_path: shown(&files.hostname),
            hosts_path: shown(&files.hosts),
            log_path: log_target::path(self, &configuration),
            name: format!("/{}", configuration.name),
            restart_count: state.restart_count.into(),
            driver: STORAGE_DRIVER.into(),
            platform: platform(&configuration),
            mount_label: String::new(),
            process_label: String::new(),
            app_armor_profile: String::new(),
            exec_ids: (!exec_ids.is_empty()).then_some(exec_ids),
            host_config: Some(api::container::HostConfig {
                links: links::shown(&configuration, |id| self.name_now(id)),
                ..configuration.host_config.clone()
            }),
            graph_driver: self.graph_driver(&container.id),
            size_rw: None,
            size_root_fs: None,
            mounts: configuration.mounts.clone(),
            config: Some(shown_config(&configuration)),
            network_settings: Some(network_settings(&configuration, &state, &|name| self.network_id(name))),
        }
    }

    /// Where the layers are, in the words of Docker's overlay2.
    fn graph_driver(&self, id: &str) -> api::container::DriverData {
        let mount = self.root_of(id).ok();
        let data = mount.map(|mount| {
            let lower: Vec<_> = mount.lower.iter().map(|path| path.display().to_string()).collect();
            let merged = mount.upper.with_file_name("merged");
            [
                ("ID", id.to_owned()),
                ("LowerDir", lower.join(":")),
                ("MergedDir", merged.display().to_string()),
                ("UpperDir", mount.upper.display().to_string()),
                ("WorkDir", mount.work.display().to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
        });
        api::container::DriverData { data, name: STORAGE_DRIVER.into() }
    }
}

fn platform(configuration: &Configuration) -> String {
    if configuration.os.is_empty() { "linux".into() } else { configuration.os.clone() }
}

/// The configuration with the hardware address asked for at its main network, where it stood before it was an
/// endpoint's.
fn shown_config(configuration: &Configuration) -> api::container::Config {
    let mut config = configuration.config.clone();
    let mode = &configuration.host_config.network_mode;
    if config.mac_address.is_empty() && (mode.is_bridge() || mode.is_user_defined()) {
        let endpoints = super::network::asked(configuration);
        let main = endpoints.into_iter().find(|(name, _)| name == mode.as_str());
        config.mac_address = main.map(|(_, settings)| settings.mac_address).unwrap_or_default();
    }
    config
}
