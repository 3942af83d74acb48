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
    default_network(request);
    endpoints(version, request)?;
    let warnings = [mac_address(version, request)?, interface_sysctls(version, request)?];
    Ok(warnings.into_iter().flatten().collect())
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

/// Names the default network as it is called here.
fn default_network(request: &mut CreateRequest) {
    let mode = &mut request.host_config.get_or_insert_default().network_mode;
    if !mode.is_default() {
        return;
    }
    *mode = "bridge".into();
    let endpoints =
        request.networking_config.as_mut().and_then(|networking| networking.endpoints_config.as_mut());
    if let Some(endpoints) = endpoints
        && let Some(endpoint) = endpoints.remove("default")
    {
        endpoints.insert("bridge".to_owned(), endpoint);
    }
}

/// The endpoint of the container's main network. Where others are named and it isn't, nobody can tell which is meant.
fn main_endpoint(version: ApiVersion, request: &mut CreateRequest) -> Result<&mut EndpointSettings, Failure> {
    let name = request.host_config.get_or_insert_default().network_mode.to_string();
    let endpoints =
        request.networking_config.get_or_insert_default().endpoints_config.get_or_insert_default();
    let key = match endpoints.keys().next() {
        Some(only) if !version.at_least(44) => only.clone(),
        Some(_) if !endpoints.contains_key(&name) => {
            return Err(Failure::invalid(
                "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
            ));
        }
        _ => name,
    };
    Ok(endpoints.entry(key).or_default().get_or_insert_default())
}

/// The container-wide MAC address belongs to the endpoint of the container's main network.
fn mac_address(version: ApiVersion, request: &mut CreateRequest) -> Result<Option<String>, Failure> {
    let address = std::mem::take(&mut request.config.mac_address);
    if address.is_empty() {
        return Ok(None);
    }
    let mode = &request.host_config.get_or_insert_default().network_mode;
    let named = mode.is_bridge() || mode.is_user_defined();
    if !named && !version.at_least(44) {
        return Err(Failure::invalid("conflicting options: mac-address and the network mode"));
    }
    if named {
        let endpoint = main_endpoint(version, request)?;
        if !endpoint.mac_address.is_empty() && endpoint.mac_address != address {
            return Err(Failure::invalid(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
            ));
        }
        endpoint.mac_address = address;
    }
    Ok(version.at_least(44).then(|| {
        "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
            .to_owned()
    }))
}

/// Parameters of an interface (`net.ipv4.conf.eth0.…`) are its endpoint's; older versions knew only the container's.
fn interface_sysctls(version: ApiVersion, request: &mut CreateRequest) -> Result<Option<String>, Failure> {
    const OPTION: &str = "com.docker.network.endpoint.sysctls";
    let host = request.host_config.get_or_insert_default();
    if host.network_mode.is_host() || host.network_mode.container().is_some() {
        return Ok(None);
    }
    let mut moved = Vec::new();
    for (name, value) in &host.sysctls {
        let parts: Vec<_> = name.splitn(5, '.').collect();
        let ["net", family, kind, interface, rest] = parts[..] else { continue };
        if !interface.starts_with("eth") {
            continue;
        }
        if version.at_least(48) {
            return Err(Failure::invalid(format!(
                "interface specific sysctl setting {name:?} must be supplied using driver option '{OPTION}'"
            )));
        }
        if interface != "eth0" {
            return Err(Failure::invalid(format!(
                "unable to determine network endpoint for sysctl {name}, use driver option '{OPTION}' to set per-interface sysctls"
            )));
        }
        moved.push((name.clone(), format!("net.{family}.{kind}.IFNAME.{rest}={value}")));
    }
    if moved.is_empty() {
        return Ok(None);
    }
    host.sysctls.retain(|name, _| moved.iter().all(|(other, _)| other != name));
    let names: Vec<_> = moved.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<_> = moved.iter().map(|(_, value)| value.as_str()).collect();
    let (names, mut values) = (names.join(","), values.join(","));
    let warning = format!("Migrated sysctl {names:?} to DriverOpts{{{OPTION:?}:{values:?}}}.");
    let options = main_endpoint(version, request)?.driver_opts.get_or_insert_default();
    if let Some(own) = options.get(OPTION) {
        values = format!("{values},{own}");
    }
    options.insert(OPTION.to_owned(), values);
    Ok(Some(warning))
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

    fn endpoints_of(minor: u16, body: serde_json::Value) -> Result<(serde_json::Value, Vec<String>), String> {
        let mut create: CreateRequest = serde_json::from_value(body).unwrap();
        let warnings = request(ApiVersion::v1(minor), &mut create).map_err(|f| f.message().to_owned())?;
        let endpoints = create.networking_config.unwrap_or_default().endpoints_config.unwrap_or_default();
        let short = endpoints.into_iter().map(|(name, endpoint)| {
            let endpoint = endpoint.unwrap_or_default();
            (name, json!([endpoint.mac_address, endpoint.driver_opts]))
        });
        Ok((short.collect::<serde_json::Map<_, _>>().into(), warnings))
    }

    #[test]
    fn the_default_network_has_one_name() {
        let body = json!({"MacAddress": "m", "NetworkingConfig": {"EndpointsConfig": {"default": {}}}});
        assert_eq!(endpoints_of(44, body).unwrap().0, json!({"bridge": ["m", null]}));
        let body = json!({"HostConfig": {"NetworkMode": "a"}, "NetworkingConfig": {"EndpointsConfig": {"default": {}}}});
        assert_eq!(endpoints_of(44, body).unwrap().0, json!({"default": ["", null]}));
    }

    #[test]
    fn whose_the_containers_hardware_address_is() {
        let body = json!({"MacAddress": "m", "HostConfig": {"NetworkMode": "a"}});
        assert_eq!(endpoints_of(43, body.clone()).unwrap(), (json!({"a": ["m", null]}), vec![]));
        let (endpoints, warnings) = endpoints_of(44, body).unwrap();
        assert!(endpoints == json!({"a": ["m", null]}) && warnings.len() == 1);
        let other = json!({"MacAddress": "m", "NetworkingConfig": {"EndpointsConfig": {"b": {}}}});
        assert_eq!(endpoints_of(43, other.clone()).unwrap().0, json!({"b": ["m", null]}));
        assert!(endpoints_of(44, other).unwrap_err().contains("must match the identity"));
        let host = json!({"MacAddress": "m", "HostConfig": {"NetworkMode": "host"}});
        assert!(endpoints_of(43, host.clone()).unwrap_err().contains("mac-address and the network mode"));
        assert_eq!(endpoints_of(44, host).unwrap().1.len(), 1);
    }

    #[test]
    fn parameters_of_an_interface_belong_to_its_endpoint() {
        let body = |name: &str| json!({"HostConfig": {"Sysctls": {name: "1", "net.x": "2"}}});
        let (endpoints, warnings) = endpoints_of(47, body("net.ipv4.conf.eth0.rp_filter")).unwrap();
        let option = json!({"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.rp_filter=1"});
        assert_eq!(endpoints, json!({"bridge": ["", option]}));
        assert!(warnings[0].starts_with("Migrated sysctl \"net.ipv4.conf.eth0.rp_filter\""), "{warnings:?}");
        assert!(
            endpoints_of(47, body("net.ipv4.conf.eth1.rp_filter"))
                .unwrap_err()
                .contains("unable to determine")
        );
        assert!(
            endpoints_of(48, body("net.ipv4.conf.eth0.rp_filter")).unwrap_err().contains("must be supplied")
        );
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
