//! An image from a registry into the store.
//!
//! ```text
//! name ─> server ─> manifest (by tag, once: from here on everything is by digest) ─> platform ─> configuration
//!      ─> layers that aren't here yet: one job each (`layer`), all at a time ─> blobs visible, image recorded
//! ```
//! Until the last step nothing is visible. What fails or is cancelled leaves partial blobs, which the next pull uses.

use std::sync::Arc;
use std::time::Duration;

use boxship_oci::descriptor::Kind as Media;
use boxship_oci::digest::chain_id;
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use boxship_oci::{Descriptor, Digest};
use boxship_store::{ImageLayer, Lease, NewImage, Store};
use futures_util::future::try_join_all;

use crate::auth::Credentials;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::events::{Event, Events};
use crate::fetch::Place;
use crate::layer::{Job, Phase, Trace, Wanted};
use crate::manifest::{self, Found};
use crate::repository::Repository;
use crate::url::Url;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);
/// Addresses of a foreign layer that are tried.
const MOST_URLS: usize = 4;

/// What to pull.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The image; a name without tag and digest means all tags.
    pub reference: Reference,
    /// The platform; `None`: this machine's.
    pub platform: Option<Platform>,
    /// Who asks.
    pub credentials: Credentials,
}

/// An image that was pulled.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The name it has now.
    pub reference: Reference,
    /// The image's id.
    pub id: Digest,
    /// The digest of what the name stood for at the registry.
    pub digest: Digest,
    /// Whether the name is new or pointed at another image before.
    pub changed: bool,
    /// What to say of its platform, when that is not the one asked for.
    pub mismatch: Option<String>,
}

impl Client {
    /// Pulls one image, or all tags of a repository.
    pub async fn pull(&self, pull: &Pull, events: &Events) -> Result<Vec<Pulled>> {
        let can = if pull.reference.digest().is_some() { can_pull } else { can_resolve };
        let pulled = self.pull_from_servers(pull, can, events).await;
        let pulled = pulled.map_err(|error| told(error, &pull.reference))?;
        let newer = pulled.iter().any(|image| image.changed);
        let words = if newer { "Downloaded newer image for" } else { "Image is up to date for" };
        events.tell(Event::status(format!("Status: {words} {}", pull.reference.familiar()))).await;
        for mismatch in pulled.iter().filter_map(|image| image.mismatch.as_deref()) {
            events.tell(Event::status(format!("WARNING: {mismatch}"))).await;
        }
        let budget = self.settings.budget;
        let evicted = self.blocking(move |store| Ok(store.content().evict(budget)?)).await;
        if let Err(error) = evicted {
            tracing::warn!(%error, "the blobs' budget could not be kept");
        }
        Ok(pulled)
    }

    async fn pull_from_servers(
        &self,
        pull: &Pull,
        can: fn(&crate::hosts::Abilities) -> bool,
        events: &Events,
    ) -> Result<Vec<Pulled>> {
        let mut servers = self.servers(&pull.reference, &pull.credentials, can).await?;
        loop {
            let repository = servers.next().await?;
            match self.pull_all(&repository, pull, events).await {
                Ok(pulled) => return Ok(pulled),
                Err(error) => servers.failed(error)?,
            }
        }
    }

    async fn pull_all(&self, repository: &Repository, pull: &Pull, events: &Events) -> Result<Vec<Pulled>> {
        let mut pulled = Vec::new();
        for reference in self.references(repository, &pull.reference).await? {
            pulled.push(self.pull_one(repository, reference, pull, events).await?);
        }
        Ok(pulled)
    }

    /// What a name without tag stands for: all tags.
    async fn references(&self, repository: &Repository, reference: &Reference) -> Result<Vec<Reference>> {
        if !reference.is_name_only() {
            return Ok(vec![reference.clone()]);
        }
        let tags = repository.tags().await?;
        if tags.is_empty() {
            let name = reference.familiar_name();
            return Err(Error::told(Kind::NotFound, format!("no tags found for {name}")));
        }
        tags.iter().map(|tag| reference.with_tag(tag).map_err(|e| Error::invalid(e.to_string()))).collect()
    }

