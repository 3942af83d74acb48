//! `inspect`, `container inspect`, `image inspect`, `network inspect`: everything about a thing, as JSON or by a template.

use boxship_client::{Client, Query};
use http::Method;

use super::image;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::{self, Json, Template};
use crate::invocation::Invocation;

const FORMAT: Flag = Flag::value("format", "string", format::HELP_ONE).short('f');
const SIZE: Flag = Flag::switch("size", "Display total file sizes if the type is container").short('s');

/// `inspect`.
pub const INSPECT: Command = Command {
    name: "inspect",
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    about: "Return low-level information on objects",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[FORMAT, SIZE, Flag::value("type", "string", "Only inspect objects of the given type")],
    shared: &[],
    aliases: &[],
    action: action!(|i| inspect(i, None)),
};

/// `container inspect`.
pub const CONTAINER: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Display detailed information on one or more containers",
    flags: &[FORMAT, Flag::switch("size", "Display total file sizes").short('s')],
    action: action!(|i| inspect(i, Some("container"))),
    ..INSPECT
};

/// `image inspect`.
pub const IMAGE: Command = Command {
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Display detailed information on one or more images",
    flags: &[FORMAT, Flag::value("platform", "string", "Inspect a specific platform (\"linux/amd64\")")],
    action: action!(|i| inspect(i, Some("image"))),
    ..INSPECT
};

/// `network inspect`.
pub const NETWORK: Command = Command {
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    about: "Display detailed information on one or more networks",
    flags: &[FORMAT, Flag::switch("verbose", "Verbose output for diagnostics").short('v')],
    action: action!(|i| inspect(i, Some("network"))),
    ..INSPECT
};

/// The types that `--type` knows; containers, images and networks are here.
const TYPES: &[&str] =
    &["config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"];

async fn inspect(invocation: &Invocation, kind: Option<&str>) -> Result<u8> {
    let parsed = &invocation.parsed;
    let kind = wanted(parsed.text("type"), kind)?;
    let template = match parsed.text("format").unwrap_or_default() {
        "" | "json" => None,
        text => {
            format::check(text).map_err(|failure| Failure::Code(failure.message(), 64))?;
            Some(Template::new(text, None))
        }
    };
    let client = invocation.client().await?;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for name in &parsed.operands {
        match object(invocation, client, kind, name).await {
            Ok(thing) => found.push(thing),
            Err(failure) => errors.push(failure.message()),
        }
    }
    let out = match template {
        Some(template) => rendered(&template, found, &mut errors),
        None if parsed.text("format") == Some("json") => Json::List(found).compact(false) + "\n",
        None => Json::List(found).pretty() + "\n",
    };
    invocation.print(out)?;
    if errors.is_empty() { Ok(0) } else { Err(Failure::new(errors.join("\n"))) }
}

/// The type to look for: that of `--type`, or else the command's own.
fn wanted<'a>(asked: Option<&'a str>, own: Option<&'a str>) -> Result<Option<&'a str>> {
    let known = || format!("must be one of \"{}\"", TYPES.join("\", \""));
    match asked {
        None => Ok(own),
        Some("container" | "image" | "network") => Ok(asked),
        Some("") => Err(Failure::new(format!("type is empty: {}", known()))),
        Some(other) if !TYPES.contains(&other) => {
            Err(Failure::new(format!("unknown type: {other:?}: {}", known())))
        }
        Some(other) => Err(Failure::new(format!(
            "--type {other}: only containers, images and networks can be inspected"
        ))),
    }
}

/// A line for each thing; what the template can't print is told among the errors.
fn rendered(template: &Template, things: Vec<Json>, errors: &mut Vec<String>) -> String {
    let mut text = String::new();
    for mut thing in things {
        complete(&mut thing);
        match template.render(&thing) {
            Ok(line) => text.push_str(&format!("{line}\n")),
            Err(why) => errors.push(why),
        }
    }
    if text.is_empty() { "\n".to_owned() } else { text }
}

