//! Answers about containers, brought down to older versions.

use boxship_api::ApiVersion;
use boxship_api::container::{InspectResponse, NetworkMode, Summary};

/// `GET /containers/json`.
pub(crate) fn list(version: ApiVersion, containers: &mut [Summary]) {
    if !version.at_least(46) {
        for container in containers {
            container.host_config.annotations.clear();
        }
    }
}

/// `GET /containers/{id}/json`.
pub(crate) fn inspect(version: ApiVersion, container: &mut InspectResponse) {
    if version.at_least(45) {
        return;
    }
    // The short id and the host name were aliases in networks that users made.
    let names = [
        container.id.chars().take(12).collect::<String>(),
        container.config.as_ref().map(|config| config.hostname.clone()).unwrap_or_default(),
    ];
    let networks = container.network_settings.as_mut().and_then(|settings| settings.networks.as_mut());
    for (network, endpoint) in networks.into_iter().flatten() {
        if !NetworkMode::from(network.as_str()).is_user_defined() {
            continue;
        }
        let aliases = endpoint.aliases.get_or_insert_default();
        for name in &names {
            if !aliases.contains(name) {
                aliases.push(name.clone());
            }
        }
    }
}
