//! What an image that is made of a container takes over from it, as Docker merges it: what was asked for at the
//! commit first, then Dockerfile instructions, then the container's own. It touches no files.

use boxship_api::container::Config;
use boxship_oci::image::ContainerConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Kind, Result, spec};

/// The configuration of an image of `container`: `asked` (the container's when nothing is) after the instructions
/// `changes`, and the container's where these leave something open.
pub(super) fn config(
    asked: Option<&Config>,
    changes: &[String],
    container: &Config,
) -> Result<ContainerConfig> {
    let container = kept(container)?;
    let asked = asked.filter(|asked| **asked != Config::default()).map(kept).transpose()?;
    let changed = boxship_image::changes::apply(asked.unwrap_or_else(|| container.clone()), changes);
    let mut config = converted(&changed.map_err(super::error::from_image)?)?;
    spec::inherit(&mut config, &container);
    kept(&config)
}

/// The part of a container's configuration that an image keeps.
fn kept(config: &Config) -> Result<ContainerConfig> {
    let mut value: Value = converted(config)?;
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
        // Its host name is the container's own.
        fields.retain(|name, _| name != "Hostname" && name != "Domainname");
    }
    converted(&value)
}

/// A configuration as another type: they have the same names on the wire.
fn converted<T: DeserializeOwned>(config: &impl Serialize) -> Result<T> {
    let value = serde_json::to_value(config).and_then(serde_json::from_value);
    value.map_err(|error| Error::caused(Kind::Internal, "convert configuration", error))
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

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
        const CONTAINER: &str = r#"{"User":"u","Entrypoint":["e"],"Cmd":["c"],"Env":["PATH=/bin","A=1","A=3"],
            "OnBuild":["RUN x"],"Labels":{"l":"v"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"WorkingDir":"/w",
            "StopSignal":"INT","Shell":["s"],"Healthcheck":{"Test":["CMD","t"],"Interval":5,"Retries":2}}"#;
        let container: Config = read(CONTAINER);
        for (asked, changes, fields) in [
            ("null", &[][..], r#"{}"#),
            ("{}", &[][..], r#"{}"#),
            (r#"{"Tty":true}"#, &[][..], r#"{"Shell":null,"OnBuild":null}"#),
            ("{}", &["ENV A=2"][..], r#"{"Env":["PATH=/bin","A=2","A=3"]}"#),
            ("null", &["ENV A=2"][..], r#"{"Env":["PATH=/bin","A=2","A=3"]}"#),
            (
                r#"{"Env":["Z=1"]}"#,
                &["ENV A=2"][..],
                r#"{"Env":["Z=1","A=2","PATH=/bin"],"Shell":null,"OnBuild":null}"#,
            ),
            ("null", &["CMD x y"][..], r#"{"Cmd":["s","x y"]}"#),
            ("{}", &["CMD"][..], r#"{"Cmd":["s"]}"#),
            ("{}", &["CMD []"][..], r#"{"Cmd":[]}"#),
            ("{}", &["ENTRYPOINT"][..], r#"{}"#),
            ("{}", &["CMD x", "ENTRYPOINT y"][..], r#"{"Cmd":["s","x"],"Entrypoint":["s","y"]}"#),
            (
                r#"{"Shell":["z","-c"]}"#,
                &["CMD x"][..],
                r#"{"Cmd":["z","-c","x"],"Shell":["z","-c"],"OnBuild":null}"#,
            ),
            (
                r#"{"Tty":true}"#,
                &["CMD x"][..],
                r#"{"Cmd":["/bin/sh","-c","x"],"Shell":null,"OnBuild":null}"#,
            ),
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
                r#"{"Healthcheck":{"Interval":7},"Volumes":{"/z":{}}}"#,
                &[][..],
                r#"{"Healthcheck":{"Test":["CMD","t"],"Interval":7,"Retries":2},"Volumes":{"/z":{},"/v":{}},
                    "Shell":null,"OnBuild":null}"#,
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