/// One thing; without a type a container of that name comes before an image, and that before a network.
async fn object(invocation: &Invocation, client: &Client, kind: Option<&str>, name: &str) -> Result<Json> {
    let parsed = &invocation.parsed;
    let fetch = async |path: String, query: Query| -> Result<Json> {
        Ok(client.request(Method::GET, &path, query, None::<&()>).await?.json::<Json>().await?)
    };
    let container = || format!("/containers/{}/json", Client::segment(name));
    if kind.is_none_or(|kind| kind == "container") {
        let size = Query::new().flag("size", parsed.on("size"));
        match fetch(container(), size).await {
            Err(Failure::Client(error)) if kind.is_none() && skippable(&error) => {}
            other => return other,
        }
    }
    let ignored = |kind_found: &str| {
        if parsed.on("size") && kind.is_none() {
            invocation.complain(format!("WARNING: --size ignored for {kind_found}"));
        }
    };
    if kind.is_none_or(|kind| kind == "image") {
        let platform = image::platform_json(invocation, parsed.filled("platform"), 49).await?;
        match fetch(image::path(name, "json"), Query::new().maybe("platform", platform)).await {
            Err(Failure::Client(error)) if kind.is_none() && skippable(&error) => {}
            other => return other.inspect(|_| ignored("image")),
        }
    }
    let query = Query::new().flag("verbose", parsed.on("verbose"));
    match fetch(format!("/networks/{}", Client::segment(name)), query).await {
        Err(Failure::Client(error)) if kind.is_none() && skippable(&error) => {
            Err(Failure::new(format!("Error: No such object: {name}")))
        }
        other => other.inspect(|_| ignored("network")),
    }
}

fn skippable(error: &boxship_client::Error) -> bool {
    error.status() == Some(404) || error.to_string().contains("invalid reference format")
}

/// Puts in what Docker's types have although JSON leaves it out, so that a template may ask for it.
fn complete(thing: &mut Json) {
    const CONTAINER: &[(&str, &[&str])] = &[
        ("State", &["Health"]),
        ("", &["SizeRw", "SizeRootFs", "ImageManifestDescriptor", "GraphDriver"]),
        ("Config", &["Healthcheck", "ExposedPorts", "StopTimeout", "Shell", "Volumes", "OnBuild", "Labels"]),
        ("HostConfig", &["Init", "Mounts", "Tmpfs", "Sysctls", "StorageOpt", "Annotations", "Ulimits"]),
    ];
    const TEXTS: &[(&str, &[&str])] =
        &[("Config", &["StopSignal", "MacAddress"]), ("HostConfig", &["Runtime"])];
    const IMAGE: &[(&str, &[&str])] = &[(
        "Config",
        &["Cmd", "Entrypoint", "Env", "ExposedPorts", "Volumes", "Labels", "Healthcheck", "OnBuild", "Shell"],
    )];
    if let Some(id) = thing.get("Id").cloned() {
        // Docker's types call it so, whatever JSON calls it.
        thing.fill("", "ID", id);
    }
    if thing.get("IPAM").is_some() {
        return complete_network(thing);
    }
    let container = thing.get("State").is_some();
    for (part, names) in if container { CONTAINER } else { IMAGE } {
        names.iter().for_each(|name| thing.fill(part, name, Json::Null));
    }
    for (part, names) in TEXTS.iter().filter(|_| container) {
        names.iter().for_each(|name| thing.fill(part, name, "".into()));
    }
    if !container {
        ["User", "WorkingDir", "StopSignal"].iter().for_each(|name| thing.fill("Config", name, "".into()));
        ["Variant", "OsVersion", "Created"].iter().for_each(|name| thing.fill("", name, "".into()));
    }
}

/// The same for a network: the fields of a subnet that has no gateway, no range, no addresses kept apart.
fn complete_network(thing: &mut Json) {
    thing.fill("", "Peers", Json::Null);
    thing.fill("", "Services", Json::Object(Vec::new()));
    let config = thing.at("IPAM").and_then(|ipam| ipam.at("Config"));
    let Some(Json::List(subnets)) = config else { return };
    for subnet in subnets {
        let auxiliary = subnet.get("AuxiliaryAddresses").cloned().unwrap_or(Json::Object(Vec::new()));
        subnet.fill("", "AuxAddress", auxiliary);
        ["Subnet", "IPRange", "Gateway"].iter().for_each(|name| subnet.fill("", name, "".into()));
    }
}
