//! Answers about images, brought down to older versions.

use boxship_api::ApiVersion;
use boxship_api::image::{InspectResponse, Summary};
use serde_json::{Map, Value, json};

use crate::http::Failure;

/// `GET /images/json`.
pub(crate) fn list(version: ApiVersion, images: &mut [Summary]) {
    for image in images {
        if !version.at_least(43) && image.repo_tags.is_empty() && image.repo_digests.is_empty() {
            image.repo_tags.push("<none>:<none>".to_owned());
            image.repo_digests.push("<none>@<none>".to_owned());
        }
        image.virtual_size = if version.at_least(44) { 0 } else { image.size };
    }
}

/// How many containers use an image is told by `GET /images/json` from 1.51 on; `GET /system/df` always told it.
pub(crate) fn hide_use(version: ApiVersion, images: &mut [Summary]) {
    for image in images.iter_mut().filter(|_| !version.at_least(51)) {
        image.containers = -1;
    }
}

/// `GET /images/{name}/json`.
pub(crate) fn inspect(version: ApiVersion, mut image: InspectResponse) -> Result<Value, Failure> {
    image.virtual_size = if version.at_least(44) { 0 } else { image.size };
    if !version.at_least(44) && image.created.is_empty() {
        image.created = "0001-01-01T00:00:00Z".to_owned();
    }
    let mut value = serde_json::to_value(&image).map_err(|error| {
        Failure::new(http::StatusCode::INTERNAL_SERVER_ERROR, format!("unable to encode the answer: {error}"))
    })?;
    if let Some(config) = value.get_mut("Config").and_then(Value::as_object_mut) {
        fill(
            config,
            json!({
                "Cmd": null, "Entrypoint": null, "Env": null, "Labels": null, "OnBuild": null, "User": "",
                "Volumes": null, "WorkingDir": "",
            }),
        );
        if !version.at_least(50) {
            fill(
                config,
                json!({
                    "AttachStderr": false, "AttachStdin": false, "AttachStdout": false, "Domainname": "",
                    "Hostname": "", "Image": "", "OpenStdin": false, "StdinOnce": false, "Tty": false,
                }),
            );
        }
    }
    if let Some(fields) = value.as_object_mut().filter(|_| !version.at_least(45)) {
        fill(fields, json!({ "Container": "", "ContainerConfig": null }));
    }
    Ok(value)
}

/// Add the fields that are missing.
fn fill(object: &mut Map<String, Value>, fields: Value) {
    let Value::Object(fields) = fields else { return };
    for (name, value) in fields {
        object.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untagged_images_by_version() {
        for (minor, tags, size) in [(42, 1, 7), (43, 0, 7), (44, 0, 0)] {
            let mut images = [Summary { size: 7, containers: 2, ..Summary::default() }];
            list(ApiVersion::v1(minor), &mut images);
            assert_eq!((images[0].repo_tags.len(), images[0].virtual_size), (tags, size), "{minor}");
            assert_eq!(images[0].containers, 2, "disk usage tells it to all versions");
            hide_use(ApiVersion::v1(minor), &mut images);
            assert_eq!(images[0].containers, -1);
        }
    }

    #[test]
    fn fields_of_image_configurations_by_version() {
        for (minor, hostname, command, container) in
            [(44, true, true, true), (49, true, true, false), (50, false, true, false)]
        {
            let image = InspectResponse { config: Some(Default::default()), ..Default::default() };
            let value = inspect(ApiVersion::v1(minor), image).unwrap();
            assert_eq!(value["Config"].get("Hostname").is_some(), hostname, "{minor}");
            assert_eq!(value["Config"].get("Cmd").is_some(), command, "{minor}");
            assert_eq!(value.get("Container").is_some(), container, "{minor}");
        }
    }
}