    async fn pull_one(
        &self,
        repository: &Repository,
        reference: Reference,
        pull: &Pull,
        events: &Events,
    ) -> Result<Pulled> {
        let digest = reference.digest().map(Digest::to_string);
        let asked = digest.or(reference.tag().map(str::to_owned)).unwrap_or_default();
        let top = repository.manifest(&asked).await?;
        let shown = match reference.digest() {
            Some(digest) => reference.with_digest(digest.clone()).canonical(),
            None => asked,
        };
        events.tell(Event::of(shown, format!("Pulling from {}", reference.path()))).await;
        let found = manifest::find(repository, top, pull.platform.as_ref(), &reference.familiar()).await?;
        let changed = self.fetch_image(repository, &reference, &found, events).await?;
        events.tell(Event::status(format!("Digest: {}", found.top.digest))).await;
        let (id, mismatch) = (found.id().clone(), found.mismatch);
        Ok(Pulled { reference, id, digest: found.top.digest, changed, mismatch })
    }

    /// Fetches what isn't here and records the image. Whether its name is new or was another's.
    async fn fetch_image(
        &self,
        repository: &Repository,
        reference: &Reference,
        found: &Found,
        events: &Events,
    ) -> Result<bool> {
        let lease = Arc::new(self.store().lease());
        let mut ending = Ending { client: self.clone(), lease: Some(lease.clone()), traces: Vec::new() };
        let outcome = self.fetch_held(repository, reference, found, events, &mut ending).await;
        drop(lease);
        // A full disk wants the space of what failed back now; else the trash is nobody's wait.
        let cleaned = ending.take(outcome.is_err()).await;
        let changed = outcome?;
        cleaned?;
        Ok(changed)
    }

    async fn fetch_held(
        &self,
        repository: &Repository,
        reference: &Reference,
        found: &Found,
        events: &Events,
        ending: &mut Ending,
    ) -> Result<bool> {
        let lease = ending.lease.clone().unwrap_or_else(|| Arc::new(self.store().lease()));
        let layers = layers(repository, found)?;
        let missing = self.missing(found.id().clone(), &layers, &lease).await?;
        let first = missing.unwrap_or(layers.len());
        // Of an image that is here, Docker names no layers.
        let known = missing.is_none() && self.knows(found.id().clone()).await?;
        for layer in layers[..first].iter().filter(|_| !known) {
            events.tell(Event::of(layer.descriptor.digest.short(), "Already exists")).await;
        }
        let mut jobs: Vec<Arc<Job>> = Vec::new();
        for layer in &layers[first..] {
            let id = layer.descriptor.digest.short();
            events.tell(Event::of(id, "Pulling fs layer")).await;
            let job = self.pool.job(layer.clone(), jobs.last().cloned());
            ending.traces.push(job.trace());
            jobs.push(job);
        }
        watch(&jobs, events).await?;
        let (image, config, manifest) =
            (image(reference, found, &layers), found.config.clone(), found.manifest.clone());
        let repository = reference.without_tag();
        let changed = self
            .blocking(move |store| {
                record(store, &lease, &jobs, &image, &config, &manifest.bytes, &repository)
            })
            .await?;
        Ok(changed)
    }

    async fn knows(&self, id: Digest) -> Result<bool> {
        self.blocking(move |store| Ok(store.images().get(&id).is_ok())).await
    }

    /// The lowest layer that isn't here; `None` when all are.
    async fn missing(&self, id: Digest, layers: &[Wanted], lease: &Arc<Lease>) -> Result<Option<usize>> {
        let chains: Vec<Digest> = layers.iter().map(|layer| layer.chain_id.clone()).collect();
        let lease = lease.clone();
        self.blocking(move |store| {
            lease.hold_blob(&id);
            for (at, chain) in chains.iter().enumerate() {
                if store.layers().get(chain, &lease)?.is_none() {
                    return Ok(Some(at));
                }
            }
            Ok(None)
        })
        .await
    }
}

/// What has to be cleared up after a fetch, also when nobody waits for it any more: what no image owns goes, partial
/// blobs stay.
struct Ending {
    client: Client,
    lease: Option<Arc<Lease>>,
    traces: Vec<Trace>,
}

impl Ending {
    fn take(&mut self, sweep: bool) -> impl Future<Output = Result<()>> + Send + use<> {
        clear_up(self.client.clone(), self.lease.take(), std::mem::take(&mut self.traces), sweep)
    }
}

async fn clear_up(client: Client, lease: Option<Arc<Lease>>, traces: Vec<Trace>, sweep: bool) -> Result<()> {
    for trace in &traces {
        trace.gone().await;
    }
    let cleared = client.blocking(move |store| {
        if let Some(lease) = lease.and_then(|lease| Arc::try_unwrap(lease).ok()) {
            store.images().abandon(lease)?;
        }
        store.collect_layers()?;
        if sweep {
            store.sweep()?;
        }
        Ok(())
    });
    cleared.await
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.lease.is_none() {
            return;
        }
        let left = self.take(true);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = left.await {
                    tracing::warn!(%error, "a cancelled pull has left things over");
                }
            });
        }
    }
}

