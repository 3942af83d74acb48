//! An image from the store to a registry.
//!
//! The manifest goes as it came, so that digests survive; only layers made here are plain archives, which are sent
//! compressed: then the manifest is made anew. Layers first, several at a time, then the configuration, the manifest
//! last: nobody sees an image there before it is whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use boxship_oci::descriptor::{
    Compression, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, Kind as Media, OCI_LAYER_GZIP, OCI_MANIFEST,
};
use boxship_oci::manifest::Manifest;
use boxship_oci::reference::Reference;
use boxship_oci::{Descriptor, Digest};
use boxship_store::{Image, Lease, Store};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::auth::Credentials;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::events::{Event, Events};
use crate::manifest::{MAX_CONFIG, json as parse};
use crate::pack::{Growth, known, pack, packed};
use crate::repository::{MAX_MANIFEST, Repository};
use crate::upload::{Arrived, Offer, SMALL};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// What to push.
#[derive(Debug, Clone)]
pub struct Push {
    /// The name; without tag: all tags.
    pub reference: Reference,
    /// Who asks.
    pub credentials: Credentials,
}

/// An image that was pushed.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The name.
    pub reference: Reference,
    /// The image.
    pub id: Digest,
    /// The manifest's digest.
    pub digest: Digest,
}

/// A layer to be sent.
struct Layer {
    /// As it is shown: the beginning of its diff id.
    id: String,
    /// What is kept here.
    blob: Descriptor,
    /// Whether it is sent compressed, unlike it is kept.
    pack: bool,
}

impl Client {
    /// Pushes one tag, or all tags of a repository.
    pub async fn push(&self, push: &Push, events: &Events) -> Result<Vec<Pushed>> {
        if push.reference.digest().is_some() {
            return Err(Error::told(Kind::Invalid, "cannot push a digest reference"));
        }
        let repository = push.reference.name();
        events.tell(Event::status(format!("The push refers to repository [{repository}]"))).await;
        let images = self.images(push.reference.clone()).await?;
        let mut servers = self.servers(&push.reference, &push.credentials, |can| can.push).await?;
        let target = servers.next().await?;
        let mut pushed = Vec::new();
        for (reference, image) in images {
            pushed.push(self.push_one(&target, reference, image, push, events).await?);
        }
        Ok(pushed)
    }

    /// The tags meant, with their images.
    async fn images(&self, reference: Reference) -> Result<Vec<(Reference, Image)>> {
        self.blocking(move |store| {
            let images = store.images().list()?;
            let mut found = Vec::new();
            for image in &images {
                for name in image.names.iter().filter(|name| name.without_tag() == reference.without_tag()) {
                    found.push((name.clone(), image.clone()));
                }
            }
            if found.is_empty() {
                let name = reference.familiar_name();
                let message = format!("An image does not exist locally with the tag: {name}");
                return Err(Error::told(Kind::NotFound, message));
            }
            if reference.tag().is_some() {
                found.retain(|(name, _)| *name == reference);
            }
            if found.is_empty() {
                let message = format!("tag does not exist: {}", reference.familiar());
                return Err(Error::told(Kind::NotFound, message));
            }
            found.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(found)
        })
        .await
    }

    async fn push_one(
        &self,
        target: &Repository,
        reference: Reference,
        image: Image,
        push: &Push,
        events: &Events,
    ) -> Result<Pushed> {
        let lease = Arc::new(self.store().lease());
        let layers = {
            let (image, lease) = (image.clone(), lease.clone());
            self.blocking(move |store| layers(store, &image, &lease)).await?
        };
        for layer in layers.iter().rev() {
            events.tell(Event::of(&layer.id, "Preparing")).await;
        }
        if layers.len() > self.settings.uploads {
            for layer in layers.iter().rev().skip(self.settings.uploads) {
                events.tell(Event::of(&layer.id, "Waiting")).await;
            }
        }
        let job = Job { client: self, target, push, image: &image, lease: &lease, events };
        let sent = try_join_all(layers.iter().rev().map(|layer| job.layer(layer))).await;
        let mut sent = sent.map_err(denied)?;
        sent.reverse();
        job.config().await.map_err(denied)?;
        let (media_type, bytes) = job.manifest(&layers, &sent).await?;
        let tag = reference.tag().unwrap_or_default().to_owned();
        let digest = target.put_manifest(&tag, &media_type, &bytes).await.map_err(denied)?;
        job.remember(&reference, &digest, &sent).await?;
        let size = bytes.len();
        events.tell(Event::status(format!("{tag}: digest: {digest} size: {size}"))).await;
        let aux = json!({ "Tag": tag, "Digest": digest.to_string(), "Size": size });
        events.tell(Event { aux: Some(aux), ..Event::status("") }).await;
        Ok(Pushed { reference, id: image.id, digest })
    }
}

