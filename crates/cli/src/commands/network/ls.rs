//! `network ls`: the list of networks.

use boxship_api::network::Network;
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::text::{natural, short_id};
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::{pairs, time};

/// `network ls`.
pub const LS: Command = Command {
    name: "ls",
    usage: "[OPTIONS]",
    about: "List networks",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::value("filter", "filter", "Show what meets a condition (driver=bridge)")
            .many()
            .short('f')
            .check(pairs::check_filter),
        Flag::value("format", "string", format::HELP),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::switch("quiet", "Only display network IDs").short('q'),
    ],
    shared: &[],
    aliases: &["network ls", "network list"],
    action: action!(ls),
};

/// What a network's row can show.
const LISTING: Listing = Listing {
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    table: "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    kind: "*network.networkContext",
};

/// What `--format raw` means.
const RAW: &str = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";

async fn ls(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    let query = Query::new().maybe("filters", (!filters.is_empty()).then(|| filters.to_json()));
    let found: Option<Vec<Network>> = invocation.client().await?.get("/networks", query).await?;
    let mut found = found.unwrap_or_default();
    found.sort_by(|one, other| natural(&one.name, &other.name));
    let format = template(parsed.text("format").unwrap_or_default(), parsed.on("quiet"));
    let cut = !parsed.on("no-trunc");
    let rows: Vec<Row> = found.iter().map(|network| row(network, cut)).collect();
    invocation.print(format::listing(&LISTING, format, &rows)?)?;
    Ok(0)
}

/// The template that a given format stands for.
fn template(given: &str, quiet: bool) -> &str {
    match given {
        "" | "table" if quiet => "{{.ID}}",
        "raw" if quiet => "network_id: {{.ID}}",
        "raw" => RAW,
        given => given,
    }
}

fn row(network: &Network, cut: bool) -> Row {
    let labels: Vec<(String, String)> = network.labels.clone().unwrap_or_default().into_iter().collect();
    let joined: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut row = Row::new(vec![
        ("ID", if cut { short_id(&network.id) } else { network.id.clone() }.into()),
        ("Name", network.name.as_str().into()),
        ("Driver", network.driver.as_str().into()),
        ("Scope", network.scope.as_str().into()),
        ("IPv4", network.enable_ipv4.to_string().into()),
        ("IPv6", network.enable_ipv6.to_string().into()),
        ("Internal", network.internal.to_string().into()),
        ("Labels", joined.join(",").into()),
        ("CreatedAt", time::spelled(&network.created).into()),
    ]);
    row.labels = labels;
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_dockers() {
        let network = Network {
            name: "mine".into(),
            id: "0123456789abcdef".into(),
            created: "2026-11-21T12:09:08.42435081Z".into(),
            driver: "bridge".into(),
            scope: "local".into(),
            enable_ipv4: true,
            labels: Some([("a".to_string(), "b".to_string())].into()),
            ..Network::default()
        };
        let shown = |format| {
            let rows = [row(&network, true)];
            format::listing(&LISTING, format, &rows).map_err(|failure| failure.message()).unwrap()
        };
        assert_eq!(
            shown(""),
            "NETWORK ID     NAME      DRIVER    SCOPE\n0123456789ab   mine      bridge    local\n"
        );
        assert_eq!(
            shown("json"),
            "{\"CreatedAt\":\"2026-11-21 12:09:08.42435081 +0000 UTC\",\"Driver\":\"bridge\",\"ID\":\"0123456789ab\",\
             \"IPv4\":\"true\",\"IPv6\":\"false\",\"Internal\":\"false\",\"Labels\":\"a=b\",\"Name\":\"mine\",\
             \"Scope\":\"local\"}\n"
        );
        assert_eq!(shown("{{.Label \"a\"}}"), "b\n");
        assert_eq!(
            shown(template("raw", false)),
            "network_id: 0123456789ab\nname: mine\ndriver: bridge\nscope: local\n\n"
        );
        assert_eq!(shown(template("raw", true)), "network_id: 0123456789ab\n");
    }
}
