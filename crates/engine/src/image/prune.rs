//! `POST /images/prune`: removes images that nobody uses, the nameless ones or all, and what given up pulls have left.

use boxship_api::Filters;
use boxship_api::image::{DeleteResponseItem, PruneReport};
use boxship_store::Store;

use super::ImageRemoveOptions;
use super::known::Known;
use super::remove::Removal;
use crate::error::blocking;
use crate::prune::{Choice, KEYS};
use crate::{Engine, Kind, Result};

/// Whether images with names stay.
const DANGLING: &str = "dangling";

impl Engine {
    /// `POST /images/prune`.
    pub async fn image_prune(&self, filters: &Filters) -> Result<PruneReport> {
        filters.validate(&[&KEYS[..], &[DANGLING]].concat())?;
        let dangling = filters.bool_or(DANGLING, true)?;
        let (engine, filters) = (self.clone(), filters.clone());
        let report = blocking(move || {
            let before = used(engine.store())?;
            let choice = Choice::new(&filters)?;
            let users = engine.image_users();
            let mut deleted = Vec::new();
            for known in Known::all(engine.store())? {
                let in_use = users.contains_key(&known.image.id.to_string());
                if !in_use && is_wanted(engine.store(), &known, &choice)? {
                    deleted.extend(prune_one(&engine, &known, dangling));
                }
            }
            // Fetches that were given up; those that go on are held. They are of no image that filters could choose.
            if KEYS.iter().all(|key| !filters.contains(key)) {
                engine.store().prune_partials()?;
            }
            let reclaimed = before.saturating_sub(used(engine.store())?);
            Ok(PruneReport {
                images_deleted: Some(deleted).filter(|deleted| !deleted.is_empty()),
                space_reclaimed: reclaimed,
            })
        })
        .await?;
        let attributes = [("reclaimed".to_owned(), report.space_reclaimed.to_string())].into();
        self.inner.events.tell("image", "prune", "", attributes);
        self.sweep();
        Ok(report)
    }
}

fn used(store: &Store) -> Result<u64> {
    let usage = store.usage()?;
    Ok(usage.layers + usage.blobs + usage.partial)
}

/// Whether the filters admit it and nothing was made from it here.
fn is_wanted(store: &Store, known: &Known, choice: &Choice<'_>) -> Result<bool> {
    let nameless = known.image.names.is_empty() && known.image.repo_digests.is_empty();
    if nameless && !store.images().children(&known.image.id)?.is_empty() {
        return Ok(false);
    }
    let created = known.created().map(|created| created.to_nanos() as i64);
    Ok(choice.admits(created, &known.labels()))
}

/// Removes an image by its names, or by its identifier when it has none. What is in use stays.
fn prune_one(engine: &Engine, known: &Known, dangling: bool) -> Vec<DeleteResponseItem> {
    if dangling && !known.image.names.is_empty() {
        return Vec::new();
    }
    let names = known.image.names.iter().chain(&known.image.repo_digests).map(|name| name.canonical());
    let mut names: Vec<String> = names.collect();
    if names.is_empty() {
        names.push(known.image.id.hex().to_owned());
    }
    let mut deleted = Vec::new();
    for name in names {
        match Removal::new(engine).remove(&name, ImageRemoveOptions::default()) {
            Ok(done) => deleted.extend(done),
            // In use, or gone with one of its other names.
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => {}
            Err(error) => tracing::warn!(image = name, %error, "not pruned"),
        }
    }
    deleted
}
