//! Snapshots of the specification: what a request becomes, whole or in the parts that it changes.

use serde_json::Value;

use super::*;

struct Case {
    request: api::container::CreateRequest,
    host: Host,
    engine: EngineConfig,
    joined: Joined,
    facts: Facts,
}

impl Case {
    fn new(json: &str) -> Self {
        Self {
            request: serde_json::from_str(json).unwrap(),
            host: Host::example(true),
            engine: EngineConfig::default(),
            joined: Joined::default(),
            facts: Facts::default(),
        }
    }

    /// The whole walk from a request to the specification, as JSON.
    fn spec(mut self) -> Value {
        let mut host_config = self.request.host_config.take().unwrap_or_default();
        let config = &mut self.request.config;
        validate(config, &mut host_config, &self.engine, &self.host).unwrap();
        if config.hostname.is_empty() {
            config.hostname = "0123456789ab".into();
        }
        let mounts = mount_points(config, &host_config).unwrap();
        let inputs = Inputs {
            id: "0123456789abcdef",
            config,
            host_config: &host_config,
            engine: &self.engine,
            host: &self.host,
            joined: self.joined,
            namespace: None,
            link_variables: Vec::new(),
            mounts: &mounts,
            hosts: Some("/c/hosts".into()),
            hostname: Some("/c/hostname".into()),
            resolv_conf: Some("/c/resolv.conf".into()),
            init: "/proc/self/exe".into(),
        };
        serde_json::to_value(specification(&inputs, &self.facts).unwrap()).unwrap()
    }
}

fn spec(json: &str) -> Value {
    Case::new(json).spec()
}

/// The mount at a place, or null.
fn mount_at(spec: &Value, place: &str) -> Value {
    let mounts = spec["mounts"].as_array().unwrap().iter();
    mounts.rev().find(|mount| mount["destination"] == place).cloned().unwrap_or_default()
}

fn options_at(spec: &Value, place: &str) -> String {
    let mount = mount_at(spec, place);
    let options = mount["options"].as_array().cloned().unwrap_or_default();
    options.iter().map(|option| option.as_str().unwrap()).collect::<Vec<_>>().join(",")
}

