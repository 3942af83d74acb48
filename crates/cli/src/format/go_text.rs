//! Values as Go's templates print them: `{{.State}}` gives `{running true …}`. JSON doesn't tell the two apart, but in
//! Docker some objects are structs, which Go prints by their fields' values in their order, and some are maps.
//! Never fails: what isn't known here is printed as a map.

use super::json::Json;

/// The structs that people print, by their fields in Go's order; after a `?` stands what Go prints for a field that
/// JSON leaves out.
const STRUCTS: &[&[&str]] = &[
    &["HostIp", "HostPort"],
    &["Name", "MaximumRetryCount"],
    &["Type", "Config"],
    &[
        "Status",
        "Running",
        "Paused",
        "Restarting",
        "OOMKilled",
        "Dead",
        "Pid",
        "ExitCode",
        "Error",
        "StartedAt",
        "FinishedAt",
        "Health?",
    ],
    &["Type", "Name?", "Source", "Destination", "Driver?", "Mode", "RW", "Propagation"],
    &["PathOnHost", "PathInContainer", "CgroupPermissions"],
    &[
        "Hostname",
        "Domainname",
        "User",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "ExposedPorts?",
        "Tty",
        "OpenStdin",
        "StdinOnce",
        "Env",
        "Cmd",
        "Healthcheck?",
        "ArgsEscaped?false",
        "Image",
        "Volumes",
        "WorkingDir",
        "Entrypoint",
        "NetworkDisabled?false",
        "MacAddress?",
        "OnBuild",
        "Labels",
        "StopSignal?",
        "StopTimeout?",
        "Shell?[]",
    ],
    &["Volume", "Network", "Authorization", "Log"],
    &["Data", "Name"],
    &["Type", "Layers"],
    &["Driver", "Options", "Config"],
    &["Subnet", "IPRange?", "Gateway?", "AuxiliaryAddresses?"],
    &["Name", "EndpointID", "MacAddress", "IPv4Address", "IPv6Address"],
    &["ID", "Attributes"],
    &["Network"],
];

/// Fields that are maps, also when there is nothing in them.
pub(super) const MAPS: &[&str] = &[
    "Annotations",
    "AuxiliaryAddresses",
    "Containers",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// Maps whose values are structs without fields.
const SETS: &[&str] = &["ExposedPorts", "Volumes"];

/// Prints `json`, the value of a field `name`; `pointer` tells whether a field is a pointer in Docker's types.
pub fn print(json: &Json, name: &str, pointer: &dyn Fn(&str) -> bool) -> String {
    match json {
        Json::Null if pointer(name) => "<nil>".into(),
        Json::Null if MAPS.contains(&name) => "map[]".into(),
        Json::Null => "[]".into(),
        Json::Unwritten(value) => print(value, name, pointer),
        Json::Text(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) => json.compact(false),
        Json::List(items) => {
            let items: Vec<String> = items.iter().map(|item| print(item, "", pointer)).collect();
            format!("[{}]", items.join(" "))
        }
        Json::Object(pairs) => match STRUCTS.iter().find(|fields| is_one(pairs, fields)) {
            Some(fields) if !MAPS.contains(&name) => {
                let values: Vec<String> = fields.iter().map(|field| value(json, field, pointer)).collect();
                format!("{{{}}}", values.join(" "))
            }
            _ => map(pairs, name, pointer),
        },
    }
}

/// Whether an object has the fields of a struct and no others.
fn is_one(pairs: &[(String, Json)], fields: &[&str]) -> bool {
    let has = |field: &str| pairs.iter().any(|(key, _)| key == field);
    let known = |key: &str| fields.iter().any(|field| name_and_default(field).0 == key);
    fields.iter().all(|field| field.contains('?') || has(field))
        && pairs.iter().all(|(key, value)| known(key) || matches!(value, Json::Unwritten(_)))
}

fn name_and_default(field: &str) -> (&str, &str) {
    field.split_once('?').unwrap_or((field, ""))
}

fn value(json: &Json, field: &str, pointer: &dyn Fn(&str) -> bool) -> String {
    let (name, default) = name_and_default(field);
    match json.get(name) {
        Some(value) => print(value, name, pointer),
        None if pointer(name) || MAPS.contains(&name) => print(&Json::Null, name, pointer),
        None => default.into(),
    }
}

fn map(pairs: &[(String, Json)], name: &str, pointer: &dyn Fn(&str) -> bool) -> String {
    let empty = |value: &Json| matches!(value, Json::Object(pairs) if pairs.is_empty());
    let mut entries: Vec<(&str, String)> = pairs
        .iter()
        .map(|(key, value)| match SETS.contains(&name) && empty(value) {
            true => (key.as_str(), "{}".into()),
            false => (key.as_str(), print(value, key, pointer)),
        })
        .collect();
    entries.sort();
    let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("map[{}]", entries.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_and_maps() {
        for (name, json, expected) in [
            ("", r#"{"b":1,"a":["x","y"],"c":null}"#, "map[a:[x y] b:1 c:[]]"),
            ("", r#"{"Name":"no","MaximumRetryCount":0}"#, "{no 0}"),
            ("", r#"{"Name":"no","Other":0}"#, "map[Name:no Other:0]"),
            (
                "Ports",
                r#"{"80/tcp":[{"HostIp":"::","HostPort":"8080"}],"81/tcp":null}"#,
                "map[80/tcp:[{:: 8080}] 81/tcp:[]]",
            ),
            ("PortBindings", r#"{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}"#, "map[80/tcp:[{ 8080}]]"),
            ("ExposedPorts", r#"{"80/tcp":{}}"#, "map[80/tcp:{}]"),
            ("Labels", "null", "map[]"),
            ("Labels", r#"{"a":"b"}"#, "map[a:b]"),
            ("Labels", r#"{"Network":"b"}"#, "map[Network:b]"),
            ("ConfigFrom", r#"{"Network":""}"#, "{}"),
            ("ConfigFrom", r#"{"Network":"x"}"#, "{x}"),
            ("Health", "null", "<nil>"),
            ("LogConfig", r#"{"Type":"json-file","Config":{}}"#, "{json-file map[]}"),
            (
                "State",
                r#"{"Status":"exited","Running":false,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,
                    "Pid":0,"ExitCode":3,"Error":"","StartedAt":"s","FinishedAt":"f"}"#,
                "{exited false false false false false 0 3  s f <nil>}",
            ),
            (
                "Mounts",
                r#"[{"Type":"bind","Source":"/a","Destination":"/b","Mode":"ro","RW":false,"Propagation":"rprivate"}]"#,
                "[{bind  /a /b  ro false rprivate}]",
            ),
            (
                "IPAM",
                r#"{"Driver":"default","Options":null,"Config":[{"Subnet":"10.0.0.0/8","Gateway":"10.0.0.1"}]}"#,
                "{default map[] [{10.0.0.0/8  10.0.0.1 map[]}]}",
            ),
        ] {
            let json: Json = serde_json::from_str(json).unwrap();
            assert_eq!(print(&json, name, &|name| name == "Health"), expected);
        }
    }
}