fn can_pull(abilities: &crate::hosts::Abilities) -> bool {
    abilities.pull
}

fn can_resolve(abilities: &crate::hosts::Abilities) -> bool {
    abilities.pull && abilities.resolve
}

/// The layers with their chains and the places where they are.
fn layers(repository: &Repository, found: &Found) -> Result<Vec<Wanted>> {
    let mut layers = Vec::new();
    let mut below: Option<Digest> = None;
    for (descriptor, diff_id) in found.layers() {
        let parent = below.take();
        let both = parent.clone().map(|parent| [parent, diff_id.clone()]);
        let chain = both.and_then(|both| chain_id(&both)).unwrap_or_else(|| diff_id.clone());
        layers.push(Wanted {
            descriptor: descriptor.clone(),
            diff_id: diff_id.clone(),
            chain_id: chain.clone(),
            parent,
            places: places(repository, descriptor),
        });
        below = Some(chain);
    }
    Ok(layers)
}

/// The registry, and where a foreign layer says that it is.
pub(crate) fn places(repository: &Repository, descriptor: &Descriptor) -> Vec<Place> {
    let url = repository.url(&format!("blobs/{}", descriptor.digest));
    let mut places = vec![Place { repository: repository.clone(), url }];
    if matches!(descriptor.kind(), Media::Layer(_)) {
        let urls = descriptor.urls.iter().take(MOST_URLS).filter_map(|url| Url::parse(url));
        places.extend(urls.map(|url| Place { repository: repository.clone(), url }));
    }
    places
}

/// Tells how the jobs go until all are done, or one has failed.
async fn watch(jobs: &[Arc<Job>], events: &Events) -> Result<()> {
    let mut shown: Vec<Shown> = jobs.iter().map(|_| Shown::default()).collect();
    let mut tick = tokio::time::interval(TICK);
    let all = try_join_all(jobs.iter().map(|job| job.done()));
    tokio::pin!(all);
    loop {
        let done = tokio::select! {
            done = &mut all => Some(done),
            _ = tick.tick() => None,
        };
        for (job, shown) in jobs.iter().zip(&mut shown) {
            shown.tell(job, events).await;
        }
        if let Some(done) = done {
            return done.map(drop);
        }
    }
}

/// What was told of a job.
#[derive(Default)]
struct Shown {
    phase: Option<Phase>,
    at: u64,
}

impl Shown {
    /// Tells what is new, leaving out no step in between.
    async fn tell(&mut self, job: &Job, events: &Events) {
        let phase = job.phase();
        let id = job.wanted.descriptor.digest.short();
        let total = job.wanted.descriptor.size;
        for (step, words) in [
            (Phase::Waiting, "Waiting"),
            (Phase::Downloading, ""),
            (Phase::Verifying, "Verifying Checksum"),
            (Phase::Downloaded, "Download complete"),
            (Phase::Extracting, ""),
            (Phase::Complete, "Pull complete"),
        ] {
            let skipped = step == Phase::Waiting && phase > step;
            if step > phase || self.phase.is_some_and(|told| told >= step) || skipped {
                continue;
            }
            match step {
                Phase::Extracting if phase > step => {
                    self.progress(events, id, "Extracting", total, total).await
                }
                _ if words.is_empty() => {}
                _ => events.tell(Event::of(id, words)).await,
            }
            self.phase = Some(step);
            self.at = 0;
        }
        let seconds = job.waiting();
        match phase {
            Phase::Downloading if seconds > 0 => {
                let plural = if seconds == 1 { "" } else { "s" };
                events.tell(Event::of(id, format!("Retrying in {seconds} second{plural}"))).await;
            }
            Phase::Downloading => self.progress(events, id, "Downloading", job.fetched(), total).await,
            Phase::Extracting => self.progress(events, id, "Extracting", job.extracted(), total).await,
            _ => {}
        }
    }

    async fn progress(&mut self, events: &Events, id: &str, words: &str, at: u64, total: u64) {
        if at > 0 && at != self.at {
            self.at = at;
            events.tell(Event { progress: Some((at.min(total), total)), ..Event::of(id, words) }).await;
        }
    }
}