#[test]
fn the_plain_container() {
    let mut spec = spec(r#"{"Cmd":["sh"],"Image":"busybox"}"#);
    // The filter has its own tests; four hundred names hide the rest.
    let seccomp = spec["linux"]["seccomp"].take();
    assert_eq!(seccomp["defaultAction"], "SCMP_ACT_ERRNO");
    insta::assert_json_snapshot!("plain", spec);
}

/// CVE-2026-53488: what an image says of itself (labels, environment) shares no room with what the host is told.
#[test]
fn metadata_of_an_image_never_reaches_the_host() {
    let image: oci::ImageConfig = serde_json::from_value(serde_json::json!({"config": {
        "Env": ["LD_PRELOAD=/evil.so", "NOTIFY_SOCKET=/run/x", "LISTEN_FDS=1"],
        "Labels": {
            "io.boxship.privileged": "true", "com.docker.runtime": "evil", "run.oci.hooks": "/evil",
            "org.opencontainers.image.title": "x", "image": "other", "name": "other",
        },
    }}))
    .unwrap();
    let mut case = Case::new(r#"{"Cmd":["sh"],"HostConfig":{"Annotations":{"mine":"kept"}}}"#);
    merge_image(&mut case.request.config, &image).unwrap();
    assert_eq!(case.request.config.labels.as_ref().unwrap().len(), 6);
    let mut spec = case.spec();
    assert_eq!(spec["annotations"], serde_json::json!({"mine": "kept"}));
    let env = spec["process"].as_object_mut().unwrap().remove("env").unwrap();
    assert!(env.as_array().unwrap().contains(&"LD_PRELOAD=/evil.so".into()));
    let text = spec.to_string();
    for word in ["evil", "boxship.privileged", "LISTEN_FDS", "opencontainers", "other"] {
        assert!(!text.contains(word), "{word} is outside of the process's environment: {text}");
    }
}

#[test]
fn the_plain_container_on_cgroup_v1() {
    let case = Case { host: Host::example(false), ..Case::new(r#"{"Cmd":["sh"]}"#) };
    let spec = case.spec();
    let kinds: Vec<_> =
        spec["linux"]["namespaces"].as_array().unwrap().iter().map(|ns| ns["type"].clone()).collect();
    assert_eq!(kinds, ["mount", "network", "uts", "pid", "ipc"]);
}

#[test]
fn the_privileged_container() {
    let mut case = Case::new(r#"{"Cmd":["sh"],"HostConfig":{"Privileged":true}}"#);
    case.facts.all_devices = vec![oci::runtime::Device {
        path: "/dev/kvm".into(),
        kind: oci::runtime::DeviceKind::Char,
        major: 10,
        minor: 232,
        ..Default::default()
    }];
    let spec = case.spec();
    assert_eq!(spec["linux"]["seccomp"], Value::Null);
    assert_eq!(spec["linux"]["maskedPaths"], Value::Null);
    assert_eq!(spec["linux"]["readonlyPaths"], Value::Null);
    assert_eq!(spec["linux"]["devices"][0]["path"], "/dev/kvm");
    assert_eq!(spec["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 41);
    assert_eq!(options_at(&spec, "/sys"), "nosuid,noexec,nodev");
    assert_eq!(options_at(&spec, "/sys/fs/cgroup"), "nosuid,noexec,nodev");
    let rules = spec["linux"]["resources"]["devices"].as_array().unwrap().last().cloned().unwrap();
    assert_eq!(rules, serde_json::json!({"allow": true, "access": "rwm"}));
}

#[test]
fn everything_that_the_process_can_have() {
    let spec = spec(
        r#"{"Cmd":["b"],"Entrypoint":["a"],"User":"app:staff","Tty":true,"WorkingDir":"/w","Env":["X=1"],
            "Hostname":"box","Domainname":"example.org",
            "HostConfig":{"Init":true,"GroupAdd":["audio","5"],"ConsoleSize":[24,80],"OomScoreAdj":-5,
            "CapAdd":["NET_ADMIN"],"CapDrop":["all"],"SecurityOpt":["no-new-privileges","seccomp=unconfined"],
            "Ulimits":[{"Name":"nofile","Soft":5,"Hard":-1}],"Sysctls":{"net.core.somaxconn":"9"},
            "Annotations":{"k":"v"},"CgroupParent":"/../up"}}"#,
    );
    insta::assert_json_snapshot!("process", spec["process"]);
    assert_eq!(spec["hostname"], "box");
    assert_eq!(spec["domainname"], "example.org");
    assert_eq!(spec["annotations"]["k"], "v");
    assert_eq!(spec["linux"]["cgroupsPath"], "/up/0123456789abcdef");
    assert_eq!(spec["linux"]["sysctl"]["net.core.somaxconn"], "9");
    assert_eq!(mount_at(&spec, "/sbin/docker-init")["source"], "/proc/self/exe");
}

#[test]
fn mounts_that_were_asked_for() {
    let mut spec = spec(
        r#"{"Cmd":["sh"],"HostConfig":{"ReadonlyRootfs":true,"ShmSize":1024,
            "Binds":["/etc:/a/deep/one:ro","/usr:/a:rslave","/etc/hosts:/etc/hosts"],"Tmpfs":{"/t":"size=1m"},
            "Mounts":[{"Type":"bind","Source":"/etc","Target":"/m","ReadOnly":true,
                "BindOptions":{"NonRecursive":true,"ReadOnlyNonRecursive":true}},
                {"Type":"tmpfs","Target":"/tt","TmpfsOptions":{"SizeBytes":4096,"Mode":448}}]}}"#,
    );
    assert_eq!(spec["linux"]["rootfsPropagation"], "rslave");
    assert_eq!(mount_at(&spec, "/etc/hosts")["source"], "/etc/hosts");
    insta::assert_json_snapshot!("mounts", spec["mounts"].take());
}

#[test]
fn a_mount_takes_the_place_of_a_default_one() {
    let spec = spec(r#"{"Cmd":["sh"],"HostConfig":{"Binds":["/dev:/dev"]}}"#);
    let places: Vec<_> =
        spec["mounts"].as_array().unwrap().iter().map(|mount| mount["destination"].clone()).collect();
    assert!(!places.contains(&"/dev/pts".into()) && !places.contains(&"/dev/shm".into()), "{places:?}");
    assert_eq!(mount_at(&spec, "/dev")["source"], "/dev");
}

#[test]
fn namespaces_are_new_joined_or_the_hosts() {
    let host = spec(
        r#"{"Cmd":["sh"],"HostConfig":{"NetworkMode":"host","PidMode":"host","IpcMode":"host","UTSMode":"host",
            "CgroupnsMode":"host"}}"#,
    );
    assert_eq!(host["linux"]["namespaces"], serde_json::json!([{"type": "mount"}]));
    assert_eq!(host["hostname"], Value::Null);
    assert_eq!(host["linux"]["sysctl"], Value::Null);
    assert_eq!(mount_at(&host, "/dev/shm")["source"], "/dev/shm");
    assert_eq!(mount_at(&host, "/dev/shm")["type"], "bind");
    let mut case = Case::new(
        r#"{"Cmd":["sh"],"HostConfig":{"NetworkMode":"container:a","PidMode":"container:b",
            "IpcMode":"container:c","Init":true}}"#,
    );
    case.joined = Joined { network: Some(1), ipc: Some(2), pid: Some(3) };
    let joined = case.spec();
    insta::assert_json_snapshot!("joined", joined["linux"]["namespaces"]);
    assert_eq!(joined["process"]["args"], serde_json::json!(["sh"]), "no init in another's PID namespace");
    assert_eq!(mount_at(&joined, "/dev/shm")["source"], "/proc/2/root/dev/shm");
    let none = spec(r#"{"Cmd":["sh"],"HostConfig":{"IpcMode":"none"}}"#);
    assert_eq!(mount_at(&none, "/dev/shm"), Value::Null);
}

#[test]
fn paths_may_be_unconfined() {
    let spec =
        spec(r#"{"Cmd":["sh"],"HostConfig":{"SecurityOpt":["systempaths=unconfined","writable-cgroups"]}}"#);
    assert_eq!(spec["linux"]["maskedPaths"], Value::Null);
    assert_eq!(spec["linux"]["readonlyPaths"], Value::Null);
    assert_eq!(options_at(&spec, "/sys/fs/cgroup"), "nosuid,noexec,nodev");
    assert_eq!(options_at(&spec, "/sys"), "nosuid,noexec,nodev,ro");
}

#[test]
fn an_exec_inherits_from_its_container() {
    let spec: oci::runtime::Spec =
        serde_json::from_value(spec(r#"{"Cmd":["sh"],"User":"app","WorkingDir":"/w","Env":["X=1","Y=1"]}"#))
            .unwrap();
    let config: api::container::Config =
        serde_json::from_str(r#"{"Hostname":"h","WorkingDir":"/w","Env":["X=1","Y=1"]}"#).unwrap();
    let run = |json: &str| {
        let exec = serde_json::from_str(json).unwrap();
        exec_process(&spec, &config, &Default::default(), &exec, &Host::example(true))
    };
    insta::assert_json_snapshot!(
        "exec",
        run(r#"{"Cmd":["id"],"Tty":true,"Env":["X=2"],"ConsoleSize":[1,2]}"#).unwrap()
    );
    let other = run(r#"{"Cmd":["id"],"User":"0:0","WorkingDir":"/o","Privileged":true}"#).unwrap();
    assert_eq!(other.user.username.as_deref(), Some("0:0"));
    assert_eq!(other.cwd.to_str(), Some("/o"));
    assert_eq!(other.capabilities.unwrap().effective.len(), 41);
    assert_eq!(run("{}").unwrap_err().to_string(), "No exec command specified");
}
