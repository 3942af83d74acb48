//! `images`, `image ls`: the list of images.

use boxship_api::image::Summary;
use boxship_client::Query;
use boxship_oci::reference::Reference;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::text::short_id;
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::{pairs, size, time};

/// `images`.
pub const IMAGES: Command = Command {
    name: "images",
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    about: "List images",
    operands: Operands::Between(0, 1),
    mixed: true,
    flags: &[
        Flag::switch("all", "Show all images (default hides intermediate images)").short('a'),
        Flag::switch("digests", "Show digests"),
        Flag::value("filter", "filter", "Show what meets a condition")
            .many()
            .short('f')
            .check(pairs::check_filter),
        Flag::value("format", "string", format::HELP),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::switch("quiet", "Only show image IDs").short('q'),
        Flag::switch("tree", "List multi-platform images as a tree (EXPERIMENTAL)"),
    ],
    shared: &[],
    aliases: &["image ls", "image list", "images"],
    action: action!(images),
};

/// What an image's row can show.
pub const LISTING: Listing = Listing {
    headings: &[
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("Containers", "CONTAINERS"),
        ("VirtualSize", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
    ],
    table: "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}",
    kind: "*formatter.imageContext",
};

const WITH_DIGEST: &str = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince \
                           }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";

/// The template that a given format stands for.
fn template(given: &str, quiet: bool, digests: bool) -> String {
    match given {
        "" | "table" if quiet => "{{.ID}}".to_string(),
        "" | "table" if digests => WITH_DIGEST.to_string(),
        "raw" if quiet => "image_id: {{.ID}}".to_string(),
        "raw" => {
            let digest = if digests { "digest: {{.Digest}}\n" } else { "" };
            format!(
                "repository: {{{{.Repository}}}}\ntag: {{{{.Tag}}}}\n{digest}image_id: {{{{.ID}}}}\n\
                 created_at: {{{{.CreatedAt}}}}\nvirtual_size: {{{{.Size}}}}\n"
            )
        }
        given if given.starts_with("table ") && digests && !given.contains("{{.Digest}}") => {
            format!("{given}\t{{{{.Digest}}}}")
        }
        given => given.to_string(),
    }
}

async fn images(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let mut filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    let wanted = parsed.operand(0);
    if !wanted.is_empty() {
        filters.add("reference", wanted);
    }
    let query = Query::new().flag("all", parsed.on("all"));
    let query = query.maybe("filters", (!filters.is_empty()).then(|| filters.to_json()));
    if parsed.on("tree") {
        return super::tree::show(invocation, query).await;
    }
    let found: Option<Vec<Summary>> = invocation.client().await?.get("/images/json", query).await?;
    let found = found.unwrap_or_default();
    let digests = parsed.on("digests");
    let format = template(parsed.text("format").unwrap_or_default(), parsed.on("quiet"), digests);
    let needs_digest = digests || format.contains("{{.Digest}}");
    let cut = !parsed.on("no-trunc");
    let rows: Vec<Row> = found.iter().flat_map(|image| rows(image, cut, needs_digest, digests)).collect();
    invocation.print(format::listing(&LISTING, &format, &rows)?)?;
    const SUBCOMMANDS: &[&str] =
        &["history", "import", "inspect", "list", "load", "ls", "prune", "pull", "rm", "save", "tag"];
    if found.is_empty() && invocation.path == "images" && SUBCOMMANDS.contains(&wanted) {
        let program = &invocation.program;
        invocation.complain(format!(
            "\nNo images found matching {wanted:?}: did you mean \"{program} image {wanted}\"?"
        ));
    }
    Ok(0)
}

