//! Requests in, sentences and defaults out: one row per rule.

use super::*;

fn run(json: &str, host: &Host) -> Result<(api::container::CreateRequest, Vec<String>)> {
    let mut request: api::container::CreateRequest = serde_json::from_str(json).unwrap();
    let mut host_config = request.host_config.take().unwrap_or_default();
    let warnings = validate(&mut request.config, &mut host_config, &EngineConfig::default(), host)?;
    request.host_config = Some(host_config);
    Ok((request, warnings))
}

/// What validation says to a host configuration on a cgroup v2 host with everything.
fn says(host_config: &str) -> String {
    let json = format!(r#"{{"HostConfig":{{"NetworkMode":"none",{host_config}}}}}"#);
    match run(&json, &Host::example(true)) {
        Ok((_, warnings)) => warnings.join("\n"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_are_filled_in_as_inspect_shows_them() {
    let (v2, warnings) =
        run(r#"{"Image":"x","HostConfig":{"Memory":67108864}}"#, &Host::example(true)).unwrap();
    insta::assert_json_snapshot!("defaults_v2", v2.host_config);
    assert!(warnings.is_empty(), "{warnings:?}");
    let (v1, _) = run("{}", &Host::example(false)).unwrap();
    let v1 = v1.host_config.unwrap();
    assert_eq!(v1.cgroupns_mode.as_str(), "host");
    assert_eq!(v1.resources.oom_kill_disable, Some(false));
    let (all, _) = run(r#"{"HostConfig":{"Privileged":true}}"#, &Host::example(true)).unwrap();
    let all = all.host_config.unwrap();
    assert_eq!((all.masked_paths, all.readonly_paths), (None, None));
    assert_eq!(all.security_opt, Some(vec!["label=disable".to_owned()]));
}

#[test]
fn the_portable_part_is_judged() {
    for (json, message) in [
        (r#"{"WorkingDir":"x"}"#, "the working directory 'x' is invalid, it needs to be an absolute path"),
        (r#"{"StopSignal":"SIGFOO"}"#, "invalid signal: SIGFOO"),
        (r#"{"Env":["=x"]}"#, "invalid environment variable: =x"),
        (r#"{"Hostname":"a b"}"#, "invalid hostname: \"a b\""),
        (r#"{"ExposedPorts":{"70000/tcp":{}}}"#, "invalid port specification: \"70000/tcp\""),
        (
            r#"{"Healthcheck":{"Test":["CMD","x"],"Interval":5}}"#,
            "Interval in Healthcheck cannot be less than 1ms",
        ),
        (r#"{"Healthcheck":{"Retries":-1}}"#, "Retries in Healthcheck cannot be negative"),
    ] {
        assert_eq!(run(json, &Host::example(true)).unwrap_err().to_string(), message, "{json}");
    }
}

#[test]
fn the_hosts_part_is_judged() {
    for (json, message) in [
        (r#""Init":true"#, ""),
        (
            r#""AutoRemove":true,"RestartPolicy":{"Name":"always"}"#,
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            r#""RestartPolicy":{"Name":"sometimes"}"#,
            "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            r#""RestartPolicy":{"Name":"always","MaximumRetryCount":2}"#,
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            r#""RestartPolicy":{"Name":"on-failure","MaximumRetryCount":-2}"#,
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (r#""IpcMode":"x""#, "invalid IPC mode: x"),
        (r#""PidMode":"container:""#, "invalid PID mode: container:"),
        (r#""UTSMode":"x""#, "invalid UTS mode: x"),
        (r#""UsernsMode":"x""#, "invalid user namespace mode: x"),
        (r#""CgroupnsMode":"x""#, "invalid cgroup namespace mode: x"),
        (r#""Isolation":"hyperv""#, "invalid isolation (hyperv): linux only supports 'default'"),
        (r#""ShmSize":-1"#, "SHM size can not be less than 0"),
        (r#""OomScoreAdj":1001"#, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        (r#""CapAdd":["NOPE"]"#, "invalid CapAdd: unknown capability: \"CAP_NOPE\""),
        (r#""CapDrop":["NOPE"]"#, "invalid CapDrop: unknown capability: \"CAP_NOPE\""),
        (r#""SecurityOpt":["what"]"#, "invalid --security-opt 1: \"what\""),
        (
            r#""SecurityOpt":["seccomp=x"]"#,
            "Decoding seccomp profile failed: expected value at line 1 column 1",
        ),
        (r#""ExtraHosts":["x"]"#, "bad format for add-host: \"x\""),
        (r#""ExtraHosts":["x:y"]"#, "invalid IP address in add-host: \"y\""),
        (r#""ExtraHosts":["x:1.2.3.4","y:::1","z:host-gateway"]"#, ""),
        (r#""Devices":[{"PathOnHost":"/dev/null","CgroupPermissions":"x"}]"#, "invalid device mode: x"),
        (r#""DeviceCgroupRules":["x"]"#, "invalid device cgroup rule format: 'x'"),
        (r#""Ulimits":[{"Name":"x","Soft":1,"Hard":1}]"#, "invalid ulimit type: x"),
        (
            r#""Ulimits":[{"Name":"nofile","Soft":2,"Hard":1}]"#,
            "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
        ),
        (r#""LogConfig":{"Type":"x"}"#, "logger: no log driver named 'x' is registered"),
        (
            r#""LogConfig":{"Type":"json-file","Config":{"x":"y"}}"#,
            "unknown log opt 'x' for json-file log driver",
        ),
        (r#""Runtime":"x""#, "unknown or invalid runtime name: x"),
        (
            r#""DeviceRequests":[{"Driver":"","Count":-1,"Capabilities":[["gpu"]]}]"#,
            "could not select device driver \"\" with capabilities: [[gpu]]",
        ),
        (r#""SecurityOpt":["label=type:x"]"#, "SELinux is not used on this host. Labels discarded."),
    ] {
        assert_eq!(says(json), message, "{json}");
    }
}

#[test]
fn limits_are_judged() {
    for (json, message) in [
        (r#""Memory":5"#, "Minimum memory limit allowed is 6MB"),
        (r#""Memory":-5"#, "Minimum memory limit allowed is 6MB"),
        (
            r#""Memory":20000000,"MemorySwap":10000000"#,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            r#""MemorySwap":10000000"#,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (r#""MemoryReservation":1"#, "Minimum memory reservation allowed is 6MB"),
        (
            r#""Memory":10000000,"MemoryReservation":20000000"#,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (r#""MemorySwappiness":101"#, "Invalid value: 101, valid memory swappiness range is 0-100"),
        (
            r#""NanoCpus":1,"CpuQuota":1000"#,
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            r#""NanoCpus":5000000000"#,
            "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
        ),
        (r#""CpuShares":-1"#, "invalid CPU shares (-1): value must be a positive integer"),
        (
            r#""CpuPeriod":1"#,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (r#""CpuQuota":1"#, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (r#""CpuRealtimePeriod":1"#, "kernel does not support CPU real-time scheduler"),
        (r#""CpusetCpus":"x""#, "Invalid value x for cpuset cpus"),
        (r#""CpusetCpus":"0-9""#, "Requested CPUs are not available - requested 0-9, available: 0-3"),
        (r#""CpusetMems":"1""#, "Requested memory nodes are not available - requested 1, available: 0"),
        (r#""BlkioWeight":5"#, "Range of blkio weight is from 10 to 1000"),
        (
            r#""OomKillDisable":true"#,
            "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
        ),
        (
            r#""MemorySwappiness":5"#,
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        ),
    ] {
        assert_eq!(says(json), message, "{json}");
    }
}

#[test]
fn what_is_not_offered_is_said() {
    for (json, part) in [
        (r#"{"HostConfig":{"VolumesFrom":["a"]}}"#, "volumes are not supported"),
        (r#"{"HostConfig":{"StorageOpt":{"size":"1G"}}}"#, "--storage-opt"),
        (
            r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"x"}]}}}"#,
            "invalid port specification: \"x\"",
        ),
        (
            r#"{"HostConfig":{"NetworkMode":"container:y","PortBindings":{"80/tcp":[{}]}}}"#,
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            r#"{"Hostname":"x","HostConfig":{"NetworkMode":"container:y"}}"#,
            "conflicting options: hostname and the network mode",
        ),
        (
            r#"{"HostConfig":{"NetworkMode":"container:"}}"#,
            "invalid network mode: invalid container format container:<name|id>",
        ),
    ] {
        let text = run(json, &Host::example(true)).unwrap_err().to_string();
        assert!(text.contains(part), "{json}: {text}");
    }
}

#[test]
fn the_command_lines_usual_request_is_accepted() {
    let json = r#"{"Image":"busybox","HostConfig":{"NetworkMode":"default","Binds":null,"PortBindings":{},
        "RestartPolicy":{"Name":"no","MaximumRetryCount":0},"BlkioWeightDevice":[],"Devices":[],"Dns":[],
        "LogConfig":{"Type":"","Config":{}},"MaskedPaths":null,"MemorySwappiness":-1,"PidsLimit":0},
        "NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,"Links":null,"Aliases":null,
        "MacAddress":"","DriverOpts":null,"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"",
        "IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null}}}}"#;
    let (request, warnings) = run(json, &Host::example(true)).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let host_config = request.host_config.unwrap();
    assert_eq!(host_config.network_mode.as_str(), "bridge");
    assert_eq!(host_config.resources.memory_swappiness, None);
    assert_eq!(host_config.resources.pids_limit, None);
}

#[test]
fn a_poor_host_discards_with_warnings() {
    let poor = Host { cpus: 4, ..Host::default() };
    let json = r#"{"HostConfig":{"NetworkMode":"none","Memory":20000000,"CpuShares":5,"CpusetCpus":"0",
        "PidsLimit":5,"BlkioWeight":100,"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":1}]}}"#;
    let (request, warnings) = run(json, &poor).unwrap();
    insta::assert_json_snapshot!("poor_host", warnings);
    let limits = request.host_config.unwrap().resources;
    assert_eq!((limits.memory, limits.memory_swap, limits.cpu_shares, limits.pids_limit), (0, -1, 0, None));
}

#[test]
fn updates_are_judged_alike() {
    let mut update: api::container::UpdateConfig =
        serde_json::from_str(r#"{"MemorySwap":10000000,"RestartPolicy":{"Name":"x"}}"#).unwrap();
    let host = Host::example(true);
    assert!(
        validate_update(&mut update, &host).unwrap_err().to_string().starts_with("invalid restart policy")
    );
    update.restart_policy = Default::default();
    validate_update(&mut update, &host).unwrap();
    update.resources.memory = 1;
    let error = validate_update(&mut update, &host).unwrap_err();
    assert_eq!(error.to_string(), "Minimum memory limit allowed is 6MB");
}
