//! `ps`, `container ls`: the list of containers.

use boxship_api::container::Summary;
use boxship_api::port::PortSummary;
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::{Flag, integer};
use crate::format::text::{ellipsis, quote, short_id};
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::{pairs, size, time};

/// `ps`.
pub const PS: Command = Command {
    name: "ps",
    usage: "[OPTIONS]",
    about: "List containers",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::switch("all", "Show all containers (default shows just running)").short('a'),
        Flag::value("filter", "filter", "Show what meets a condition")
            .many()
            .short('f')
            .check(pairs::check_filter),
        Flag::value("format", "string", format::HELP),
        Flag::value("last", "int", "Show the last created ones, in any state")
            .short('n')
            .default("-1")
            .check(integer),
        Flag::switch("latest", "Show the last created one, in any state").short('l'),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::switch("quiet", "Only display container IDs").short('q'),
        Flag::switch("size", "Display total file sizes").short('s'),
    ],
    shared: &[],
    aliases: &["container ls", "container list", "container ps", "ps"],
    action: action!(ps),
};

/// What a container's row can show.
pub const LISTING: Listing = Listing {
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Names", "NAMES"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Networks", "NETWORKS"),
        ("Platform", "PLATFORM"),
    ],
    table: "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    kind: "*formatter.ContainerContext",
};

/// What `--format raw` means; its last line is there when sizes are asked for.
const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n\
                   state:{{pad .State 1 0}}\nstatus:{{pad .Status 1 0}}\nnames: {{.Names}}\n\
                   labels:{{pad .Labels 1 0}}\nports:{{pad .Ports 1 0}}\n";
const RAW_SIZE: &str = "size: {{.Size}}\n";

async fn ps(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let given = parsed.text("format").unwrap_or_default();
    let last = if parsed.on("latest") && !parsed.given("last") { Some(1) } else { parsed.number("last") };
    // Docker asks for sizes when the template uses them.
    let uses_size = given.contains(".Size") || given.replace(' ', "") == "{{json.}}";
    let size = parsed.on("size") || uses_size && !parsed.given("size");
    if !given.is_empty() {
        // Tried before the list is asked for: a template is right or wrong whatever there is to list.
        shown(given, &[row(&Summary::default(), true)])?;
    }
    let filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    let mut query = Query::new().flag("all", parsed.on("all")).flag("size", size);
    query = query.maybe("limit", last.filter(|last| *last >= 0));
    query = query.maybe("filters", (!filters.is_empty()).then(|| filters.to_json()));
    let containers: Option<Vec<Summary>> = invocation.client().await?.get("/containers/json", query).await?;
    let cut = !parsed.on("no-trunc");
    let rows: Vec<Row> = containers.unwrap_or_default().iter().map(|container| row(container, cut)).collect();
    if parsed.on("quiet") && !given.is_empty() {
        invocation.complain("WARNING: Ignoring custom format, because both --format and --quiet are set.");
    }
    invocation.print(shown(&template(given, parsed.on("quiet"), size), &rows)?)?;
    Ok(0)
}

/// The template that a given format stands for.
fn template(given: &str, quiet: bool, size: bool) -> String {
    match given {
        "raw" if quiet => "container_id: {{.ID}}".to_string(),
        _ if quiet => "{{.ID}}".to_string(),
        "" | "table" if size => format!("{}\t{{{{.Size}}}}", LISTING.table),
        "raw" if size => format!("{RAW}{RAW_SIZE}"),
        "raw" => RAW.to_string(),
        given => given.to_string(),
    }
}

fn shown(format: &str, rows: &[Row]) -> Result<String> {
    format::listing(&LISTING, format, rows).map_err(|failure| {
        let message = failure.message();
        let bare = message.strip_prefix("template parsing error: ").unwrap_or(&message);
        let verb = if bare.contains("executing \"") { "execute" } else { "parse" };
        Failure::new(format!("failed to {verb} template: {bare}"))
    })
}

/// The row of a container; with `cut`, long values are shortened.
pub fn row(container: &Summary, cut: bool) -> Row {
    let labels: Vec<(String, String)> =
        container.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let joined: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let command = if cut { ellipsis(&container.command, 20) } else { container.command.clone() };
    let networks = container.network_settings.iter().flat_map(|settings| settings.networks.iter().flatten());
    let networks: Vec<&str> = networks.map(|(name, _)| name.as_str()).collect();
    let local = container.mounts.iter().filter(|mount| mount.driver == "local").count();
    let mut row = Row::new(vec![
        ("ID", if cut { short_id(&container.id) } else { container.id.clone() }.into()),
        ("Names", names(container, cut).into()),
        ("Image", image(container, cut).into()),
        ("Command", quote(&command).into()),
        ("CreatedAt", time::local(container.created).into()),
        ("RunningFor", time::ago(container.created).into()),
        ("Ports", ports(&container.ports).into()),
        ("State", container.state.as_str().into()),
        ("Status", container.status.as_str().into()),
        ("Size", sizes(container).into()),
        ("Labels", joined.join(",").into()),
        ("Mounts", mounts(container, cut).into()),
        ("LocalVolumes", local.to_string().into()),
        ("Networks", networks.join(",").into()),
        ("Platform", format::Json::Null),
    ]);
    row.labels = labels;
    row
}

fn names(container: &Summary, cut: bool) -> String {
    let names: Vec<&str> =
        container.names.iter().flatten().map(|name| name.strip_prefix('/').unwrap_or(name)).collect();
    match names.iter().find(|name| !name.contains('/')) {
        Some(name) if cut => name.to_string(),
        _ => names.join(","),
    }
}

