//! `info`: what the daemon tells about itself and its machine.

use boxship_client::Query;
use http::Method;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::{self, Json};
use crate::invocation::Invocation;
use crate::values::size;

/// `info`.
pub const INFO: Command = Command {
    name: "info",
    usage: "[OPTIONS]",
    about: "Display system-wide information",
    operands: Operands::None,
    mixed: true,
    flags: &[Flag::value("format", "string", format::HELP_ONE).short('f')],
    shared: &[],
    aliases: &["system info", "info"],
    action: action!(info),
};

async fn info(invocation: &Invocation) -> Result<u8> {
    let given = invocation.parsed.text("format").unwrap_or_default();
    if !matches!(given, "" | "json") {
        format::check(given).map_err(|failure| Failure::Code(failure.message(), 64))?;
    }
    let fetched = fetch(invocation).await;
    let debug = invocation.globals.parsed().on("debug");
    if given.is_empty() {
        invocation.print(client(debug))?;
        let info = fetched?;
        invocation.print(server(&info))?;
        if let Some(Json::List(warnings)) = info.get("Warnings") {
            warnings.iter().for_each(|warning| invocation.complain(plain(warning)));
        }
        return Ok(0);
    }
    let mut info = fetched?;
    let ours = [
        ("Debug", Json::Bool(debug)),
        ("Version", env!("CARGO_PKG_VERSION").into()),
        ("Context", "default".into()),
        ("Plugins", Json::List(Vec::new())),
        ("Warnings", Json::Null),
    ];
    let ours = Json::Object(ours.map(|(name, value)| (name.to_string(), value)).to_vec());
    info.fill("", "ClientInfo", ours);
    for (name, value) in [("ServerErrors", Json::Null), ("ClientErrors", Json::Null)] {
        if given != "json" {
            info.fill("", name, value);
        }
    }
    invocation.print(format!("{}\n", format::value(given, "", "system.dockerInfo", &info)?))?;
    Ok(0)
}

async fn fetch(invocation: &Invocation) -> Result<Json> {
    let client = invocation.client().await?;
    client.request(Method::GET, "/info", Query::new(), None::<&()>).await?.json().await.map_err(Failure::from)
}

