//! Prune: remove all that do not run.

use boxship_api as api;
use boxship_api::Filters;

use super::request::Request;
use crate::prune::{Choice, KEYS};
use crate::{Engine, Result, error::blocking};

impl Engine {
    /// `POST /containers/prune`.
    pub async fn container_prune(&self, filters: &Filters) -> Result<api::container::PruneReport> {
        filters.validate(&KEYS)?;
        let choice = Choice::new(filters)?;
        let mut deleted = Vec::new();
        let mut reclaimed = 0;
        for container in self.inner.registry.all() {
            let configuration = container.configuration();
            let labels = configuration.config.labels.clone().unwrap_or_default();
            if container.state().is_running() || !choice.admits(Some(configuration.created), &labels) {
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