/// The rows of an image: one for each tag, and with `digest` one for each digest of it; digests without a tag have
/// rows of their own, one for each when they are a column.
fn rows(image: &Summary, cut: bool, digest: bool, column: bool) -> Vec<Row> {
    let named = |names: &[String]| -> Vec<Reference> {
        names.iter().filter_map(|n| Reference::parse(n).ok()).collect()
    };
    let (tags, digests) = (named(&image.repo_tags), named(&image.repo_digests));
    let mut rows = Vec::new();
    for tag in &tags {
        let (repository, label) = (tag.familiar_name(), tag.tag().unwrap_or("<none>"));
        let of_tag = digests.iter().filter(|d| digest && d.familiar_name() == repository);
        let of_tag: Vec<String> = of_tag.filter_map(|d| d.digest().map(ToString::to_string)).collect();
        if of_tag.is_empty() {
            rows.push(row(image, cut, &repository, label, "<none>"));
        }
        rows.extend(of_tag.iter().map(|digest| row(image, cut, &repository, label, digest)));
    }
    let mut shown: Vec<String> = tags.iter().map(Reference::familiar_name).collect();
    for digest in &digests {
        let repository = digest.familiar_name();
        if tags.iter().any(|tag| tag.familiar_name() == repository) || !column && shown.contains(&repository)
        {
            continue;
        }
        let text =
            if column { digest.digest().map(ToString::to_string).unwrap_or_default() } else { String::new() };
        rows.push(row(image, cut, &repository, "<none>", &text));
        shown.push(repository);
    }
    if rows.is_empty() {
        rows.push(row(image, cut, "<none>", "<none>", "<none>"));
    }
    rows
}

/// One row of an image.
pub fn row(image: &Summary, cut: bool, repository: &str, tag: &str, digest: &str) -> Row {
    let or_none = |number: i64, text: String| if number == -1 { "N/A".to_string() } else { text };
    let unique =
        if image.size == -1 || image.shared_size == -1 { -1 } else { image.size - image.shared_size };
    Row::new(vec![
        ("ID", if cut { short_id(&image.id) } else { image.id.clone() }.into()),
        ("Repository", repository.into()),
        ("Tag", tag.into()),
        ("Digest", digest.into()),
        ("CreatedSince", time::ago(image.created).into()),
        ("CreatedAt", time::local(image.created).into()),
        ("Size", size::human(image.size as f64, 3).into()),
        ("Containers", or_none(image.containers, image.containers.to_string()).into()),
        ("VirtualSize", size::human(image.size as f64, 4).into()),
        ("SharedSize", or_none(image.shared_size, size::human(image.shared_size as f64, 4)).into()),
        ("UniqueSize", or_none(unique, size::human(unique as f64, 4)).into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_row_for_each_name() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let image = Summary {
            id: "sha256:0123456789abcdef".into(),
            repo_tags: vec!["a:1".into(), "a:2".into()],
            repo_digests: vec![format!("a@{digest}"), format!("b@{digest}")],
            size: 1_230_000,
            ..Summary::default()
        };
        let shown = |digest, column| {
            let format = "{{.Repository}} {{.Tag}} {{.Digest}}";
            format::listing(&LISTING, format, &rows(&image, true, digest, column))
                .map_err(|f| f.message())
                .unwrap()
        };
        assert_eq!(shown(false, false), "a 1 <none>\na 2 <none>\nb <none> \n");
        assert_eq!(shown(true, true), format!("a 1 {digest}\na 2 {digest}\nb <none> {digest}\n"));
        let raw = |quiet, digests| {
            let rows = &rows(&image, true, digests, digests)[..1];
            format::listing(&LISTING, &template("raw", quiet, digests), rows)
                .map_err(|f| f.message())
                .unwrap()
        };
        let rest =
            format!("image_id: 0123456789ab\ncreated_at: {}\nvirtual_size: 1.23MB\n\n", time::local(0));
        assert_eq!(raw(false, false), format!("repository: a\ntag: 1\n{rest}"));
        assert_eq!(raw(false, true), format!("repository: a\ntag: 1\ndigest: {digest}\n{rest}"));
        assert_eq!(raw(true, false), "image_id: 0123456789ab\n");
        let dangling = Summary { repo_tags: vec![], repo_digests: vec![], ..image };
        let text = format::listing(
            &LISTING,
            "{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}",
            &rows(&dangling, true, false, false),
        );
        assert_eq!(text.map_err(|f| f.message()).unwrap(), "<none>:<none> 0123456789ab 1.23MB\n");
    }
}
