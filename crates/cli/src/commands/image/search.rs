//! `search`: looks for repositories by a word, on Docker's Hub or the registry before the slash.

use boxship_client::Query;
use boxship_oci::reference::DEFAULT_DOMAIN;
use http::Method;
use serde::Deserialize;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::{self, Flag};
use crate::format::text::ellipsis;
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::pairs;

/// `search`.
pub const SEARCH: Command = Command {
    name: "search",
    usage: "[OPTIONS] TERM",
    about: "Search Docker Hub for images",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::value("filter", "filter", "Filter output based on conditions provided")
            .many()
            .short('f')
            .check(pairs::check_filter),
        Flag::value("format", "string", "Pretty-print search using a Go template"),
        Flag::value("limit", "int", "Max number of search results").check(flags::integer),
        Flag::switch("no-trunc", "Don't truncate output"),
    ],
    shared: &[],
    aliases: &[],
    action: action!(search),
};

const LISTING: Listing = Listing {
    headings: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("StarCount", "STARS"),
        ("IsOfficial", "OFFICIAL"),
    ],
    table: "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
    kind: "*registry.searchContext",
};

/// How much of a description is shown.
const DESCRIPTION: usize = 45;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Found {
    name: String,
    description: String,
    star_count: i64,
    is_official: bool,
}

async fn search(invocation: &Invocation) -> Result<u8> {
    let (parsed, term) = (&invocation.parsed, invocation.parsed.operand(0));
    let filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    if parsed.list("filter").iter().any(|filter| filter.starts_with("is-automated=")) {
        invocation.complain(
            "WARNING: the \"is-automated\" filter is deprecated, and searching for \"is-automated=true\" will not \
             yield any results in future.",
        );
    }
    let query = Query::new()
        .set("term", term)
        .maybe("filters", (!filters.is_empty()).then(|| filters.to_json()))
        .maybe("limit", parsed.filled("limit").filter(|limit| limit != "0"));
    let body = super::ask_registry(invocation, Method::GET, "/images/search", query, registry(term)).await?;
    let found: Vec<Found> = body.json::<Option<_>>().await?.unwrap_or_default();
    let format = parsed.text("format").unwrap_or_default();
    let json = matches!(format.replace(' ', "").as_str(), "json" | "{{json.}}");
    let rows: Vec<Row> = found.iter().map(|found| row(found, !parsed.on("no-trunc"), json)).collect();
    invocation.print(format::listing(&LISTING, format, &rows)?)?;
    Ok(0)
}

fn row(found: &Found, cut: bool, json: bool) -> Row {
    let description = found.description.replace(['\n', '\r'], " ");
    let description = if cut { ellipsis(&description, DESCRIPTION) } else { description };
    let official = match (found.is_official, json) {
        (true, false) => "[OK]",
        (true, true) => "true",
        (false, true) => "false",
        (false, false) => "",
    };
    Row::new(vec![
        ("Name", found.name.clone().into()),
        ("Description", description.into()),
        ("StarCount", found.star_count.to_string().into()),
        ("IsOfficial", official.into()),
    ])
}

/// The registry that a search goes to.
fn registry(term: &str) -> &str {
    match term.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => DEFAULT_DOMAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_registries() {
        assert_eq!(registry("busybox"), "docker.io");
        assert_eq!(registry("user/app"), "docker.io");
        assert_eq!(registry("localhost:5000/app"), "localhost:5000");
        let found = Found {
            name: "busybox".into(),
            description: format!("Busy\n{}", "x".repeat(60)),
            star_count: 3,
            is_official: true,
        };
        let text =
            format::listing(&LISTING, "", &[row(&found, true, false)]).map_err(|f| f.message()).unwrap();
        assert!(text.starts_with("NAME      DESCRIPTION"), "{text}");
        assert!(text.ends_with(&format!("Busy {}…   3         [OK]\n", "x".repeat(39))), "{text}");
    }
}
