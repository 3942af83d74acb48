//! What an image that is made of a container takes over from it, as Docker merges it: what was asked for at the
//! commit first, then Dockerfile instructions, then the container's own. It touches no files.

use boxship_api::container::Config;
use boxship_oci::image::{ContainerConfig, Healthcheck};
use indexmap::IndexMap;
use serde_json::Value;

use crate::spec::env;
use crate::{Error, Kind, Result};

/// The configuration of an image of `container`: `asked` (the container's when `None`) after the instructions
/// `changes`, and the container's where these leave something open.
pub(super) fn config(
    asked: Option<&Config>,
    changes: &[String],
    container: &Config,
) -> Result<ContainerConfig> {
    let container = kept(container)?;
    let asked = asked.map(kept).transpose()?.unwrap_or_else(|| container.clone());
    let asked = boxship_image::changes::apply(asked, changes).map_err(super::error::from_image)?;
    Ok(merged(asked, container))
}

/// The part of a container's configuration that an image keeps: the two have the same names on the wire.
fn kept(config: &Config) -> Result<ContainerConfig> {
    let failed = |error| Error::caused(Kind::Internal, "convert configuration", error);
    let mut value = serde_json::to_value(config).map_err(failed)?;
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
        // Its host name is the container's own.
        fields.retain(|name, _| name != "Hostname" && name != "Domainname");
    }
    serde_json::from_value(value).map_err(failed)
}

/// Lists and maps have what both have; of what is in both, and of single values, `asked` counts.
fn merged(mut asked: ContainerConfig, container: ContainerConfig) -> ContainerConfig {
    // Whoever names a program doesn't want another's arguments.
    if asked.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if asked.cmd.as_ref().is_none_or(Vec::is_empty) {
            asked.cmd = container.cmd;
            asked.args_escaped = container.args_escaped;
        }
        asked.entrypoint = asked.entrypoint.or(container.entrypoint);
    }
    for entry in container.env {
        if !asked.env.iter().any(|known| env::name(known) == env::name(&entry)) {
            asked.env.push(entry);
        }
    }
    add(&mut asked.exposed_ports, container.exposed_ports);
    add(&mut asked.volumes, container.volumes);
    add(&mut asked.labels, container.labels);
    asked.healthcheck = match (asked.healthcheck, container.healthcheck) {
        (Some(asked), Some(container)) => Some(checked(asked, container)),
        (asked, container) => asked.or(container),
    };
    ContainerConfig {
        user: asked.user.or(container.user),
        working_dir: asked.working_dir.or(container.working_dir),
        shell: asked.shell.filter(|shell| !shell.is_empty()).or(container.shell),
        stop_signal: asked.stop_signal.or(container.stop_signal),
        ..asked
    }
}

fn add<V>(asked: &mut IndexMap<String, V>, container: IndexMap<String, V>) {
    for (key, value) in container {
        asked.entry(key).or_insert(value);
    }
}

/// Zero and nothing inherit, here as in a Dockerfile.
fn checked(asked: Healthcheck, container: Healthcheck) -> Healthcheck {
    let or = |asked: i64, container: i64| if asked == 0 { container } else { asked };
    Healthcheck {
        test: if asked.test.is_empty() { container.test } else { asked.test },
        interval: or(asked.interval, container.interval),
        timeout: or(asked.timeout, container.timeout),
        start_period: or(asked.start_period, container.start_period),
        start_interval: or(asked.start_interval, container.start_interval),
        retries: or(asked.retries, container.retries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn images_keep_what_containers_inherit() {
        let container: Config = read(
            r#"{"Hostname":"h","User":"","Cmd":["a"],"Env":null,"Labels":{"l":"v"},"Image":"i","Tty":true,
                "ExposedPorts":{"80/tcp":{}},"WorkingDir":"/w","StopTimeout":3}"#,
        );
        let kept = kept(&container).unwrap();
        assert_eq!(kept.cmd, Some(vec!["a".to_owned()]));
        assert_eq!((kept.hostname, kept.user), (None, None));
        assert_eq!(kept.labels["l"], "v");
        assert_eq!(kept.working_dir.as_deref(), Some("/w"));
        assert!(kept.exposed_ports.contains_key("80/tcp") && kept.env.is_empty());
    }

    #[test]
    fn what_is_asked_for_counts_and_the_rest_is_the_containers() {
        const CONTAINER: &str = r#"{"User":"u","Entrypoint":["e"],"Cmd":["c"],"Env":["PATH=/bin","A=1"],
            "Labels":{"l":"v"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"WorkingDir":"/w",
            "StopSignal":"INT","Shell":["s"],"Healthcheck":{"Test":["CMD","t"],"Interval":5,"Retries":2}}"#;
        let container: Config = read(CONTAINER);
        for (asked, changes, fields) in [
            ("null", &[][..], r#"{}"#),
            ("{}", &[][..], r#"{}"#),
            ("{}", &["ENV A=2"][..], r#"{"Env":["A=2","PATH=/bin"]}"#),
            ("null", &["ENV A=2"][..], r#"{"Env":["PATH=/bin","A=2"]}"#),
            ("null", &["CMD x"][..], r#"{"Cmd":["/bin/sh","-c","x"]}"#),
            ("null", &["ENTRYPOINT [\"x\"]"][..], r#"{"Entrypoint":["x"],"Cmd":null}"#),
            ("{}", &["ENTRYPOINT [\"x\"]"][..], r#"{"Entrypoint":["x"],"Cmd":null}"#),
            ("null", &["ENTRYPOINT [\"x\"]", "CMD [\"y\"]"][..], r#"{"Entrypoint":["x"],"Cmd":["y"]}"#),
            ("null", &["CMD [\"y\"]", "ENTRYPOINT [\"x\"]"][..], r#"{"Entrypoint":["x"],"Cmd":["y"]}"#),
            ("{}", &["EXPOSE 81"][..], r#"{"ExposedPorts":{"81/tcp":{},"80/tcp":{}}}"#),
            ("{}", &["LABEL l=w m=n"][..], r#"{"Labels":{"l":"w","m":"n"}}"#),
            (
                "{}",
                &["USER x", "WORKDIR /x", "STOPSIGNAL HUP"][..],
                r#"{"User":"x","WorkingDir":"/x","StopSignal":"HUP"}"#,
            ),
            (
                r#"{"Healthcheck":{"Interval":7}}"#,
                &[][..],
                r#"{"Healthcheck":{"Test":["CMD","t"],"Interval":7,"Retries":2}}"#,
            ),
        ] {
            let mut expected: Value = read(CONTAINER);
            for (name, value) in read::<IndexMap<String, Value>>(fields) {
                expected[&name] = value;
            }
            let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
            let asked: Option<Config> = read(asked);
            let made = config(asked.as_ref(), &changes, &container).unwrap();
            assert_eq!(made, read(&expected.to_string()), "{asked:?} {changes:?}");
        }
    }
}
