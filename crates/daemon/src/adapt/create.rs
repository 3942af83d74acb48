//! Requests with a configuration: what older versions didn't know is taken out, what they meant by leaving
//! something out is put in.

use boxship_api::ApiVersion;
use boxship_api::container::{CreateRequest, UpdateConfig};
use boxship_api::mount::Mount;
use boxship_api::network::EndpointSettings;

use crate::http::Failure;

/// Bring `POST /containers/create` up to the newest version. Gives warnings for the answer.
pub(crate) fn request(version: ApiVersion, request: &mut CreateRequest) -> Result<Vec<String>, Failure> {
    let before = |minor| !version.at_least(minor);
    let host = request.host_config.get_or_insert_default();
    if before(25) {
        // The client removed containers itself.
        host.auto_remove = false;
    }
    if before(40) {
        host.resources.kernel_memory_tcp = 0;
        if host.ipc_mode.is_empty() {
            host.ipc_mode = "shareable".into();
        }
    }
    if before(41) && host.cgroupns_mode.is_empty() && !unified_cgroups() {
        host.cgroupns_mode = "host".into();
    }
    if before(42) {
        host.console_size = [0, 0];
    } else {
        host.resources.kernel_memory = 0;
    }
    if before(43) {
        host.annotations.clear();
    }
    if before(44)
        && let Some(check) = &mut request.config.healthcheck
    {
        check.start_interval = 0;
    }
    for mount in &mut host.mounts {
        adapt_mount(version, mount)?;
    }
    if host.resources.pids_limit.is_some_and(|limit| limit <= 0) {
        host.resources.pids_limit = None;
    }
    endpoints(version, request)?;
    mac_address(version, request)
}

fn unified_cgroups() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn adapt_mount(version: ApiVersion, mount: &mut Mount) -> Result<(), Failure> {
    let before = |minor| !version.at_least(minor);
    if let Some(bind) = &mut mount.bind_options {
        if before(40) {
            bind.non_recursive = false;
        }
        if before(42) {
            bind.create_mountpoint = false;
        }
        if before(44) && mount.kind == "bind" && bind.read_only_force_recursive {
            return Err(Failure::invalid("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"));
        }
    }
    if before(44) && mount.kind == "bind" {
        // Read-only mounts weren't recursive then.
        mount.bind_options.get_or_insert_default().read_only_non_recursive |= mount.read_only;
    }
    if before(42) {
        mount.volume_options = mount.volume_options.take().filter(|_| mount.kind == "volume");
        mount.tmpfs_options = mount.tmpfs_options.take().filter(|_| mount.kind == "tmpfs");
    } else {
        refuse_foreign_options(mount)?;
    }
    if before(45) && mount.volume_options.as_ref().is_some_and(|options| !options.subpath.is_empty()) {
        return Err(Failure::invalid("VolumeOptions.Subpath needs API v1.45 or newer"));
    }
    if before(48) && mount.kind == "image" {
        return Err(Failure::invalid("Mount type \"Image\" needs API v1.48 or newer"));
    }
    Ok(())
}

fn refuse_foreign_options(mount: &Mount) -> Result<(), Failure> {
    let kind = &mount.kind;
    for (name, given, home) in [
        ("VolumeOptions", mount.volume_options.is_some(), "volume"),
        ("BindOptions", mount.bind_options.is_some(), "bind"),
        ("TmpfsOptions", mount.tmpfs_options.is_some(), "tmpfs"),
    ] {
        if given && kind != home {
            return Err(Failure::invalid(format!("{name} must not be specified on mount type {kind:?}")));
        }
    }
    Ok(())
}

fn endpoints(version: ApiVersion, request: &mut CreateRequest) -> Result<(), Failure> {
    let Some(endpoints) =
        request.networking_config.as_mut().and_then(|config| config.endpoints_config.as_mut())
    else {
        return Ok(());
    };
    if !version.at_least(44) && endpoints.len() > 1 {
        let names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
        let names = names.join(", ");
        return Err(Failure::invalid(format!(
            "Container cannot be created with multiple network endpoints: {names}"
        )));
    }
    for endpoint in endpoints.values_mut().flatten() {
        if !version.at_least(48) {
            endpoint.gw_priority = 0;
        }
        if !version.at_least(44) {
            endpoint.mac_address.clear();
        }
    }
    Ok(())
}