/// What all layers of one push need.
struct Job<'a> {
    client: &'a Client,
    target: &'a Repository,
    push: &'a Push,
    image: &'a Image,
    lease: &'a Arc<Lease>,
    events: &'a Events,
}

impl Job<'_> {
    /// Brings one layer to the registry; its descriptor there.
    async fn layer(&self, layer: &Layer) -> Result<Descriptor> {
        // Nobody closes the semaphore.
        let _turn = self.client.uploads.acquire().await;
        let (arrived, descriptor) = match self.form(layer).await? {
            Some(form) => (self.bring(layer, &form).await?, form),
            None => (Arrived::Sent, self.pack_and_send(layer).await?),
        };
        let words = match &arrived {
            Arrived::Exists => "Layer already exists".to_owned(),
            Arrived::Mounted(from) => format!("Mounted from {from}"),
            Arrived::Sent => "Pushed".to_owned(),
        };
        self.events.tell(Event::of(&layer.id, words)).await;
        Ok(descriptor)
    }

    /// The form in which a layer is sent. `None`: that is known only when it has been compressed, which takes time.
    async fn form(&self, layer: &Layer) -> Result<Option<Descriptor>> {
        if !layer.pack {
            return Ok(Some(layer.blob.clone()));
        }
        let (plain, lease) = (layer.blob.clone(), self.lease.clone());
        let blob = self.client.blocking(move |store| match plain.size <= SMALL {
            true => packed(store, &plain.digest, &lease).map(Some),
            false => known(store, &plain.digest, &lease),
        });
        Ok(blob.await?.map(|blob| Descriptor::new(OCI_LAYER_GZIP, blob.digest, blob.size)))
    }

    /// Has the registry take a layer in a form that is known: perhaps it needs not be sent.
    async fn bring(&self, layer: &Layer, form: &Descriptor) -> Result<Arrived> {
        let digest = form.digest.clone();
        let domain = self.push.reference.domain().to_owned();
        let own = self.target.path.clone();
        let neighbours = self.client.blocking(move |store| {
            let sources = store.content().sources(&digest)?;
            let near = sources.iter().filter(|source| source.domain() == domain);
            Ok(near.map(|source| source.path().to_owned()).filter(|path| *path != own).collect::<Vec<_>>())
        });
        let url = match self.target.offer(&form.digest, &neighbours.await?).await? {
            Offer::Done(arrived) => return Ok(arrived),
            Offer::Open(url) => url,
        };
        self.fetch_missing(layer).await?;
        let sent = Arc::new(AtomicU64::new(0));
        let digest = form.digest.clone();
        let file = self.client.blocking(move |store| Ok(store.content().open(&digest)?)).await?;
        let size = form.size;
        let sending = self.target.send(url, &form.digest, Arc::new(file), size, sent.clone());
        self.watch(&layer.id, size, || sent.load(Ordering::Relaxed), sending).await?;
        Ok(Arrived::Sent)
    }

    /// The archive may not be here: it is fetched from where it is known to be.
    async fn fetch_missing(&self, layer: &Layer) -> Result<()> {
        let mut only = self.image.clone();
        only.layers.retain(|kept| kept.blob == layer.blob.digest);
        let credentials = Some((self.push.reference.domain(), &self.push.credentials));
        self.client.complete(&only, credentials, self.lease).await
    }

    /// Compresses a layer and sends it meanwhile.
    async fn pack_and_send(&self, layer: &Layer) -> Result<Descriptor> {
        let url = self.target.open_upload().await?;
        let (plain, lease) = (layer.blob.digest.clone(), self.lease.clone());
        let (grow, growth) = tokio::sync::watch::channel(Growth::default());
        let packing = self.client.blocking(move |store| pack(store, &plain, &lease, &grow));
        let sent = Arc::new(AtomicU64::new(0));
        let sending = self.target.send_growing(url, growth.clone(), sent.clone(), packing);
        let size = layer.blob.size;
        // In the archive's bytes: how many there will be of the other kind is not known yet.
        let at = || growth.borrow().source(sent.load(Ordering::Relaxed));
        let blob = self.watch(&layer.id, size, at, sending).await?;
        Ok(Descriptor::new(OCI_LAYER_GZIP, blob.digest, blob.size))
    }

    /// Tells how the sending goes: `at` of `size` bytes. It never goes back, though `at` may: it is estimated while a
    /// layer is compressed, and what a broken connection lost is sent again.
    async fn watch<T>(
        &self,
        id: &str,
        size: u64,
        at: impl Fn() -> u64,
        sending: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut tick = tokio::time::interval(TICK);
        let mut told = 0;
        tokio::pin!(sending);
        loop {
            let done = tokio::select! {
                done = &mut sending => Some(done),
                _ = tick.tick() => None,
            };
            let at = at().clamp(told, size);
            if at != told {
                told = at;
                let progress = Some((at, size));
                self.events.tell(Event { progress, ..Event::of(id, "Pushing") }).await;
            }
            if let Some(done) = done {
                return done;
            }
        }
    }

    async fn config(&self) -> Result<()> {
        let digest = self.image.id.clone();
        match self.target.offer(&digest, &[]).await? {
            Offer::Done(_) => Ok(()),
            Offer::Open(url) => {
                let wanted = digest.clone();
                let (file, size) = self
                    .client
                    .blocking(move |store| {
                        let size = store.content().read(&wanted, MAX_CONFIG as u64)?.len() as u64;
                        Ok((store.content().open(&wanted)?, size))
                    })
                    .await?;
                self.target.send(url, &digest, Arc::new(file), size, Arc::default()).await
            }
        }
    }

    /// The manifest as it came, or with the layers as they were sent.
    async fn manifest(&self, layers: &[Layer], sent: &[Descriptor]) -> Result<(String, Vec<u8>)> {
        let digest = self.image.manifest.clone();
        let read = move |store: &Store| Ok(store.content().read(&digest, MAX_MANIFEST as u64)?);
        let bytes = self.client.blocking(read).await?;
        let mut manifest: Manifest = parse(&bytes, "manifest")?;
        let fallback =
            if manifest.config.media_type.contains("docker") { DOCKER_MANIFEST } else { OCI_MANIFEST };
        let media_type = manifest.media_type.clone().unwrap_or_else(|| fallback.to_owned());
        if layers.iter().all(|layer| !layer.pack) {
            return Ok((media_type, bytes));
        }
        let gzip = if media_type == DOCKER_MANIFEST { DOCKER_LAYER_GZIP } else { OCI_LAYER_GZIP };
        for (at, (layer, sent)) in layers.iter().zip(sent).enumerate() {
            if let Some(descriptor) = manifest.layers.get_mut(at).filter(|_| layer.pack) {
                descriptor.media_type = gzip.to_owned();
                descriptor.digest = sent.digest.clone();
                descriptor.size = sent.size;
            }
        }
        let bytes =
            serde_json::to_vec(&manifest).map_err(|e| Error::invalid(format!("encode manifest: {e}")))?;
        Ok((media_type, bytes))
    }

    /// Where the image and its layers are now, too.
    async fn remember(&self, reference: &Reference, digest: &Digest, sent: &[Descriptor]) -> Result<()> {
        let (id, name) = (self.image.id.clone(), reference.with_digest(digest.clone()));
        let blobs: Vec<Digest> = sent.iter().map(|descriptor| descriptor.digest.clone()).collect();
        let repository = reference.without_tag();
        self.client
            .blocking(move |store| {
                store.images().tag(&id, &name)?;
                store.content().add_sources(&repository, &blobs)?;
                Ok(())
            })
            .await
    }
}

/// The image's layers; those made here are plain archives, which are sent compressed.
fn layers(store: &Store, image: &Image, lease: &Lease) -> Result<Vec<Layer>> {
    [&image.id, &image.manifest].into_iter().for_each(|blob| lease.hold_blob(blob));
    image
        .layers
        .iter()
        .map(|layer| {
            lease.hold_blob(&layer.blob);
            let blob = Descriptor::new(layer.media_type.clone(), layer.blob.clone(), layer.blob_size);
            let plain = blob.kind() == Media::Layer(Compression::None);
            // As a registry has it, it stays as it is.
            let pack = plain && store.content().sources(&layer.blob)?.is_empty();
            Ok(Layer { id: layer.diff_id.short().to_owned(), blob, pack })
        })
        .collect()
}

/// Docker's words for pushes that are not allowed.
fn denied(error: Error) -> Error {
    match &error {
        Error::Answer(answer) if answer.errors.is_empty() && answer.status == 401 => {
            Error::told(Kind::Unauthorized, "unauthorized: authentication required")
        }
        Error::Answer(answer) if answer.errors.is_empty() && answer.status == 403 => {
            Error::told(Kind::Denied, "denied: requested access to the resource is denied")
        }
        _ => error,
    }
}
