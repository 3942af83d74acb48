//! Prune: remove all that do not run.

use boxship_api as api;
use boxship_api::Filters;
use boxship_api::timestamp::Timestamp;

use super::configuration::Configuration;
use super::request::Request;
use crate::{Engine, Error, Result, error::blocking};

impl Engine {
    /// `POST /containers/prune`.
    pub async fn container_prune(&self, filters: &Filters) -> Result<api::container::PruneReport> {
        filters.validate(&["until", "label", "label!"])?;
        let until = until(filters)?;
        let mut deleted = Vec::new();
        let mut reclaimed = 0;
        for container in self.inner.registry.all() {
            let configuration = container.configuration();
            if container.state().is_running() || !is_wanted(filters, until, &configuration) {
                continue;
            }
            let (store, id) = (self.store().clone(), container.id.clone());
            let size = blocking(move || Ok(store.snapshots().usage(&id)?)).await.unwrap_or(0);
            // One that was started meanwhile, or cannot be removed, stays; the others are removed.
            match container.ask(Request::Remove).await {
                Ok(()) => {
                    deleted.push(container.id.clone());
                    reclaimed += size;
                }
                Err(error) => tracing::warn!(container = container.id, %error, "not pruned"),
            }
        }
        let attributes = [("reclaimed".to_owned(), reclaimed.to_string())].into();
        self.inner.events.tell("container", "prune", "", attributes);
        let containers_deleted = (!deleted.is_empty()).then_some(deleted);
        Ok(api::container::PruneReport { containers_deleted, space_reclaimed: reclaimed })
    }
}

/// The time before which containers must be made.
fn until(filters: &Filters) -> Result<Option<i64>> {
    let mut values = filters.get("until");
    let Some(text) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid("more than one until filter specified"));
    }
    let now = Timestamp::from_system(std::time::SystemTime::now());
    Timestamp::parse_parameter(text, now, 0)
        .map(|time| Some(time.to_nanos() as i64))
        .ok_or_else(|| Error::invalid(format!("failed to parse value as time or duration: {text:?}")))
}

fn is_wanted(filters: &Filters, until: Option<i64>, configuration: &Configuration) -> bool {
    let labels = configuration.config.labels.clone().unwrap_or_default();
    until.is_none_or(|until| configuration.created < until)
        && filters.match_labels("label", &labels)
        && !(filters.contains("label!") && filters.match_labels("label!", &labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose() {
        let mut configuration = Configuration { created: 5_000_000_000, ..Configuration::default() };
        configuration.config.labels = Some([("a".to_owned(), "b".to_owned())].into());
        for (text, expect) in [
            ("{}", true),
            (r#"{"until":["6"]}"#, true),
            (r#"{"until":["4"]}"#, false),
            (r#"{"label":["a=b"]}"#, true),
            (r#"{"label":["a=c"]}"#, false),
            (r#"{"label!":["a"]}"#, false),
            (r#"{"label!":["z"]}"#, true),
        ] {
            let filters = Filters::parse(text).unwrap();
            let until = until(&filters).unwrap();
            assert_eq!(is_wanted(&filters, until, &configuration), expect, "{text}");
        }
        assert!(until(&Filters::parse(r#"{"until":["x"]}"#).unwrap()).is_err());
    }
}
