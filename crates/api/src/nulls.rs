//! Every request of the API with `null` at every place, one after the other: each is read, and reads as the zero value.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::auth::AuthConfig;
use crate::container::{Config, CreateRequest, UpdateConfig};
use crate::exec::{ExecCreateRequest, ExecStartRequest};
use crate::{Filters, network};

/// Puts `null` at every place of `document` in turn: what is read has the zero value there.
fn everywhere<T: DeserializeOwned + Serialize>(document: &Value) {
    let name = std::any::type_name::<T>();
    let read = |document: &Value| -> Value {
        let read: T = serde_json::from_value(document.clone())
            .unwrap_or_else(|error| panic!("{name}: {error} in {document}"));
        serde_json::to_value(read).unwrap()
    };
    let whole = read(document);
    assert_eq!(unmet(document, &whole), None::<String>, "{name}: the document names what isn't read");
    let mut places = Vec::new();
    collect(document, String::new(), &mut places);
    for place in places {
        let mut nulled = document.clone();
        *nulled.pointer_mut(&place).unwrap() = Value::Null;
        let found = read(&nulled);
        let value = found.pointer(&place);
        assert!(value.is_none_or(is_zero), "{name} {place}: {value:?}");
    }
}

/// The places of all values, from the top down.
fn collect(value: &Value, place: String, places: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let place = format!("{place}/{name}");
        places.push(place.clone());
        collect(child, place, places);
    }
}

/// The first place of the document that isn't the same in what was read.
fn unmet(document: &Value, read: &Value) -> Option<String> {
    let mut places = Vec::new();
    collect(document, String::new(), &mut places);
    places.into_iter().find(|place| {
        let leaf = document.pointer(place).filter(|value| !value.is_object() && !value.is_array());
        leaf.is_some_and(|leaf| read.pointer(place) != Some(leaf))
    })
}

/// A structure is zero when everything in it is.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_zero),
        Value::Object(fields) => fields.values().all(is_zero),
        Value::Bool(true) => false,
    }
}

fn resources() -> Value {
    json!({
        "CpuShares": 1, "Memory": 1, "NanoCpus": 1, "CgroupParent": "p", "BlkioWeight": 10,
        "BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 10}],
        "BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": 1}],
        "BlkioDeviceWriteBps": [{"Path": "/dev/a", "Rate": 1}],
        "BlkioDeviceReadIOps": [{"Path": "/dev/a", "Rate": 1}],
        "BlkioDeviceWriteIOps": [{"Path": "/dev/a", "Rate": 1}],
        "CpuPeriod": 1, "CpuQuota": 1, "CpuRealtimePeriod": 1, "CpuRealtimeRuntime": 1,
        "CpusetCpus": "0", "CpusetMems": "0",
        "Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "r"}],
        "DeviceCgroupRules": ["c 1:1 r"],
        "DeviceRequests": [{
            "Driver": "d", "Count": 1, "DeviceIDs": ["0"], "Capabilities": [["gpu"]], "Options": {"o": "v"}
        }],
        "KernelMemory": 1, "KernelMemoryTCP": 1, "MemoryReservation": 1, "MemorySwap": 1, "MemorySwappiness": 1,
        "OomKillDisable": true, "PidsLimit": 1, "Ulimits": [{"Name": "core", "Hard": 1, "Soft": 1}],
        "CpuCount": 1, "CpuPercent": 1, "IOMaximumIOps": 1, "IOMaximumBandwidth": 1,
    })
}

fn mount() -> Value {
    json!({
        "Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true, "Consistency": "c",
        "BindOptions": {
            "Propagation": "shared", "NonRecursive": true, "CreateMountpoint": true,
            "ReadOnlyNonRecursive": true, "ReadOnlyForceRecursive": true,
        },
        "VolumeOptions": {
            "NoCopy": true, "Labels": {"a": "b"}, "Subpath": "s",
            "DriverConfig": {"Name": "n", "Options": {"a": "b"}},
        },
        "ImageOptions": {"Subpath": "s"},
        "TmpfsOptions": {"SizeBytes": 1, "Mode": 1, "Options": [["noexec"]]},
        "ClusterOptions": {},
    })
}

fn host_config() -> Value {
    let mut host = json!({
        "Binds": ["/a:/a"], "ContainerIDFile": "f", "LogConfig": {"Type": "json-file", "Config": {"o": "v"}},
        "NetworkMode": "n", "PortBindings": {"80/tcp": [{"HostIp": "::", "HostPort": "80"}]},
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}, "AutoRemove": true, "VolumeDriver": "d",
        "VolumesFrom": ["c"], "ConsoleSize": [1, 1], "Annotations": {"a": "b"}, "CapAdd": ["a"], "CapDrop": ["a"],
        "CgroupnsMode": "host", "Dns": ["a"], "DnsOptions": ["a"], "DnsSearch": ["a"], "ExtraHosts": ["a"],
        "GroupAdd": ["a"], "IpcMode": "host", "Cgroup": "c", "Links": ["a"], "OomScoreAdj": 1, "PidMode": "host",
        "Privileged": true, "PublishAllPorts": true, "ReadonlyRootfs": true, "SecurityOpt": ["a"],
        "StorageOpt": {"a": "b"}, "Tmpfs": {"/a": "rw"}, "UTSMode": "host", "UsernsMode": "host", "ShmSize": 1,
        "Sysctls": {"a": "b"}, "Runtime": "r", "Isolation": "i", "MaskedPaths": ["a"], "ReadonlyPaths": ["a"],
        "Init": true,
    });
    host["Mounts"] = json!([mount()]);
    host.as_object_mut().unwrap().append(resources().as_object_mut().unwrap());
    host
}

