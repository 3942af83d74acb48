//! Names of fields in request bodies, read as Go reads them: without regard to case. Clients rely on it (docker-py
//! sends `detachKeys`), so every name that means a field gets the spelling of the API before a body is decoded.
//!
//! Names that are data (labels, ports, sysctls) must never be touched.

use serde_json::{Map, Value};

/// Fields of request bodies, sorted.
const FIELDS: &[&str] = &[
    "Aliases",
    "Annotations",
    "ArgsEscaped",
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "Attachable",
    "AutoRemove",
    "AuxiliaryAddresses",
    "BindOptions",
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeight",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "Capabilities",
    "Cgroup",
    "CgroupParent",
    "CgroupPermissions",
    "CgroupnsMode",
    "CheckDuplicate",
    "ClusterOptions",
    "Cmd",
    "Config",
    "ConfigFrom",
    "ConfigOnly",
    "Consistency",
    "ConsoleSize",
    "Container",
    "ContainerIDFile",
    "Count",
    "CpuCount",
    "CpuPercent",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "CreateMountpoint",
    "DNSNames",
    "Detach",
    "DetachKeys",
    "DeviceCgroupRules",
    "DeviceIDs",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Domainname",
    "Driver",
    "DriverConfig",
    "DriverOpts",
    "EnableIPv4",
    "EnableIPv6",
    "EndpointConfig",
    "EndpointID",
    "EndpointsConfig",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "ExtraHosts",
    "Force",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "GroupAdd",
    "GwPriority",
    "Hard",
    "Healthcheck",
    "HostConfig",
    "HostIp",
    "HostPort",
    "Hostname",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "IPAM",
    "IPAMConfig",
    "IPAddress",
    "IPPrefixLen",
    "IPRange",
    "IPv4Address",
    "IPv6Address",
    "IPv6Gateway",
    "Image",
    "ImageOptions",
    "Ingress",
    "Init",
    "Internal",
    "Interval",
    "IpcMode",
    "Isolation",
    "KernelMemory",
    "KernelMemoryTCP",
    "Labels",
    "LinkLocalIPs",
    "Links",
    "LogConfig",
    "MacAddress",
    "MaskedPaths",
    "MaximumRetryCount",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "Mode",
    "Mounts",
    "Name",
    "NanoCpus",
    "Network",
    "NetworkDisabled",
    "NetworkID",
    "NetworkMode",
    "NetworkingConfig",
    "NoCopy",
    "NonRecursive",
    "OnBuild",
    "OomKillDisable",
    "OomScoreAdj",
    "OpenStdin",
    "Options",
    "Path",
    "PathInContainer",
    "PathOnHost",
    "PidMode",
    "PidsLimit",
    "PortBindings",
    "Privileged",
    "Propagation",
    "PublishAllPorts",
    "Rate",
    "ReadOnly",
    "ReadOnlyForceRecursive",
    "ReadOnlyNonRecursive",
    "ReadonlyPaths",
    "ReadonlyRootfs",
    "RestartPolicy",
    "Retries",
    "Runtime",
    "Scope",
    "SecurityOpt",
    "Shell",
    "ShmSize",
    "SizeBytes",
    "Soft",
    "Source",
    "StartInterval",
    "StartPeriod",
    "StdinOnce",
    "StopSignal",
    "StopTimeout",
    "StorageOpt",
    "Subnet",
    "Subpath",
    "Sysctls",
    "Target",
    "Test",
    "Timeout",
    "Tmpfs",
    "TmpfsOptions",
    "Tty",
    "Type",
    "UTSMode",
    "Ulimits",
    "User",
    "UsernsMode",
    "VolumeDriver",
    "VolumeOptions",
    "Volumes",
    "VolumesFrom",
    "Weight",
    "WorkingDir",
];

/// Fields whose objects have data for names.
const MAPS: &[&str] = &[
    "Annotations",
    "AuxiliaryAddresses",
    "Config",
    "DriverOpts",
    "EndpointsConfig",
    "ExposedPorts",
    "Labels",
    "Options",
    "PortBindings",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// Spell the names of all fields in `body` as the API does.
pub(crate) fn spell(body: Value) -> Value {
    spell_below(body, false)
}

fn spell_below(value: Value, names_are_data: bool) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| spell_below(item, false)).collect()),
        Value::Object(fields) => {
            let mut spelled = Map::new();
            for (name, value) in fields {
                let known = if names_are_data { None } else { field(&name) };
                let value = spell_below(value, known.is_some_and(|name| MAPS.contains(&name)));
                spelled.insert(known.map_or(name, str::to_owned), value);
            }
            Value::Object(spelled)
        }
        plain => plain,
    }
}

fn field(name: &str) -> Option<&'static str> {
    match FIELDS.binary_search(&name) {
        Ok(index) => Some(FIELDS[index]),
        Err(_) => FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name)).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_fields_and_names_that_are_data() {
        for (body, expect) in [
            (json!({"detachKeys": "a", "cmd": ["x"]}), json!({"DetachKeys": "a", "Cmd": ["x"]})),
            (
                json!({"Labels": {"image": "x"}, "unknown": {"tty": 1}}),
                json!({"Labels": {"image": "x"}, "unknown": {"Tty": 1}}),
            ),
            (
                json!({"hostconfig": {"portbindings": {"80/tcp": [{"hostport": "1"}]}, "sysctls": {"name": "v"}}}),
                json!({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "1"}]}, "Sysctls": {"name": "v"}}}),
            ),
            (
                json!({"NetworkingConfig": {"EndpointsConfig": {"name": {"aliases": ["a"]}}}}),
                json!({"NetworkingConfig": {"EndpointsConfig": {"name": {"Aliases": ["a"]}}}}),
            ),
        ] {
            assert_eq!(spell(body), expect);
        }
    }

    #[test]
    fn the_table_can_be_searched() {
        assert!(FIELDS.is_sorted());
    }
}
