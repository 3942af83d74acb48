//! Output by `--format`: tables, templates, JSON. Bytes are Docker's.

mod go_text;
mod json;
pub mod tabs;
pub mod template;
pub mod text;

use crate::failure::{Failure, Result};

pub use json::Json;
pub use template::Template;

/// What help says about `--format` of a listing.
pub const HELP: &str = "Format output using a custom template: 'table': table with column headers (default), 'table \
                        TEMPLATE': table by a Go template, 'json': JSON, 'TEMPLATE': a Go template";
/// What help says about `--format` of a single thing.
pub const HELP_ONE: &str = "Format output using a custom template: 'json': JSON, 'TEMPLATE': a Go template";

/// The hidden field of a row in which its labels are.
pub(crate) const LABELS: &str = "\0labels";

/// What a listing can show.
pub struct Listing {
    /// Fields and their headings.
    pub headings: &'static [(&'static str, &'static str)],
    /// The template of the table that is shown when nothing else is asked for.
    pub table: &'static str,
    /// What Docker calls the type of a row, for errors.
    pub kind: &'static str,
}

/// One line of a listing: fields in any order, and labels.
#[derive(Debug, Default)]
pub struct Row {
    /// Fields and values.
    pub fields: Vec<(&'static str, Json)>,
    /// What `{{.Label "x"}}` looks into.
    pub labels: Vec<(String, String)>,
}

impl Row {
    /// A row of these fields.
    pub fn new(fields: Vec<(&'static str, Json)>) -> Row {
        Row { fields, labels: Vec::new() }
    }

    fn json(&self) -> Json {
        let labels =
            self.labels.iter().map(|(key, value)| (key.clone(), Json::Text(value.clone()))).collect();
        let fields = self.fields.iter().map(|(name, value)| (name.to_string(), value.clone()));
        Json::Object(fields.chain([(LABELS.to_string(), Json::Object(labels))]).collect())
    }

    /// The row as `{{json .}}` gives it: fields by name.
    pub fn line(&self) -> String {
        let mut fields: Vec<(String, Json)> =
            self.fields.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Json::Object(fields).compact(true)
    }
}

/// The text of a listing: `format` is what `--format` said (`table`, `table TEMPLATE`, `json`, `TEMPLATE`), or empty.
pub fn listing(listing: &Listing, format: &str, rows: &[Row]) -> Result<String> {
    let format = if format.is_empty() || format == "table" { listing.table } else { format };
    let (table, source) = match format.strip_prefix("table") {
        Some(rest) => (true, rest),
        None => (false, format),
    };
    let source = source.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n");
    let whole = source == "json" || source.replace(' ', "") == "{{json.}}";
    let template = Template::new(&source, Some(listing.kind));
    let mut body = String::new();
    for row in rows {
        let line = if whole { Ok(row.line()) } else { template.render(&row.json()) };
        body.push_str(&line.map_err(Failure::new)?);
        body.push('\n');
    }
    if rows.is_empty() && !whole {
        // A template that doesn't parse is an error without rows, too.
        check(&source)?;
    }
    if !table {
        return Ok(body);
    }
    let headings = listing.headings.iter().map(|(name, text)| (name.to_string(), Json::from(*text)));
    let headings = headings.chain([(LABELS.to_string(), Json::Object(Vec::new()))]).collect();
    let text = format!("{}\n{body}", template.render_headings(&Json::Object(headings)));
    Ok(tabs::align(&text, 10, 3))
}

/// Whether a template can be parsed.
pub fn check(source: &str) -> Result<()> {
    match Template::new(source, None).render(&Json::Object(Vec::new())) {
        Err(why) if !why.contains("executing \"") => Err(Failure::new(why)),
        _ => Ok(()),
    }
}

/// One value by `--format` (`version`, `info`): `json` or a template. Docker prints these errors bare.
pub fn value(format: &str, name: &'static str, kind: &'static str, data: &Json) -> Result<String> {
    if format == "json" || format.replace(' ', "") == "{{json.}}" {
        return Ok(data.compact(false));
    }
    Template::new(format, Some(kind)).named(name).execute(data).map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THINGS: Listing = Listing {
        headings: &[("ID", "THING ID"), ("Name", "NAME")],
        table: "table {{.ID}}\t{{.Name}}",
        kind: "*formatter.ThingContext",
    };

    fn show(format: &str) -> std::result::Result<String, String> {
        let mut row = Row::new(vec![("Name", "<x>".into()), ("ID", "1".into())]);
        row.labels.push(("com.a-b".into(), "v".into()));
        listing(&THINGS, format, &[row]).map_err(|failure| failure.message())
    }

    #[test]
    fn listings() {
        for (format, expected) in [
            ("", "THING ID   NAME\n1          <x>\n"),
            ("table", "THING ID   NAME\n1          <x>\n"),
            ("table {{.Name}}\\t{{.Label \"com.a-b\"}}", "NAME      a b\n<x>       v\n"),
            ("{{.ID}}:{{.Name}}", "1:<x>\n"),
            ("json", "{\"ID\":\"1\",\"Name\":\"\\u003cx\\u003e\"}\n"),
            ("{{json .}}", "{\"ID\":\"1\",\"Name\":\"\\u003cx\\u003e\"}\n"),
            ("{{upper .Name}}{{.Label \"nope\"}}", "<X>\n"),
        ] {
            assert_eq!(show(format).as_deref(), Ok(expected), "{format}");
        }
        assert_eq!(
            show("{{.Nope}}").unwrap_err(),
            "template parsing error: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type \
             *formatter.ThingContext"
        );
        assert!(show("{{.ID").is_err());
        assert!(listing(&THINGS, "{{.ID", &[]).is_err());
    }
}
