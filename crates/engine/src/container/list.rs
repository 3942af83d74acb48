//! List: every filter, from snapshots. Looks at the disk only for sizes and images.

mod select;

use boxship_api as api;
use boxship_api::Filters;

use super::handle::Snapshot;
use super::network_settings::{Identify, endpoints, summaries};
use super::state;
use crate::{Engine, Result, error::blocking};

use select::Selection;

/// What to list (`GET /containers/json`).
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Not only the running ones.
    pub all: bool,
    /// The newest n; `Some(0)` or `None`: no limit.
    pub limit: Option<i64>,
    /// With sizes.
    pub size: bool,
    /// The filters.
    pub filters: Filters,
}

impl Engine {
    /// `GET /containers/json`.
    pub async fn container_list(&self, options: ListOptions) -> Result<Vec<api::container::Summary>> {
        let mut snapshots: Vec<_> = self.inner.registry.all().iter().map(|c| c.snapshot()).collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.configuration.created));
        let ancestors = self.ancestors(&options.filters).await?;
        let identify: Identify<'_> = &|name| self.network_id(name);
        let selection = Selection::new(&self.inner.registry, identify, &options, ancestors)?;
        let chosen = selection.choose(snapshots);
        let names = self.image_names().await?;
        let now = state::now();
        let mut listed: Vec<_> =
            chosen.iter().map(|snapshot| summary(snapshot, &names, identify, now)).collect();
        let mut links = self.link_names();
        for (summary, snapshot) in listed.iter_mut().zip(&chosen) {
            let others = links.remove(&snapshot.configuration.id).unwrap_or_default();
            summary.names.get_or_insert_default().extend(others);
        }
        if options.size {
            let engine = self.clone();
            listed = blocking(move || {
                for summary in &mut listed {
                    // One that is removed meanwhile is shown without sizes.
                    let sizes = engine.sizes(&summary.id).unwrap_or_default();
                    (summary.size_rw, summary.size_root_fs) = sizes;
                }
                Ok(listed)
            })
            .await?;
        }
        Ok(listed)
    }

    /// The identifier of a network by its name.
    pub(super) fn network_id(&self, name: &str) -> Option<String> {
        self.inner.networks.find(name).ok().map(|network| network.id.clone())
    }

    /// Ids of the images that `ancestor` filters name, and of those made from them; `None` without such a filter.
    async fn ancestors(&self, filters: &Filters) -> Result<Option<Vec<String>>> {
        if !filters.contains("ancestor") {
            return Ok(None);
        }
        let wanted: Vec<_> = filters.get("ancestor").map(str::to_owned).collect();
        let store = self.store().clone();
        blocking(move || {
            let images = store.images();
            let mut found = Vec::new();
            // An image that is not there has no descendants.
            let mut open: Vec<_> =
                wanted.iter().filter_map(|name| images.resolve(name).ok()).map(|image| image.id).collect();
            while let Some(id) = open.pop() {
                if !found.contains(&id) {
                    open.extend(images.children(&id)?);
                    found.push(id);
                }
            }
            Ok(Some(found.iter().map(ToString::to_string).collect()))
        })
        .await
    }

    /// Image ids by familiar name: an image shown by its name must still have it.
    async fn image_names(&self) -> Result<std::collections::HashMap<String, String>> {
        let store = self.store().clone();
        blocking(move || {
            let mut names = std::collections::HashMap::new();
            for image in store.images().list()? {
                for name in image.names.iter().chain(&image.repo_digests) {
                    names.insert(name.canonical(), image.id.to_string());
                }
            }
            Ok(names)
        })
        .await
    }
}

/// The image as it is shown: as it was named while that name points at it, else its id.
fn image(snapshot: &Snapshot, names: &std::collections::HashMap<String, String>) -> String {
    let configuration = &snapshot.configuration;
    let asked = &configuration.config.image;
    let hex = configuration.image.strip_prefix("sha256:").unwrap_or(&configuration.image);
    if !asked.is_empty()
        && (configuration.image.starts_with(asked.as_str()) || hex.starts_with(asked.as_str()))
    {
        return asked.clone();
    }
    let canonical = boxship_oci::Reference::parse(asked).map(|reference| reference.tagged().canonical());
    match canonical {
        Ok(name) if names.get(&name) == Some(&configuration.image) => asked.clone(),
        _ => configuration.image.clone(),
    }
}

fn summary(
    snapshot: &Snapshot,
    names: &std::collections::HashMap<String, String>,
    identify: Identify<'_>,
    now: i64,
) -> api::container::Summary {
    let (configuration, state) = (&snapshot.configuration, &snapshot.state);
    api::container::Summary {
        id: configuration.id.clone(),
        names: Some(vec![format!("/{}", configuration.name)]),
        image: image(snapshot, names),
        image_id: configuration.image.clone(),
        command: configuration.command_line(),
        created: configuration.created / 1_000_000_000,
        ports: summaries(configuration, &state.network),
        size_rw: 0,
        size_root_fs: 0,
        labels: configuration.config.labels.clone().unwrap_or_default(),
        state: state.status.word().into(),
        status: state.sentence(now),
        host_config: api::container::SummaryHostConfig {
            network_mode: configuration.host_config.network_mode.as_str().to_owned(),
            annotations: configuration.host_config.annotations.clone(),
        },
        network_settings: Some(api::container::SummaryNetworkSettings {
            networks: Some(endpoints(configuration, state, identify)),
        }),
        mounts: configuration.mounts.clone(),
    }
}
