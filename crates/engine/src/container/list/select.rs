//! Which containers a list shows: Docker's filters, over snapshots sorted newest first. Pure but for looking up the
//! containers that `before`, `since` and `id` name.

use std::collections::HashSet;

use boxship_api::Filters;

use super::ListOptions;
use crate::container::handle::Snapshot;
use crate::container::network_settings::{Identify, endpoints, summaries};
use crate::container::registry::Registry;
use crate::container::state::Status;
use crate::network::publish::parse_port;
use crate::{Error, Result};

const KEYS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// A judged selection.
pub(super) struct Selection<'a> {
    filters: &'a Filters,
    all: bool,
    limit: Option<usize>,
    exited: Vec<i32>,
    before: Option<i64>,
    since: Option<i64>,
    ancestors: Option<Vec<String>>,
    identify: Identify<'a>,
    /// Published and offered ports to look for, as `80/tcp`; any of either.
    publish: HashSet<String>,
    expose: HashSet<String>,
    /// `is-task=true`: nothing here is one.
    none: bool,
}

impl<'a> Selection<'a> {
    pub(super) fn new(
        registry: &Registry,
        identify: Identify<'a>,
        options: &'a ListOptions,
        ancestors: Option<Vec<String>>,
    ) -> Result<Self> {
        let filters = &options.filters;
        filters.validate(KEYS)?;
        if let Some(value) = filters.get("status").find(|value| !Status::is_word(value)) {
            return Err(Error::invalid(format!(
                "invalid filter 'status={value}': invalid value for state ({value}): must be one of created, \
                 running, paused, restarting, removing, exited, dead"
            )));
        }
        if let Some(value) = filters.get("health").find(|value| !HEALTH.contains(value)) {
            return Err(Error::invalid(format!(
                "invalid filter 'health={value}': invalid value for health ({value}): must be one of none, starting, \
                 healthy, unhealthy"
            )));
        }
        let made = |key: &str| -> Result<Option<i64>> {
            let named = filters.get(key).map(|name| registry.find(name));
            named.last().transpose().map(|found| found.map(|c| c.configuration().created))
        };
        let (publish, expose) = (ports(filters, "publish")?, ports(filters, "expose")?);
        let limit = options.limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        Ok(Self {
            filters,
            all: options.all || limit.is_some() || filters.get("status").next().is_some(),
            limit,
            exited: exit_codes(filters)?,
            before: made("before")?,
            since: made("since")?,
            ancestors,
            identify,
            publish,
            expose,
            none: filters.bool_or("is-task", false)?,
        })
    }

    /// Those to be shown, in their order.
    pub(super) fn choose(&self, snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
        let chosen = snapshots.into_iter().filter(|snapshot| self.includes(snapshot));
        chosen.take(self.limit.unwrap_or(usize::MAX)).collect()
    }

    fn includes(&self, snapshot: &Snapshot) -> bool {
        let (configuration, state) = (&snapshot.configuration, &snapshot.state);
        let filters = self.filters;
        let named = matches_text(filters, "name", &configuration.name)
            || matches_text(filters, "name", &format!("/{}", configuration.name));
        !self.none
            && (self.all || state.is_running())
            && self.before.is_none_or(|before| configuration.created < before)
            && self.since.is_none_or(|since| configuration.created > since)
            && named
            && filters.prefix_match("id", &configuration.id)
            && filters.exact_match("status", state.status.word())
            && filters.exact_match("health", state.health_word())
            && filters.exact_match("isolation", configuration.host_config.isolation.as_str())
            && labels_match(filters, snapshot)
            && self.exit_code_matches(snapshot)
            && self.ancestors.as_ref().is_none_or(|ids| ids.contains(&configuration.image))
            && volume_matches(filters, snapshot)
            && self.network_matches(snapshot)
            && self.port_matches(snapshot)
    }

    fn network_matches(&self, snapshot: &Snapshot) -> bool {
        let mut wanted = self.filters.get("network").peekable();
        wanted.peek().is_none() || {
            let endpoints = endpoints(&snapshot.configuration, &snapshot.state, self.identify);
            wanted.any(|value| {
                let mut ids = endpoints.values().map(|endpoint| endpoint.network_id.as_str());
                endpoints.contains_key(value) || ids.any(|id| !id.is_empty() && id.starts_with(value))
            })
        }
    }

    fn port_matches(&self, snapshot: &Snapshot) -> bool {
        if self.publish.is_empty() && self.expose.is_empty() {
            return true;
        }
        summaries(&snapshot.configuration, &snapshot.state.network).iter().any(|port| {
            let of = |number: u16| format!("{number}/{}", port.protocol);
            self.publish.contains(&of(port.public_port)) || self.expose.contains(&of(port.private_port))
        })
    }

    fn exit_code_matches(&self, snapshot: &Snapshot) -> bool {
        let state = &snapshot.state;
        self.exited.is_empty()
            || (!state.is_running() && state.started_at != 0 && self.exited.contains(&state.exit_code))
    }
}

/// Docker matches names by regular expression; what is none is compared as it is.
fn matches_text(filters: &Filters, key: &str, text: &str) -> bool {
    let mut values = filters.get(key).peekable();
    if values.peek().is_none() {
        return true;
    }
    values.any(|value| value == text || regex_lite::Regex::new(value).is_ok_and(|regex| regex.is_match(text)))
}