fn endpoint() -> Value {
    json!({
        "IPAMConfig": {"IPv4Address": "1", "IPv6Address": "2", "LinkLocalIPs": ["3"]},
        "Links": ["a"], "Aliases": ["a"], "MacAddress": "m", "DriverOpts": {"a": "b"}, "GwPriority": 1,
        "NetworkID": "n", "EndpointID": "e", "Gateway": "g", "IPAddress": "a", "IPPrefixLen": 1, "IPv6Gateway": "g",
        "GlobalIPv6Address": "a", "GlobalIPv6PrefixLen": 1, "DNSNames": ["a"],
    })
}

fn config() -> Value {
    json!({
        "Hostname": "h", "Domainname": "d", "User": "u", "AttachStdin": true, "AttachStdout": true,
        "AttachStderr": true, "ExposedPorts": {"80/tcp": {}}, "Tty": true, "OpenStdin": true, "StdinOnce": true,
        "Env": ["A=1", "B=2"], "Cmd": ["a", "b"], "Image": "i", "Volumes": {"/a": {}}, "WorkingDir": "/",
        "Healthcheck": {
            "Test": ["NONE"], "Interval": 1, "Timeout": 1, "StartPeriod": 1, "StartInterval": 1, "Retries": 1,
        },
        "ArgsEscaped": true, "Entrypoint": ["a"], "NetworkDisabled": true, "MacAddress": "m", "OnBuild": ["a"],
        "Labels": {"a": "b"}, "StopSignal": "s", "StopTimeout": 1, "Shell": ["a"],
    })
}

#[test]
fn null_is_the_zero_value_wherever_it_stands() {
    let mut create = config();
    create["HostConfig"] = host_config();
    create["NetworkingConfig"] = json!({"EndpointsConfig": {"n": endpoint()}});
    everywhere::<CreateRequest>(&create);
    everywhere::<Config>(&config());
    let mut update = resources();
    update["RestartPolicy"] = json!({"Name": "always", "MaximumRetryCount": 1});
    everywhere::<UpdateConfig>(&update);
    everywhere::<ExecCreateRequest>(&json!({
        "User": "u", "Privileged": true, "Tty": true, "ConsoleSize": [1, 1], "AttachStdin": true,
        "AttachStderr": true, "AttachStdout": true, "DetachKeys": "k", "Env": ["a"], "WorkingDir": "/", "Cmd": ["a"],
    }));
    everywhere::<ExecStartRequest>(&json!({"Detach": true, "Tty": true, "ConsoleSize": [1, 1]}));
    everywhere::<network::CreateRequest>(&json!({
        "Name": "n", "CheckDuplicate": true, "Driver": "d", "Scope": "s", "EnableIPv4": true, "EnableIPv6": true,
        "IPAM": {
            "Driver": "d", "Options": {"a": "b"},
            "Config": [{"Subnet": "s", "IPRange": "r", "Gateway": "g", "AuxiliaryAddresses": {"a": "b"}}],
        },
        "Internal": true, "Attachable": true, "Ingress": true, "ConfigOnly": true, "ConfigFrom": {"Network": "n"},
        "Options": {"a": "b"}, "Labels": {"a": "b"},
    }));
    everywhere::<network::ConnectRequest>(&json!({"Container": "c", "EndpointConfig": endpoint()}));
    everywhere::<network::DisconnectRequest>(&json!({"Container": "c", "Force": true}));
    everywhere::<AuthConfig>(&json!({
        "username": "u", "password": "p", "auth": "a", "serveraddress": "s", "identitytoken": "i",
        "registrytoken": "r",
    }));
}

#[test]
fn nulls_of_filters() {
    for (text, expect) in [
        ("null", "{}"),
        (r#"{"label":null}"#, r#"{"label":{}}"#),
        (r#"{"label":{"a":null,"b":true}}"#, r#"{"label":{"b":true}}"#),
        (r#"{"label":["a",null]}"#, r#"{"label":{"":true,"a":true}}"#),
    ] {
        assert_eq!(Filters::parse(text).unwrap().to_json(), expect, "{text}");
    }
}

#[test]
fn what_is_of_another_type_stays_an_error() {
    for document in [
        json!({"Env": [1]}),
        json!({"Env": "A=1"}),
        json!({"Labels": {"a": 1}}),
        json!({"HostConfig": {"PortBindings": {"80/tcp": {}}}}),
        json!({"HostConfig": {"Ulimits": ["core"]}}),
        json!({"HostConfig": []}),
    ] {
        assert!(serde_json::from_value::<CreateRequest>(document.clone()).is_err(), "{document}");
    }
}
