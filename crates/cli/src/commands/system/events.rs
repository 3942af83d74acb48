//! `events`: what happens, as it happens.

use std::time::SystemTime;

use boxship_client::Query;
use http::Method;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::{self, Json, Template};
use crate::invocation::Invocation;
use crate::values::{pairs, time};

/// `events`.
pub const EVENTS: Command = Command {
    name: "events",
    usage: "[OPTIONS]",
    about: "Get real time events from the server",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::value("filter", "filter", "Show what meets a condition")
            .many()
            .short('f')
            .check(pairs::check_filter),
        Flag::value("format", "string", format::HELP_ONE),
        Flag::value("since", "string", "Show all events created since timestamp"),
        Flag::value("until", "string", "Stream events until this timestamp"),
    ],
    shared: &[],
    aliases: &["system events", "events"],
    action: action!(events),
};

async fn events(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let given = parsed.text("format").unwrap_or_default();
    let template = match given {
        "" | "json" | "{{json .}}" => None,
        text => {
            format::check(text).map_err(|failure| Failure::Code(failure.message(), 64))?;
            Some(Template::new(text, Some("*events.Message")))
        }
    };
    let when = |flag| {
        let moment = parsed.filled(flag).map(|text| time::moment(&text, SystemTime::now())).transpose();
        moment.map_err(|why| Failure::new(format!("invalid value for {flag:?}: {why}")))
    };
    let filters = pairs::filters(&parsed.list("filter")).map_err(Failure::new)?;
    let query = Query::new()
        .maybe("since", when("since")?)
        .maybe("until", when("until")?)
        .maybe("filters", (!filters.is_empty()).then(|| filters.to_json()));
    let client = invocation.client().await?;
    let mut stream = client.request(Method::GET, "/events", query, None::<&()>).await?.lines();
    while let Some(event) = stream.next::<Json>().await? {
        let line = match &template {
            Some(template) => template.render(&as_go_names(&event)).map_err(Failure::new)?,
            None if given.is_empty() => plain(&event),
            None => event.compact(false),
        };
        invocation.line(line)?;
    }
    Ok(0)
}

/// `TIME TYPE ACTION ID (key=value, …)`
fn plain(event: &Json) -> String {
    let text = |json: Option<&Json>| match json {
        Some(Json::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let number = |name: &str| match event.get(name) {
        Some(Json::Number(number)) => number.as_i64().unwrap_or(0),
        _ => 0,
    };
    let nanos = match number("timeNano") {
        0 => number("time") * 1_000_000_000,
        nanos => nanos,
    };
    let actor = event.get("Actor");
    let mut attributes: Vec<String> = match actor.and_then(|actor| actor.get("Attributes")) {
        Some(Json::Object(pairs)) => {
            pairs.iter().map(|(key, value)| format!("{key}={}", text(Some(value)))).collect()
        }
        _ => Vec::new(),
    };
    attributes.sort();
    let attributes =
        if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) };
    format!(
        "{} {} {} {}{attributes}",
        time::rfc3339_nanos(nanos),
        text(event.get("Type")),
        text(event.get("Action")),
        text(actor.and_then(|actor| actor.get("ID"))),
    )
}

/// Templates name an event's fields as Go's type does.
fn as_go_names(event: &Json) -> Json {
    let get = |name: &str, none: Json| event.get(name).cloned().unwrap_or(none);
    let zero = || Json::Number(0.into());
    let fields = [
        ("Status", get("status", "".into())),
        ("ID", get("id", "".into())),
        ("From", get("from", "".into())),
        ("Type", get("Type", "".into())),
        ("Action", get("Action", "".into())),
        ("Actor", get("Actor", Json::Null)),
        ("Scope", get("scope", "".into())),
        ("Time", get("time", zero())),
        ("TimeNano", get("timeNano", zero())),
    ];
    Json::Object(fields.map(|(name, value)| (name.to_string(), value)).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines() {
        let text = r#"{"status":"die","id":"abc","from":"busybox","Type":"container","Action":"die",
            "Actor":{"ID":"abc","Attributes":{"name":"x","exitCode":"1"}},"scope":"local","time":1,"timeNano":1000000002}"#;
        let event: Json = serde_json::from_str(text).unwrap();
        let line = plain(&event);
        assert!(line.ends_with(" container die abc (exitCode=1, name=x)"), "{line}");
        assert!(line.contains("01.000000002"), "{line}");
        let template = Template::new("{{.Type}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.Time}}", None);
        assert_eq!(template.render(&as_go_names(&event)).unwrap(), "container abc x 1");
    }
}