fn client(debug: bool) -> String {
    format!(
        "Client: Boxship\n Version:    {}\n Context:    default\n Debug Mode: {debug}\n\nServer:\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// A value as text.
fn plain(value: &Json) -> String {
    match value {
        Json::Text(text) => text.clone(),
        Json::Null => String::new(),
        other => other.compact(false),
    }
}

/// The lines about the server: a heading and what stands behind it, in Docker's order.
fn server(info: &Json) -> String {
    let at = |path: &str| -> String {
        path.split('.').try_fold(info, |json, name| json.get(name)).map(plain).unwrap_or_default()
    };
    let words = |path: &str| -> String {
        match path.split('.').try_fold(info, |json, name| json.get(name)) {
            Some(Json::List(items)) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
            Some(Json::Object(pairs)) => {
                pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        }
    };
    let mut lines = Vec::new();
    let mut always = |heading: &str, value: String| lines.push(format!("{heading} {value}"));
    for (heading, name) in [
        (" Containers:", "Containers"),
        ("  Running:", "ContainersRunning"),
        ("  Paused:", "ContainersPaused"),
        ("  Stopped:", "ContainersStopped"),
        (" Images:", "Images"),
    ] {
        always(heading, at(name));
    }
    lines.extend(filled(" Server Version:", at("ServerVersion")));
    lines.extend(filled(" Storage Driver:", at("Driver")));
    if let Some(Json::List(pairs)) = info.get("DriverStatus") {
        lines.extend(pairs.iter().filter_map(|pair| match pair {
            Json::List(pair) => Some(format!("  {}", pair.iter().map(plain).collect::<Vec<_>>().join(": "))),
            _ => None,
        }));
    }
    lines.extend(filled(" Logging Driver:", at("LoggingDriver")));
    lines.extend(filled(" Cgroup Driver:", at("CgroupDriver")));
    lines.extend(filled(" Cgroup Version:", at("CgroupVersion")));
    lines.push(" Plugins:".into());
    lines.push(format!("  Volume: {}", words("Plugins.Volume")));
    lines.push(format!("  Network: {}", words("Plugins.Network")));
    lines.extend(filled("  Authorization:", words("Plugins.Authorization")));
    lines.push(format!("  Log: {}", words("Plugins.Log")));
    lines.push(format!(" Swarm: {}", at("Swarm.LocalNodeState")));
    lines.extend(filled(" Runtimes:", words("Runtimes")));
    lines.extend(filled(" Default Runtime:", at("DefaultRuntime")));
    lines.push(format!(" Init Binary: {}", at("InitBinary")));
    lines.extend(filled(" containerd version:", at("ContainerdCommit.ID")));
    lines.extend(filled(" runc version:", at("RuncCommit.ID")));
    lines.extend(filled(" init version:", at("InitCommit.ID")));
    lines.extend(security(info));
    for (heading, name) in [
        (" Kernel Version:", "KernelVersion"),
        (" Operating System:", "OperatingSystem"),
        (" OSType:", "OSType"),
        (" Architecture:", "Architecture"),
        (" CPUs:", "NCPU"),
    ] {
        lines.extend(filled(heading, at(name)));
    }
    lines.push(format!(" Total Memory: {}", size::binary(at("MemTotal").parse().unwrap_or(0.0))));
    for (heading, name) in [
        (" Name:", "Name"),
        (" ID:", "ID"),
        (" Docker Root Dir:", "DockerRootDir"),
        (" Debug Mode:", "Debug"),
        (" HTTP Proxy:", "HttpProxy"),
        (" HTTPS Proxy:", "HttpsProxy"),
        (" No Proxy:", "NoProxy"),
    ] {
        lines.extend(filled(heading, at(name)));
    }
    if let Some(Json::List(labels)) = info.get("Labels").filter(|labels| **labels != Json::List(Vec::new())) {
        lines.push(" Labels:".into());
        lines.extend(labels.iter().map(|label| format!("  {}", plain(label))));
    }
    lines.push(format!(" Experimental: {}", at("ExperimentalBuild")));
    lines.extend(registries(info));
    lines.push(format!(" Live Restore Enabled: {}", at("LiveRestoreEnabled")));
    format!("{}\n\n", lines.join("\n"))
}

fn filled(heading: &str, value: String) -> Option<String> {
    (!value.is_empty()).then(|| format!("{heading} {value}"))
}

/// `name=seccomp,profile=builtin` on two lines.
fn security(info: &Json) -> Vec<String> {
    let Some(Json::List(options)) = info.get("SecurityOptions") else { return Vec::new() };
    let mut lines = vec![" Security Options:".to_string()];
    for option in options.iter().map(plain) {
        for part in option.split(',') {
            match part.split_once('=') {
                Some(("profile", value)) => lines.push(format!("   Profile: {value}")),
                Some(("name", value)) => lines.push(format!("  {value}")),
                _ => {}
            }
        }
    }
    if lines.len() == 1 { Vec::new() } else { lines }
}

/// The registries that are spoken to without TLS, by name and by network, and the mirrors.
fn registries(info: &Json) -> Vec<String> {
    let Some(config) = info.get("RegistryConfig") else { return Vec::new() };
    let list = |value: Option<&Json>| match value {
        Some(Json::List(items)) => items.iter().map(plain).collect(),
        _ => Vec::new(),
    };
    let mut insecure: Vec<String> = Vec::new();
    if let Some(Json::Object(indexes)) = config.get("IndexConfigs") {
        let named =
            indexes.iter().filter(|(_, index)| matches!(index.get("Secure"), Some(Json::Bool(false))));
        insecure.extend(named.map(|(name, _)| name.clone()));
    }
    insecure.extend(list(config.get("InsecureRegistryCIDRs")));
    let titled = |title: &str, lines: Vec<String>| {
        let title = (!lines.is_empty()).then(|| format!(" {title}:"));
        title.into_iter().chain(lines.into_iter().map(|line| format!("  {line}"))).collect::<Vec<_>>()
    };
    [titled("Insecure Registries", insecure), titled("Registry Mirrors", list(config.get("Mirrors")))]
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_named_as_docker_does() {
        let info = r#"{"RegistryConfig": {
            "IndexConfigs": {"docker.io": {"Secure": true}, "reg.test:5000": {"Secure": false}},
            "InsecureRegistryCIDRs": ["127.0.0.0/8"], "Mirrors": ["http://mirror/"]}}"#;
        assert_eq!(
            registries(&serde_json::from_str(info).unwrap()),
            [
                " Insecure Registries:",
                "  reg.test:5000",
                "  127.0.0.0/8",
                " Registry Mirrors:",
                "  http://mirror/"
            ]
        );
        assert!(registries(&serde_json::from_str("{}").unwrap()).is_empty());
    }
}
