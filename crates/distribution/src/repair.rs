//! Layers' archives that were removed to save space (or never fetched, because the layer was here already) come back
//! when an image is saved or pushed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use boxship_layer::HashReader;
use boxship_oci::Descriptor;
use boxship_oci::reference::Reference;
use boxship_store::{Image, Lease};

use crate::auth::Credentials;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::fetch::Reader;
use crate::pull::places;

impl Client {
    /// Fetches those of an image's archives that aren't here, from where they are known to be. Credentials are used for
    /// their own registry (`domain`) only.
    pub async fn complete(
        &self,
        image: &Image,
        credentials: Option<(&str, &Credentials)>,
        lease: &Arc<Lease>,
    ) -> Result<()> {
        for layer in &image.layers {
            lease.hold_blob(&layer.blob);
            let wanted = Descriptor::new(layer.media_type.clone(), layer.blob.clone(), layer.blob_size);
            let digest = wanted.digest.clone();
            let known = self.blocking(move |store| {
                let missing = store.content().size(&digest)?.is_none();
                Ok(if missing { Some(store.content().sources(&digest)?) } else { None })
            });
            if let Some(sources) = known.await? {
                self.bring_back(&wanted, &sources, credentials, lease).await?;
            }
        }
        Ok(())
    }

    async fn bring_back(
        &self,
        wanted: &Descriptor,
        sources: &[Reference],
        credentials: Option<(&str, &Credentials)>,
        lease: &Arc<Lease>,
    ) -> Result<()> {
        let mut last = None;
        for source in sources {
            let mine = credentials.filter(|(domain, _)| *domain == source.domain());
            let credentials = mine.map_or(Credentials::Anonymous, |(_, credentials)| credentials.clone());
            match self.bring_from(wanted, source, &credentials, lease).await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        let reason = last.map_or_else(|| "no registry is known to have it".to_owned(), |e| e.to_string());
        Err(Error::told(
            Kind::NotFound,
            format!("layer {} is not kept here and cannot be fetched again: {reason}", wanted.digest),
        ))
    }

    async fn bring_from(
        &self,
        wanted: &Descriptor,
        source: &Reference,
        credentials: &Credentials,
        lease: &Arc<Lease>,
    ) -> Result<()> {
        let mut servers = self.servers(source, credentials, |abilities| abilities.pull).await?;
        loop {
            let repository = servers.next().await?;
            let fetch = self.pool.fetch(wanted, places(&repository, wanted)).await?;
            match fetch.done().await {
                Ok(()) => {
                    let (flow, lease, wanted) = (fetch.flow.clone(), lease.clone(), wanted.clone());
                    return self
                        .blocking(move |_| {
                            let reader = Reader::new(flow.clone(), Arc::new(AtomicBool::new(false)));
                            let mut hash = HashReader::new(reader);
                            hash.drain().map_err(|e| Error::Layer(e.to_string()))?;
                            if hash.finish().0 != wanted.digest {
                                flow.partial.reset()?;
                                return Err(Error::Verification(wanted.digest));
                            }
                            flow.partial.promote(&lease)?;
                            Ok(())
                        })
                        .await;
                }
                Err(error) => servers.failed(Error::Shared(error))?,
            }
        }
    }
}
