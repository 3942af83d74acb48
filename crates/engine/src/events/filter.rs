//! Which events a filter lets through: Docker's rules, pure.

use boxship_api::Filters;
use boxship_api::event::Message;

/// The keys that mean something.
pub(super) const KEYS: &[&str] = &[
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Whether all filters are met.
pub(super) fn includes(filters: &Filters, message: &Message) -> bool {
    matches_action(filters, message)
        && filters.exact_match("type", &message.kind)
        && filters.exact_match("scope", &message.scope)
        && matches_object(filters, message)
        && matches_image(filters, message)
        && filters.match_labels("label", &message.actor.attributes)
}

/// `exec_create: sh` is found by `exec_create` too, `health_status: healthy` by `health_status`.
fn matches_action(filters: &Filters, message: &Message) -> bool {
    if filters.exact_match("event", &message.action) {
        return true;
    }
    match message.action.split_once(": ") {
        Some((name, _)) => filters.get("event").any(|wanted| wanted == name),
        None => false,
    }
}

/// `container=x` and its like: only events of that kind, whose id or name begins so.
fn matches_object(filters: &Filters, message: &Message) -> bool {
    const KINDS: [&str; 9] =
        ["config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume"];
    let name = message.actor.attributes.get("name").map_or("", String::as_str);
    KINDS.iter().filter(|kind| filters.get(kind).next().is_some()).all(|kind| {
        message.kind == *kind
            && filters.get(kind).any(|wanted| {
                let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
                message.actor.id.starts_with(wanted) || name.starts_with(wanted)
            })
    })
}

/// `image=x` meets images by id or name and containers by their image, with or without tag.
fn matches_image(filters: &Filters, message: &Message) -> bool {
    if filters.get("image").next().is_none() {
        return true;
    }
    let attribute = if message.kind == "image" { "name" } else { "image" };
    let name = message.actor.attributes.get(attribute).map_or("", String::as_str);
    [message.actor.id.as_str(), name, without_tag(name)]
        .iter()
        .any(|have| !have.is_empty() && filters.exact_match("image", have))
}

fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_api::event::Actor;

    #[test]
    fn filters_let_through_what_docker_does() {
        let exec = Message {
            kind: "container".into(),
            action: "exec_create: sh -c true".into(),
            scope: "local".into(),
            actor: Actor {
                id: "abc123".into(),
                attributes: [
                    ("name".to_owned(), "web".to_owned()),
                    ("image".to_owned(), "host:5000/a/b:1".to_owned()),
                    ("tier".to_owned(), "front".to_owned()),
                ]
                .into(),
            },
            ..Message::default()
        };
        for (filter, expect) in [
            (r#"{}"#, true),
            (r#"{"event":["exec_create"]}"#, true),
            (r#"{"event":["exec_create: sh -c true"]}"#, true),
            (r#"{"event":["exec_start"]}"#, false),
            (r#"{"type":["container","image"]}"#, true),
            (r#"{"type":["image"]}"#, false),
            (r#"{"container":["abc"]}"#, true),
            (r#"{"container":["web"]}"#, true),
            (r#"{"container":["db"]}"#, false),
            (r#"{"network":["web"]}"#, false),
            (r#"{"image":["host:5000/a/b"]}"#, true),
            (r#"{"image":["host:5000/a/b:1"]}"#, true),
            (r#"{"image":["busybox"]}"#, false),
            (r#"{"label":["tier=front"]}"#, true),
            (r#"{"label":["tier=back"]}"#, false),
            (r#"{"scope":["swarm"]}"#, false),
        ] {
            assert_eq!(includes(&Filters::parse(filter).unwrap(), &exec), expect, "{filter}");
        }
    }
}