fn labels_match(filters: &Filters, snapshot: &Snapshot) -> bool {
    match &snapshot.configuration.config.labels {
        Some(labels) => filters.match_labels("label", labels),
        None => filters.get("label").next().is_none(),
    }
}

fn volume_matches(filters: &Filters, snapshot: &Snapshot) -> bool {
    let mut wanted = filters.get("volume").peekable();
    if wanted.peek().is_none() {
        return true;
    }
    let mounts = &snapshot.configuration.mounts;
    wanted.any(|value| {
        mounts.iter().any(|mount| {
            let source = if mount.name.is_empty() { &mount.source } else { &mount.name };
            mount.destination == value || source == value
        })
    })
}

fn exit_codes(filters: &Filters) -> Result<Vec<i32>> {
    let parse = |value: &str| {
        value.parse().map_err(|_| {
            Error::invalid(format!(
                "invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": invalid syntax"
            ))
        })
    };
    filters.get("exited").map(parse).collect()
}

/// The ports asked for, as `80/tcp`; they may be ranges, with or without protocol.
fn ports(filters: &Filters, key: &str) -> Result<HashSet<String>> {
    let mut ports = HashSet::new();
    for value in filters.get(key) {
        if value.contains(':') {
            return Err(Error::invalid(format!("filter for '{key}' should not contain ':': {value}")));
        }
        let (protocol, first, last) = parse_port(value).ok_or_else(|| {
            Error::invalid(format!("error while looking up for {key} {value}: invalid port"))
        })?;
        ports.extend((first..=last).map(|port| format!("{port}/{}", protocol.name())));
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::configuration::Configuration;
    use crate::container::state::State;
    use std::sync::Arc;

    fn snapshots() -> Vec<Snapshot> {
        let one = |id: &str, name: &str, created: i64, state: State| {
            let mut configuration = Configuration {
                id: id.into(),
                name: name.into(),
                created,
                image: format!("sha256:{id}"),
                ..Configuration::default()
            };
            configuration.config.labels = Some([("name".to_owned(), name.to_owned())].into());
            Snapshot { configuration: Arc::new(configuration), state }
        };
        let mut running = State::default();
        running.started(1, 10);
        let mut exited = running.clone();
        exited.ended(3, 20, false);
        vec![
            one("ccc", "web-2", 3, running),
            one("bbb", "web-1", 2, exited),
            one("aaa", "db", 1, State::default()),
        ]
    }

    fn chosen(filter: &str, all: bool, limit: Option<i64>) -> String {
        let registry = Registry::default();
        for snapshot in snapshots() {
            let configuration = (*snapshot.configuration).clone();
            registry.reserve(&configuration.name, &configuration.id).unwrap();
            registry.insert(crate::container::handle::Container::detached(configuration));
        }
        let filters = Filters::parse(filter).unwrap();
        let ancestors = filters.contains("ancestor").then(|| vec!["sha256:bbb".to_owned()]);
        let options = ListOptions { all, limit, filters, ..ListOptions::default() };
        let selection = match Selection::new(&registry, &|_| None, &options, ancestors) {
            Ok(selection) => selection,
            Err(error) => return format!("{:?}", error.kind()),
        };
        let names: Vec<_> =
            selection.choose(snapshots()).iter().map(|s| s.configuration.name.clone()).collect();
        names.join(" ")
    }

    #[test]
    fn filters_choose_as_docker_does() {
        for (filter, all, limit, expect) in [
            ("{}", false, None, "web-2"),
            ("{}", true, None, "web-2 web-1 db"),
            ("{}", false, Some(2), "web-2 web-1"),
            ("{}", true, Some(0), "web-2 web-1 db"),
            (r#"{"status":["exited"]}"#, false, None, "web-1"),
            (r#"{"status":["bogus"]}"#, false, None, "Invalid"),
            (r#"{"name":["web"]}"#, true, None, "web-2 web-1"),
            (r#"{"name":["^/web-1$"]}"#, true, None, "web-1"),
            (r#"{"id":["a"]}"#, true, None, "db"),
            (r#"{"exited":["3"]}"#, true, None, "web-1"),
            (r#"{"exited":["0"]}"#, true, None, ""),
            (r#"{"exited":["x"]}"#, true, None, "Invalid"),
            (r#"{"before":["web-2"]}"#, true, None, "web-1 db"),
            (r#"{"since":["db"]}"#, true, None, "web-2 web-1"),
            (r#"{"since":["nobody"]}"#, true, None, "NotFound"),
            (r#"{"label":["name=db"]}"#, true, None, "db"),
            (r#"{"label":["other"]}"#, true, None, ""),
            (r#"{"ancestor":["img"]}"#, true, None, "web-1"),
            (r#"{"network":["bridge"]}"#, true, None, "web-2 web-1 db"),
            (r#"{"network":["host"]}"#, true, None, ""),
            (r#"{"health":["none"]}"#, true, None, "web-2 web-1 db"),
            (r#"{"health":["bogus"]}"#, true, None, "Invalid"),
            (r#"{"is-task":["true"]}"#, true, None, ""),
            (r#"{"publish":["80"]}"#, true, None, ""),
            (r#"{"publish":["a:80"]}"#, true, None, "Invalid"),
            (r#"{"volume":["/data"]}"#, true, None, ""),
            (r#"{"bogus":["x"]}"#, true, None, "Invalid"),
        ] {
            assert_eq!(chosen(filter, all, limit), expect, "{filter}");
        }
    }
}
