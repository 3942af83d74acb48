//! Answers about the engine, brought down to older versions.

use boxship_api::ApiVersion;
use boxship_api::system::{DiskUsage, Info, VersionResponse};
use boxship_api::version::{MAX, MIN};
use serde_json::{Value, json};

use crate::http::Failure;

/// `GET /version`: which versions this daemon speaks.
pub(crate) fn version(answer: &mut VersionResponse) {
    answer.api_version = MAX.to_string();
    answer.min_api_version = MIN.to_string();
    if let Some(engine) = answer.components.iter_mut().find(|component| component.name == "Engine") {
        engine.details.insert("ApiVersion".to_owned(), MAX.to_string());
        engine.details.insert("MinAPIVersion".to_owned(), MIN.to_string());
        engine.details.entry("Experimental".to_owned()).or_insert_with(|| answer.experimental.to_string());
    }
}

/// `GET /info`.
pub(crate) fn info(version: ApiVersion, mut info: Info) -> Result<Value, Failure> {
    let before = |minor| !version.at_least(minor);
    if before(25) {
        // Only names, without `name=` and without options.
        for option in &mut info.security_options {
            let name = option.split(',').find_map(|part| part.strip_prefix("name=")).map(str::to_owned);
            *option = name.unwrap_or_else(|| option.clone());
        }
    }
    if before(44) {
        info.runtimes.values_mut().for_each(|runtime| runtime.status.clear());
    }
    if before(49) {
        info.firewall_backend = None;
        for commit in [&mut info.containerd_commit, &mut info.runc_commit, &mut info.init_commit] {
            commit.expected = commit.id.clone();
        }
    }
    if version.at_least(42) {
        info.kernel_memory = false;
    }
    let mut value = serde_json::to_value(&info).map_err(|error| {
        Failure::new(http::StatusCode::INTERNAL_SERVER_ERROR, format!("unable to encode the answer: {error}"))
    })?;
    if before(47)
        && let Some(registries) = value.get_mut("RegistryConfig").and_then(Value::as_object_mut)
    {
        registries.insert("AllowNondistributableArtifactsCIDRs".to_owned(), Value::Null);
        registries.insert("AllowNondistributableArtifactsHostnames".to_owned(), Value::Null);
    }
    if before(50)
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("BridgeNfIptables".to_owned(), json!(false));
        fields.insert("BridgeNfIp6tables".to_owned(), json!(false));
    }
    Ok(value)
}

/// `GET /system/df`.
pub(crate) fn disk_usage(version: ApiVersion, usage: &mut DiskUsage) {
    super::image::list(version, usage.images.as_deref_mut().unwrap_or_default());
    super::container::list(version, usage.containers.as_deref_mut().unwrap_or_default());
}
