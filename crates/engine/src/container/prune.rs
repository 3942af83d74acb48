//! Prune: remove all that do not run.

use boxship_api as api;
use boxship_api::Filters;

use super::configuration::Configuration;
use super::request::Request;
use crate::until::until;
use crate::{Engine, Result, error::blocking};

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