/// The image's name; an id or a digest is cut.
fn image(container: &Summary, cut: bool) -> String {
    let image = container.image.as_str();
    if image.is_empty() {
        return "<no image>".into();
    }
    if !cut {
        return image.to_string();
    }
    let id = short_id(&container.image_id);
    if id == short_id(image) {
        return id;
    }
    image.split_once('@').map_or(image, |(name, _)| name).to_string()
}

fn sizes(container: &Summary) -> String {
    let own = size::human(container.size_rw as f64, 3);
    match container.size_root_fs {
        whole if whole > 0 => format!("{own} (virtual {})", size::human(whole as f64, 3)),
        _ => own,
    }
}

fn mounts(container: &Summary, cut: bool) -> String {
    let name = |mount: &boxship_api::mount::MountPoint| {
        let name = if mount.name.is_empty() { &mount.source } else { &mount.name };
        if cut { ellipsis(name, 15) } else { name.clone() }
    };
    container.mounts.iter().map(name).collect::<Vec<_>>().join(",")
}

/// Ports as one text: neighbours become ranges.
fn ports(ports: &[PortSummary]) -> String {
    let mut ports: Vec<&PortSummary> = ports.iter().collect();
    ports.sort_by_key(|port| (port.private_port, port.ip.clone(), port.public_port, port.protocol.clone()));
    let mut done = Vec::new();
    let mut mapped = Vec::new();
    // One open range for each address and protocol, in the order of their first ports.
    let mut open: Vec<(&str, &str, u16, u16)> = Vec::new();
    for port in ports {
        let (ip, protocol, number) = (port.ip.as_str(), port.protocol.as_str(), port.private_port);
        if !ip.is_empty() && port.public_port != number {
            mapped.push(format!("{}->{number}/{protocol}", host(ip, &port.public_port.to_string())));
            continue;
        }
        match open.iter_mut().find(|range| (range.0, range.1) == (ip, protocol)) {
            None => open.push((ip, protocol, number, number)),
            Some(range) if number == range.3.saturating_add(1) => range.3 = number,
            Some(range) => {
                done.push(ranged(*range));
                *range = (ip, protocol, number, number);
            }
        }
    }
    done.into_iter().chain(open.into_iter().map(ranged)).chain(mapped).collect::<Vec<_>>().join(", ")
}

fn ranged((ip, protocol, first, last): (&str, &str, u16, u16)) -> String {
    let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
    let range = if ip.is_empty() { range } else { format!("{}->{range}", host(ip, &range)) };
    format!("{range}/{protocol}")
}

fn host(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private: u16, public: u16, protocol: &str) -> PortSummary {
        PortSummary { ip: ip.into(), private_port: private, public_port: public, protocol: protocol.into() }
    }

    #[test]
    fn ports_are_told_as_docker_tells_them() {
        let tcp = |number| port("", number, 0, "tcp");
        assert_eq!(ports(&[tcp(9988), tcp(9989), tcp(80)]), "80/tcp, 9988-9989/tcp");
        assert_eq!(ports(&[port("0.0.0.0", 80, 8080, "tcp")]), "0.0.0.0:8080->80/tcp");
        assert_eq!(ports(&[port("::", 80, 80, "tcp"), port("::", 81, 81, "tcp")]), "[::]:80-81->80-81/tcp");
        assert_eq!(ports(&[port("", 53, 0, "udp"), port("", 53, 0, "tcp")]), "53/tcp, 53/udp");
    }

    #[test]
    fn a_template_is_tried_on_nothing() {
        let tried = |format| shown(format, &[row(&Summary::default(), true)]).map_err(|f| f.message());
        for format in ["{{.ID}}", "table {{.Names}}\t{{.Label \"x\"}}", "json", "{{json .}}", "table"] {
            assert!(tried(format).is_ok(), "{format}");
        }
        assert!(tried("{{.Bogus}}").unwrap_err().contains("can't evaluate field Bogus"));
    }

    #[test]
    fn raw_is_line_by_line() {
        let container = Summary {
            id: "0123456789abcdef".into(),
            names: Some(vec!["/x".into()]),
            image: "busybox".into(),
            command: "true".into(),
            state: "running".into(),
            status: "Up 2 seconds".into(),
            ..Summary::default()
        };
        let raw = |quiet, size| {
            shown(&template("raw", quiet, size), &[row(&container, true)]).map_err(|f| f.message()).unwrap()
        };
        let created = time::local(0);
        let lines = format!(
            "container_id: 0123456789ab\nimage: busybox\ncommand: \"true\"\ncreated_at: {created}\nstate: running\n\
             status: Up 2 seconds\nnames: x\nlabels:\nports:\n"
        );
        assert_eq!(raw(false, false), format!("{lines}\n"));
        assert_eq!(raw(false, true), format!("{lines}size: 0B\n\n"));
        assert_eq!(raw(true, true), "container_id: 0123456789ab\n");
    }

    #[test]
    fn rows_are_cut() {
        let container = Summary {
            id: "0123456789abcdef".into(),
            names: Some(vec!["/x/alias".into(), "/x".into()]),
            image: "busybox@sha256:0011".into(),
            command: "sh -c 'sleep 1000000'".into(),
            ..Summary::default()
        };
        let shown = |cut, field| {
            let row = row(&container, cut);
            row.fields.into_iter().find(|(name, _)| *name == field).unwrap().1
        };
        assert_eq!(shown(true, "ID"), "0123456789ab".into());
        assert_eq!(shown(true, "Names"), "x".into());
        assert_eq!(shown(false, "Names"), "x/alias,x".into());
        assert_eq!(shown(true, "Image"), "busybox".into());
        assert_eq!(shown(true, "Command"), "\"sh -c 'sleep 100000…\"".into());
    }
}