fn image(reference: &Reference, found: &Found, layers: &[Wanted]) -> NewImage {
    let layer = |wanted: &Wanted| ImageLayer {
        diff_id: wanted.diff_id.clone(),
        chain_id: wanted.chain_id.clone(),
        blob: wanted.descriptor.digest.clone(),
        blob_size: wanted.descriptor.size,
        media_type: wanted.descriptor.media_type.clone(),
    };
    // By digest no name is given.
    let named = reference.digest().is_none() && reference.tag().is_some();
    NewImage {
        id: found.id().clone(),
        manifest: found.manifest.digest.clone(),
        layers: layers.iter().map(layer).collect(),
        parent: None,
        names: if named { vec![reference.clone()] } else { Vec::new() },
        repo_digests: vec![reference.with_digest(found.top.digest.clone())],
    }
}

/// Makes everything visible. Whether the name is new or was another's.
fn record(
    store: &Store,
    lease: &Lease,
    jobs: &[Arc<Job>],
    image: &NewImage,
    config: &[u8],
    manifest: &[u8],
    repository: &Reference,
) -> Result<bool> {
    let key = image.names.first().or(image.repo_digests.first());
    let before = key.map(|name| store.images().by_name(name)).transpose()?.flatten();
    jobs.iter().try_for_each(|job| job.promote(store, lease))?;
    store.content().put(config, lease)?;
    store.content().put(manifest, lease)?;
    store.images().create(std::slice::from_ref(image), Vec::new())?;
    let blobs: Vec<Digest> = image.layers.iter().map(|layer| layer.blob.clone()).collect();
    store.content().add_sources(repository, &blobs)?;
    Ok(before.as_ref() != Some(&image.id))
}

/// Docker's sentences for what registries answer.
pub(crate) fn told(error: Error, reference: &Reference) -> Error {
    let name = reference.familiar_name();
    let whole = reference.familiar();
    let Error::Answer(answer) = &error else { return error };
    let text = answer.to_string();
    // Docker goes by the first; wrong credentials ("unauthorized") it tells as the registry does.
    let first = answer.errors.first().map(|(code, _)| code.as_str());
    if answer.has("MANIFEST_UNKNOWN") {
        return Error::told(Kind::NotFound, format!("manifest for {whole} not found: {text}"));
    }
    match answer.status {
        404 if answer.has("NAME_UNKNOWN") => {
            Error::told(Kind::NotFound, format!("repository {name} not found: {text}"))
        }
        404 if answer.errors.is_empty() => Error::told(
            Kind::NotFound,
            format!("manifest for {whole} not found: manifest unknown: manifest unknown"),
        ),
        401 | 403 if matches!(first, None | Some("DENIED" | "NAME_UNKNOWN")) => Error::told(
            Kind::NotFound,
            format!(
                "pull access denied for {name}, repository does not exist or may require 'docker login': {}",
                if answer.errors.is_empty() {
                    "denied: requested access to the resource is denied"
                } else {
                    &text
                }
            ),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Answer;

    #[test]
    fn refusals_are_told_in_dockers_words() {
        let reference = Reference::parse("r.example/a:1").unwrap();
        let denied =
            "pull access denied for r.example/a, repository does not exist or may require 'docker login': ";
        for (status, code, message, kind, expect) in [
            (401, "UNAUTHORIZED", "not for you", Kind::Unauthorized, "unauthorized: not for you".to_owned()),
            (401, "DENIED", "no", Kind::NotFound, format!("{denied}denied: no")),
            (403, "DENIED", "no", Kind::NotFound, format!("{denied}denied: no")),
            (403, "NAME_UNKNOWN", "no", Kind::NotFound, format!("{denied}name unknown: no")),
            (
                404,
                "NAME_UNKNOWN",
                "no",
                Kind::NotFound,
                "repository r.example/a not found: name unknown: no".into(),
            ),
            (
                404,
                "MANIFEST_UNKNOWN",
                "no",
                Kind::NotFound,
                "manifest for r.example/a:1 not found: manifest unknown: no".into(),
            ),
            (
                403,
                "",
                "",
                Kind::NotFound,
                format!("{denied}denied: requested access to the resource is denied"),
            ),
        ] {
            let named = (!code.is_empty()).then(|| (code.to_owned(), message.to_owned()));
            let answer = Answer { status, errors: named.into_iter().collect(), ..Answer::default() };
            let error = told(Error::Answer(answer), &reference);
            assert_eq!((error.kind(), error.to_string()), (kind, expect), "{status} {code}");
        }
    }
}
