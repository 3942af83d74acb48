//! What Docker 28 writes for a container with nothing set, to the last null: the order of its Go structures.

use super::*;

fn told<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn config() {
    assert_eq!(
        told(&Config::default()),
        r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}"#
    );
}

#[test]
fn host_config() {
    assert_eq!(
        told(&HostConfig::default()),
        r#"{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":null},"NetworkMode":"","PortBindings":null,"RestartPolicy":{"Name":"","MaximumRetryCount":0},"AutoRemove":false,"VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"","Dns":null,"DnsOptions":null,"DnsSearch":null,"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"","ShmSize":0,"Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":null,"BlkioDeviceReadBps":null,"BlkioDeviceWriteBps":null,"BlkioDeviceReadIOps":null,"BlkioDeviceWriteIOps":null,"CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":null,"DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":null,"OomKillDisable":null,"PidsLimit":null,"Ulimits":null,"CpuCount":0,"CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null}"#
    );
}

#[test]
fn network_settings() {
    assert_eq!(
        told(&crate::network::NetworkSettings::default()),
        r#"{"Bridge":"","SandboxID":"","SandboxKey":"","Ports":null,"HairpinMode":false,"LinkLocalIPv6Address":"","LinkLocalIPv6PrefixLen":0,"SecondaryIPAddresses":null,"SecondaryIPv6Addresses":null,"EndpointID":"","Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"","MacAddress":"","Networks":null}"#
    );
    assert_eq!(
        told(&crate::network::EndpointSettings::default()),
        r#"{"IPAMConfig":null,"Links":null,"Aliases":null,"MacAddress":"","DriverOpts":null,"GwPriority":0,"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null}"#
    );
}

#[test]
fn state_and_stats() {
    assert_eq!(
        told(&State::default()),
        r#"{"Status":"","Running":false,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":0,"ExitCode":0,"Error":"","StartedAt":"","FinishedAt":""}"#
    );
    assert_eq!(
        told(&StatsResponse::default()),
        r#"{"read":"","preread":"","pids_stats":{},"blkio_stats":{"io_service_bytes_recursive":null,"io_serviced_recursive":null,"io_queue_recursive":null,"io_service_time_recursive":null,"io_wait_time_recursive":null,"io_merged_recursive":null,"io_time_recursive":null,"sectors_recursive":null},"num_procs":0,"storage_stats":{},"cpu_stats":{"cpu_usage":{"total_usage":0,"usage_in_kernelmode":0,"usage_in_usermode":0},"throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"precpu_stats":{"cpu_usage":{"total_usage":0,"usage_in_kernelmode":0,"usage_in_usermode":0},"throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"memory_stats":{}}"#
    );
}

/// What was read is written again: a request survives its row in the database.
#[test]
fn requests_survive_a_round_trip() {
    let json = r#"{"Hostname":"h","Cmd":"one string","Entrypoint":[],"Env":[],"ExposedPorts":{"80/tcp":{}},
        "Healthcheck":{"Test":["NONE"]},"StopTimeout":0,"HostConfig":{"PidsLimit":-1,"OomKillDisable":false,
        "PortBindings":{"80/tcp":null,"81/tcp":[{"HostIp":"","HostPort":"81"}]},"Init":false,"MaskedPaths":[],
        "Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],"Mounts":[{"Type":"tmpfs","Target":"/t"}]},
        "NetworkingConfig":{"EndpointsConfig":{"none":null}}}"#;
    let request: CreateRequest = serde_json::from_str(json).unwrap();
    assert_eq!(request.config.cmd.as_deref(), Some(&vec!["one string".to_owned()]));
    let host_config = request.host_config.as_ref().unwrap();
    assert_eq!((host_config.init, host_config.resources.pids_limit), (Some(false), Some(-1)));
    assert_eq!(host_config.masked_paths, Some(Vec::new()), "an empty list is not the default");
    let again: CreateRequest = serde_json::from_str(&told(&request)).unwrap();
    assert_eq!(again, request);
}
