//! What a container inherits from its image, and an image from the container that it is made of: everything the
//! request leaves open. One function for both, as in Docker.

use std::collections::{BTreeMap, HashSet};

use boxship_api as api;
use boxship_oci as oci;

use super::env::name;
use crate::{Error, Result};

/// Merges an image's configuration into the request's as Docker does (env, cmd, entrypoint, labels, exposed
/// ports, volumes, user, working dir, stop signal, healthcheck); then `no command specified` when there is none.
pub fn merge_image(config: &mut api::container::Config, image: &oci::ImageConfig) -> Result<()> {
    if let Some(from) = &image.config {
        inherit(config, from);
    }
    if config.entrypoint.as_ref().is_some_and(|list| list.len() == 1 && list[0].is_empty()) {
        config.entrypoint = None;
    }
    let is_empty = |list: &Option<api::StrSlice>| list.as_ref().is_none_or(|list| list.is_empty());
    if is_empty(&config.entrypoint) && is_empty(&config.cmd) {
        return Err(Error::invalid("no command specified"));
    }
    Ok(())
}

/// Takes over what `config` leaves open. What Docker doesn't inherit (the shell, `ONBUILD`, the time to stop) isn't.
pub fn inherit(config: &mut api::container::Config, image: &oci::image::ContainerConfig) {
    inherit_command(config, image);
    inherit_env(config, &image.env);
    inherit_maps(config, image);
    fill(&mut config.user, &image.user);
    fill(&mut config.working_dir, &image.working_dir);
    fill(&mut config.stop_signal, &image.stop_signal);
    if let Some(check) = &image.healthcheck {
        inherit_healthcheck(&mut config.healthcheck, check);
    }
}

fn fill(mine: &mut String, images: &Option<String>) {
    if mine.is_empty() {
        *mine = images.clone().unwrap_or_default();
    }
}

/// An entry point given in the request drops the image's command; an empty one drops the image's entry point.
fn inherit_command(config: &mut api::container::Config, image: &oci::image::ContainerConfig) {
    if config.entrypoint.as_ref().is_some_and(|list| !list.is_empty()) {
        return;
    }
    if config.cmd.as_ref().is_none_or(|list| list.is_empty()) {
        config.cmd = image.cmd.clone().map(api::StrSlice);
        config.args_escaped = image.args_escaped;
    }
    if config.entrypoint.is_none() {
        config.entrypoint = image.entrypoint.clone().map(api::StrSlice);
    }
}

/// Who names no variable gets the image's as they are; else each name is there once, and the first counts.
fn inherit_env(config: &mut api::container::Config, image: &[String]) {
    let mut mine = config.env.take().unwrap_or_default();
    if mine.is_empty() {
        mine = image.to_vec();
    } else {
        let mut have: HashSet<&str> = mine.iter().map(|entry| name(entry)).collect();
        let new: Vec<String> = image.iter().filter(|entry| have.insert(name(entry))).cloned().collect();
        mine.extend(new);
    }
    config.env = Some(mine);
}

fn inherit_maps(config: &mut api::container::Config, image: &oci::image::ContainerConfig) {
    for port in image.exposed_ports.keys() {
        config.exposed_ports.entry(port.clone()).or_default();
    }
    let labels = config.labels.get_or_insert_with(BTreeMap::new);
    for (name, value) in &image.labels {
        labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if config.volumes.as_ref().is_none_or(BTreeMap::is_empty) {
        config.volumes = None;
    }
    for path in image.volumes.keys() {
        config.volumes.get_or_insert_with(BTreeMap::new).insert(path.clone(), api::Empty);
    }
}

fn inherit_healthcheck(mine: &mut Option<api::container::HealthConfig>, image: &oci::image::Healthcheck) {
    let check = mine.get_or_insert_with(Default::default);
    if check.test.is_empty() {
        check.test = image.test.clone();
    }
    for (mine, images) in [
        (&mut check.interval, image.interval),
        (&mut check.timeout, image.timeout),
        (&mut check.start_period, image.start_period),
        (&mut check.start_interval, image.start_interval),
        (&mut check.retries, image.retries),
    ] {
        if *mine == 0 {
            *mine = images;
        }
    }
}

/// The program and its arguments: the entry point followed by the command.
pub fn command_line(config: &api::container::Config) -> Vec<String> {
    let list = |list: &Option<api::StrSlice>| list.as_ref().map(|list| list.0.clone()).unwrap_or_default();
    let mut args = list(&config.entrypoint);
    args.extend(list(&config.cmd));
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(json: &str) -> oci::ImageConfig {
        let config = serde_json::from_str(json).unwrap();
        oci::ImageConfig { config: Some(config), ..Default::default() }
    }

    fn request(json: &str) -> api::container::Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn command_and_entry_point() {
        let images = image(r#"{"Entrypoint":["/e"],"Cmd":["c"]}"#);
        for (asked, expect) in [
            ("{}", vec!["/e", "c"]),
            (r#"{"Cmd":["x"]}"#, vec!["/e", "x"]),
            (r#"{"Entrypoint":["/mine"]}"#, vec!["/mine"]),
            (r#"{"Entrypoint":["/mine"],"Cmd":["x"]}"#, vec!["/mine", "x"]),
            (r#"{"Entrypoint":[],"Cmd":["x"]}"#, vec!["x"]),
            (r#"{"Entrypoint":[""],"Cmd":["x"]}"#, vec!["x"]),
        ] {
            let mut config = request(asked);
            merge_image(&mut config, &images).unwrap();
            assert_eq!(command_line(&config), expect, "{asked}");
        }
        let error = merge_image(&mut request("{}"), &image("{}")).unwrap_err();
        assert_eq!(error.to_string(), "no command specified");
    }

    #[test]
    fn variables() {
        let images = image(r#"{"Env":["A=2","C=1","C=2"],"Cmd":["c"]}"#);
        for (asked, expect) in [
            ("{}", vec!["A=2", "C=1", "C=2"]),
            (r#"{"Env":[]}"#, vec!["A=2", "C=1", "C=2"]),
            (r#"{"Env":["A=1","A=3"]}"#, vec!["A=1", "A=3", "C=1"]),
            (r#"{"Env":["C"]}"#, vec!["C", "A=2"]),
        ] {
            let mut config = request(asked);
            merge_image(&mut config, &images).unwrap();
            assert_eq!(config.env.unwrap(), expect, "{asked}");
        }
    }

    #[test]
    fn the_rest_is_inherited() {
        let mut config = request(
            r#"{"Cmd":["x"],"Env":["A=1","B"],"Labels":{"l":"mine"},"ExposedPorts":{"1/tcp":{}},
                "Healthcheck":{"Interval":7}}"#,
        );
        let images = image(
            r#"{"Env":["A=2","B=2","C=2"],"Labels":{"l":"image","m":"image"},"ExposedPorts":{"2/udp":{}},
                "Volumes":{"/data":{}},"User":"u","WorkingDir":"/w","StopSignal":"SIGINT",
                "Healthcheck":{"Test":["CMD","t"],"Interval":9,"Retries":2}}"#,
        );
        merge_image(&mut config, &images).unwrap();
        insta::assert_json_snapshot!(config);
    }
}
