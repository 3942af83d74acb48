//! Changes: what differs from the image.

use boxship_api as api;
use boxship_api::container::{ChangeKind, FilesystemChange};

use crate::{Engine, Result, error::blocking};

impl Engine {
    /// `GET /containers/{id}/changes`; `None` is JSON's null, as Docker tells no changes.
    pub async fn container_changes(
        &self,
        reference: &str,
    ) -> Result<Option<Vec<api::container::FilesystemChange>>> {
        let container = self.inner.registry.find(reference)?;
        let (store, id) = (self.store().clone(), container.id.clone());
        let changes = blocking(move || Ok(store.snapshots().changes(&id)?)).await?;
        let changes: Vec<_> = changes.into_iter().map(to_api).collect();
        Ok((!changes.is_empty()).then_some(changes))
    }
}

fn to_api(change: boxship_layer::Change) -> FilesystemChange {
    let kind = match change.kind {
        boxship_layer::ChangeKind::Modified => ChangeKind::Modified,
        boxship_layer::ChangeKind::Added => ChangeKind::Added,
        boxship_layer::ChangeKind::Deleted => ChangeKind::Deleted,
    };
    FilesystemChange { kind, path: change.path.to_string_lossy().into_owned() }
}
