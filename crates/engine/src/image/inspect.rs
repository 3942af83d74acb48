//! `GET /images/{name}/json` and `/history`.

use boxship_api as api;
use boxship_api::container::DriverData;
use boxship_api::image::{HistoryResponseItem, ImageConfig, InspectResponse, Metadata, RootFs};
use boxship_api::timestamp::{Timestamp, ZERO};
use boxship_oci::Digest;
use boxship_oci::Reference;
use boxship_oci::image::ContainerConfig;
use boxship_store::Store;

use super::known::Known;
use crate::error::blocking;
use crate::info::STORAGE_DRIVER;
use crate::{Engine, Result};

impl Engine {
    /// `GET /images/{name}/json`.
    pub async fn image_inspect(&self, name: &str) -> Result<InspectResponse> {
        let (store, name) = (self.store().clone(), name.to_owned());
        blocking(move || {
            let known = Known::resolve(&store, &name)?;
            let graph_driver = graph_driver(&store, &known)?;
            Ok(response(&known, graph_driver))
        })
        .await
    }

    /// `GET /images/{name}/history`.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryResponseItem>> {
        let (store, name) = (self.store().clone(), name.to_owned());
        blocking(move || {
            let image = store.images().resolve(&name)?;
            let entries = boxship_image::history(&store, &image.id).map_err(super::error::from_image)?;
            Ok(entries.into_iter().map(history_item).collect())
        })
        .await
    }
}

fn response(known: &Known, graph_driver: DriverData) -> InspectResponse {
    let (image, config) = (&known.image, &known.config);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let last_comment = config.history.last().and_then(|step| step.comment.clone());
    InspectResponse {
        id: image.id.to_string(),
        repo_tags: known.tags(),
        repo_digests: known.digests(),
        parent: image.parent.as_ref().map(Digest::to_string).unwrap_or_default(),
        comment: config.comment.clone().filter(|c| !c.is_empty()).or(last_comment).unwrap_or_default(),
        created: text(&config.created),
        container: text(&config.container),
        docker_version: text(&config.docker_version),
        author: text(&config.author),
        config: Some(image_config(config.config.as_ref())),
        architecture: config.architecture.clone(),
        variant: text(&config.variant),
        os: if config.os.is_empty() { "linux".to_owned() } else { config.os.clone() },
        os_version: text(&config.os_version),
        size: image.size as i64,
        virtual_size: 0,
        graph_driver,
        root_fs: RootFs {
            kind: config.rootfs.kind.clone(),
            layers: config.rootfs.diff_ids.iter().map(Digest::to_string).collect(),
        },
        metadata: Metadata { last_tag_time: last_tag_time(image.last_tagged) },
    }
}

fn last_tag_time(seconds: i64) -> String {
    if seconds == 0 { ZERO.to_owned() } else { Timestamp { seconds, nanos: 0 }.rfc3339_nano() }
}

fn image_config(config: Option<&ContainerConfig>) -> ImageConfig {
    let Some(config) = config else { return ImageConfig::default() };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    ImageConfig {
        user: text(&config.user),
        exposed_ports: config.exposed_ports.keys().map(|port| (port.clone(), api::Empty)).collect(),
        env: config.env.clone(),
        entrypoint: list(&config.entrypoint),
        cmd: list(&config.cmd),
        volumes: config.volumes.keys().map(|path| (path.clone(), api::Empty)).collect(),
        working_dir: text(&config.working_dir),
        labels: config.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        stop_signal: text(&config.stop_signal),
        args_escaped: config.args_escaped,
        healthcheck: config.healthcheck.as_ref().map(|check| api::container::HealthConfig {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        on_build: list(&config.on_build),
        shell: list(&config.shell),
    }
}

/// Where the layers are: the topmost as `UpperDir`, those below as `LowerDir`. Nothing is mounted on the host.
fn graph_driver(store: &Store, known: &Known) -> Result<DriverData> {
    let mut data = std::collections::BTreeMap::new();
    if let Some(top) = known.image.top() {
        let mut paths: Vec<String> =
            store.layers().chain(top)?.iter().rev().map(|layer| layer.path.display().to_string()).collect();
        let upper = paths.remove(0);
        data.insert("UpperDir".to_owned(), upper);
        if !paths.is_empty() {
            data.insert("LowerDir".to_owned(), paths.join(":"));
        }
    }
    Ok(DriverData { name: STORAGE_DRIVER.to_owned(), data: Some(data).filter(|data| !data.is_empty()) })
}

fn history_item(entry: boxship_image::HistoryEntry) -> HistoryResponseItem {
    let created = entry.created.as_deref().and_then(Timestamp::parse_rfc3339);
    let tags: Vec<String> = entry.names.iter().map(Reference::familiar).collect();
    HistoryResponseItem {
        comment: entry.comment,
        created: created.map_or(0, |time| time.seconds),
        created_by: entry.created_by,
        id: entry.id.map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
        size: entry.size as i64,
        tags: Some(tags).filter(|tags| !tags.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_told_to_the_last_field() {
        let json = r#"{"Hostname":"h","User":"u","ExposedPorts":{"80/tcp":{}},"Env":["A=1"],"Cmd":["c"],
            "Healthcheck":{"Test":["CMD","t"],"Interval":5},"Volumes":{"/d":{}},"WorkingDir":"/w",
            "Entrypoint":["e"],"OnBuild":["RUN x"],"Labels":{"l":"v"},"StopSignal":"TERM","Shell":["/bin/sh"]}"#;
        let config: ContainerConfig = serde_json::from_str(json).unwrap();
        let told = serde_json::to_string(&image_config(Some(&config))).unwrap();
        assert_eq!(
            told,
            r#"{"User":"u","ExposedPorts":{"80/tcp":{}},"Env":["A=1"],"Entrypoint":["e"],"Cmd":["c"],"Volumes":{"/d":{}},"WorkingDir":"/w","Labels":{"l":"v"},"StopSignal":"TERM","Healthcheck":{"Test":["CMD","t"],"Interval":5},"OnBuild":["RUN x"],"Shell":["/bin/sh"]}"#
        );
        assert_eq!(serde_json::to_string(&image_config(None)).unwrap(), "{}");
    }

    #[test]
    fn never_named_is_the_zero_time() {
        assert_eq!(last_tag_time(0), "0001-01-01T00:00:00Z");
        assert_eq!(last_tag_time(1), "1970-01-01T00:00:01Z");
    }
}