/// The container-wide MAC address belongs to the endpoint of the container's main network.
fn mac_address(version: ApiVersion, request: &mut CreateRequest) -> Result<Vec<String>, Failure> {
    let address = std::mem::take(&mut request.config.mac_address);
    if address.is_empty() {
        return Ok(Vec::new());
    }
    let mode = &request.host_config.get_or_insert_default().network_mode;
    let named = mode.is_default() || mode.is_bridge() || mode.is_user_defined();
    if !named && !version.at_least(44) {
        return Err(Failure::invalid("conflicting options: mac-address and the network mode"));
    }
    if named {
        let name = if mode.is_default() { "bridge".to_owned() } else { mode.to_string() };
        let endpoints =
            request.networking_config.get_or_insert_default().endpoints_config.get_or_insert_default();
        let endpoint: &mut EndpointSettings = endpoints.entry(name).or_default().get_or_insert_default();
        if !endpoint.mac_address.is_empty() && endpoint.mac_address != address {
            return Err(Failure::invalid(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
            ));
        }
        endpoint.mac_address = address;
    }
    if !version.at_least(44) {
        return Ok(Vec::new());
    }
    Ok(vec![
        "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
            .to_owned(),
    ])
}

/// Bring `POST /containers/{id}/update` up to the newest version.
pub(crate) fn update(version: ApiVersion, request: &mut UpdateConfig) {
    let resources = &mut request.resources;
    if !version.at_least(40) {
        resources.pids_limit = None;
    }
    if version.at_least(42) {
        resources.kernel_memory = 0;
    }
    if resources.pids_limit.is_some_and(|limit| limit < 0) {
        // Both 0 and -1 mean no limit.
        resources.pids_limit = Some(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_api::container::HostConfig;
    use serde_json::json;

    fn adapted(minor: u16, body: serde_json::Value) -> Result<HostConfig, String> {
        let mut create: CreateRequest = serde_json::from_value(body).unwrap();
        request(ApiVersion::v1(minor), &mut create).map_err(|failure| failure.message().to_owned())?;
        Ok(create.host_config.unwrap_or_default())
    }

    #[test]
    fn fields_of_newer_versions_are_ignored() {
        let body = json!({"HostConfig": {"AutoRemove": true, "Annotations": {"a": "b"}, "ConsoleSize": [3, 4], "PidsLimit": -1}});
        let old = adapted(24, body.clone()).unwrap();
        assert!(!old.auto_remove && old.annotations.is_empty() && old.console_size == [0, 0]);
        assert_eq!(old.ipc_mode.to_string(), "shareable");
        let new = adapted(51, body).unwrap();
        assert!(new.auto_remove && new.annotations.len() == 1 && new.console_size == [3, 4]);
        assert!(new.ipc_mode.is_empty() && new.resources.pids_limit.is_none());
    }

    #[test]
    fn mounts_by_version() {
        let tmpfs = json!({"HostConfig": {"Mounts": [{"Type": "bind", "TmpfsOptions": {"SizeBytes": 1}}]}});
        assert!(adapted(41, tmpfs.clone()).unwrap().mounts[0].tmpfs_options.is_none());
        assert_eq!(
            adapted(42, tmpfs).unwrap_err(),
            "TmpfsOptions must not be specified on mount type \"bind\""
        );
        let bind = json!({"HostConfig": {"Mounts": [{"Type": "bind", "ReadOnly": true}]}});
        let old = adapted(43, bind.clone()).unwrap();
        assert!(old.mounts[0].bind_options.as_ref().unwrap().read_only_non_recursive);
        assert!(adapted(44, bind).unwrap().mounts[0].bind_options.is_none());
    }

    #[test]
    fn several_networks_need_a_newer_version() {
        let body = json!({"NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": null}}});
        assert_eq!(
            adapted(43, body.clone()).unwrap_err(),
            "Container cannot be created with multiple network endpoints: a, b"
        );
        assert!(adapted(44, body).is_ok());
    }
}
