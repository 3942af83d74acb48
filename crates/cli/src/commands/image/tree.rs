//! `image ls --tree`: images, and below each the platforms it is there for, as far as the daemon tells them.

use std::io::{self, IsTerminal};

use boxship_client::Query;
use boxship_oci::platform::Platform;
use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::format::text::{ellipsis, short_id};
use crate::invocation::Invocation;
use crate::terminal;
use crate::values::size;

/// Columns beside the names: heading, width, whether it is set to the right.
const COLUMNS: [(&str, usize, bool); 4] =
    [("ID", 12, false), ("DISK USAGE", 10, true), ("CONTENT SIZE", 12, true), ("EXTRA", 5, false)];
const GAP: usize = 3;
/// Room that names have at least; columns that leave them less are left out.
const NARROWEST: usize = 12;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Image {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    created: i64,
    size: i64,
    containers: i64,
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Kind")]
    kind: String,
    #[serde(rename = "Size")]
    size: Sizes,
    #[serde(rename = "ImageData")]
    image: Option<Data>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Sizes {
    content: i64,
    total: i64,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Data {
    platform: Platform,
    containers: Option<Vec<String>>,
}

/// A line beside its name.
struct Details {
    id: String,
    usage: i64,
    content: i64,
    in_use: bool,
}

/// Prints the tree.
pub async fn show(invocation: &Invocation, query: Query) -> Result<u8> {
    for (flag, name) in
        [("quiet", "quiet"), ("no-trunc", "no-trunc"), ("digests", "show-digest"), ("format", "format")]
    {
        if invocation.parsed.given(flag) {
            return Err(Failure::new(format!("--{name} is not yet supported with --tree")));
        }
    }
    let images: Option<Vec<Image>> =
        invocation.client().await?.get("/images/json", query.set("manifests", 1)).await?;
    let width = terminal::size().map_or(80, |(_, columns)| usize::from(columns).max(20));
    let all = invocation.parsed.on("all");
    invocation.print(text(images.unwrap_or_default(), all, width, io::stdout().is_terminal()))?;
    Ok(0)
}

fn text(mut images: Vec<Image>, all: bool, width: usize, terminal: bool) -> String {
    images.retain(|image| all || !image.names().is_empty() || !image.digests().is_empty());
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    let bold = |text: &str| if terminal { format!("\x1b[1m{text}\x1b[0m") } else { text.to_string() };
    let mut out = String::from(
        "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.\n",
    );
    out.push_str(&format!("{:>width$}\n\n", " Info ->  U In Use "));
    let (names, columns) = room(&images, width);
    out.push_str(&bold(&format!("{:<names$}", "IMAGE")));
    for (heading, width, right) in &COLUMNS[..columns] {
        out.push_str(&" ".repeat(GAP));
        out.push_str(&bold(&cell(heading, *width, *right)));
    }
    out.push('\n');
    let spaced = images.iter().any(|image| image.children().next().is_some());
    for image in &images {
        let mut tags = image.names().to_vec();
        tags.sort_by_key(|tag| std::cmp::Reverse(tag.len()));
        let last = tags.pop().unwrap_or_else(|| "<untagged>".to_string());
        tags.iter().for_each(|tag| out.push_str(&format!("{}\n", bold(tag))));
        out.push_str(&bold(&cell(&last, names, false)));
        out.push_str(&row(&image.details(), columns));
        if spaced {
            out.push('\n');
        }
        let children: Vec<_> = image.children().collect();
        for (at, (platform, details)) in children.iter().enumerate() {
            let branch = if at + 1 < children.len() { "├─" } else { "└─" };
            out.push_str(&cell(&format!("{branch} {platform}"), names, false));
            out.push_str(&row(details, columns));
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

/// The width of the first column, and how many others there is room for.
fn room(images: &[Image], width: usize) -> (usize, usize) {
    let mut left = width;
    let mut columns = 0;
    for (_, width, _) in COLUMNS {
        if left.saturating_sub(width + GAP) < NARROWEST {
            break;
        }
        left -= width + GAP;
        columns += 1;
    }
    let tags = images.iter().flat_map(Image::names).map(|tag| tag.chars().count());
    let children = images.iter().flat_map(Image::children).map(|(platform, _)| platform.chars().count() + 3);
    (tags.chain(children).chain(["<untagged>".len()]).max().unwrap_or(0).min(left), columns)
}

fn cell(text: &str, width: usize, right: bool) -> String {
    let text = ellipsis(text, width);
    if right { format!("{text:>width$}") } else { format!("{text:<width$}") }
}

fn row(details: &Details, columns: usize) -> String {
    let human = |bytes: i64| size::human(bytes as f64, 3);
    let cells = [
        short_id(&details.id),
        human(details.usage),
        human(details.content),
        if details.in_use { "U" } else { " " }.to_string(),
    ];
    let shown = cells.iter().zip(&COLUMNS[..columns]);
    shown.map(|(text, (_, width, right))| " ".repeat(GAP) + &cell(text, *width, *right)).collect()
}

impl Image {
    fn names(&self) -> &[String] {
        self.repo_tags.as_deref().unwrap_or_default()
    }

    fn digests(&self) -> &[String] {
        self.repo_digests.as_deref().unwrap_or_default()
    }

    /// Its platforms.
    fn children(&self) -> impl Iterator<Item = (String, Details)> {
        self.manifests.iter().flatten().filter(|entry| entry.kind == "image").filter_map(|entry| {
            let data = entry.image.as_ref()?;
            let details = Details {
                id: entry.id.clone(),
                usage: entry.size.total,
                content: entry.size.content,
                in_use: data.containers.as_ref().is_some_and(|containers| !containers.is_empty()),
            };
            Some((data.platform.to_string(), details))
        })
    }

    fn details(&self) -> Details {
        Details {
            id: self.id.clone(),
            usage: self.size,
            content: self.manifests.iter().flatten().map(|entry| entry.size.content).sum(),
            in_use: self.containers > 0 || self.children().any(|(_, details)| details.in_use),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees() {
        let images = serde_json::json!([
            {"Id": "sha256:0123456789abcdef", "RepoTags": ["a:1", "a:latest"], "Created": 1, "Size": 1500000},
            {"Id": "sha256:fedcba98765432100", "RepoTags": ["multi:1"], "Created": 2, "Size": 2000, "Manifests": [
                {"ID": "sha256:111111111111", "Kind": "image", "Size": {"Content": 10, "Total": 20},
                 "ImageData": {"Platform": {"os": "linux", "architecture": "amd64"}, "Containers": ["c"]}},
                {"ID": "sha256:222222222222", "Kind": "attestation", "Size": {"Content": 1, "Total": 1}}]},
            {"Id": "sha256:dangling", "Created": 3}
        ]);
        let parse = || serde_json::from_value::<Vec<Image>>(images.clone()).unwrap();
        lines(
            &text(parse(), false, 80, false),
            &[
                "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.",
                "                                                              Info ->  U In Use ",
                "",
                "IMAGE            ID             DISK USAGE   CONTENT SIZE   EXTRA",
                "multi:1          fedcba987654          2kB            11B   U    ",
                "└─ linux/amd64   111111111111          20B            10B   U    ",
                "",
                "a:latest",
                "a:1              0123456789ab        1.5MB             0B        ",
                "",
                "",
            ],
        );
        assert!(text(parse(), true, 80, false).contains("<untagged>"));
        assert!(!text(parse(), false, 30, false).contains("DISK"), "no room");
    }

    fn lines(got: &str, wanted: &[&str]) {
        assert_eq!(got.split('\n').collect::<Vec<_>>(), wanted);
    }
}
