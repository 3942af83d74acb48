//! A repository on its registry without a store beside it: single manifests read, written and pointed at. For work that
//! moves no layers, such as putting an index together.

use std::sync::Arc;

use boxship_oci::{Descriptor, Digest, Reference};

use crate::auth::Credentials;
use crate::client::Settings;
use crate::error::{Error, Failure, Result};
use crate::manifest::MAX_CONFIG;
use crate::repository::{Fetched, Repository};
use crate::session::Session;
use crate::transport::Transport;
use crate::upload::Offer;

/// A repository on the registry itself (mirrors have copies, and take nothing).
pub struct Remote {
    repository: Repository,
}

impl Remote {
    /// The repository of a reference, at the first of the registry's addresses that answers. When none does, the
    /// first one's failure is told, as by Docker, unless it was that it speaks no TLS.
    pub async fn open(
        settings: &Settings,
        reference: &Reference,
        credentials: Credentials,
    ) -> Result<Remote> {
        let transport = Transport::new(settings.proxies.clone(), settings.timeouts, &settings.user_agent);
        let transport = Arc::new(transport);
        let mut first: Option<Error> = None;
        for endpoint in settings.hosts.endpoints(reference.domain()).await? {
            if !endpoint.official {
                continue;
            }
            let opened =
                Session::open(transport.clone(), endpoint, credentials.clone(), settings.patience).await;
            match opened {
                Ok(session) => {
                    let path = reference.path().to_owned();
                    return Ok(Remote { repository: Repository { session: Arc::new(session), path } });
                }
                Err(error) if error.is_unreachable() => {
                    let plain =
                        |error: &Error| matches!(error, Error::Request { source: Failure::Plain, .. });
                    first = Some(first.filter(|known| !plain(known)).unwrap_or(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| Error::Configuration("no server to ask".into())))
    }

    /// A manifest or index by tag or digest, verified.
    pub async fn manifest(&self, reference: &str) -> Result<Fetched> {
        self.repository.manifest_by("Get", reference).await
    }

    /// An image's configuration, verified.
    pub async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.repository.small_blob(descriptor, MAX_CONFIG).await
    }

    /// Makes a blob of another repository of this registry one of this; `false` if the registry wants it to be sent.
    pub async fn mount(&self, digest: &Digest, from: &str) -> Result<bool> {
        Ok(matches!(self.repository.offer(digest, &[from.to_owned()]).await?, Offer::Done(_)))
    }

    /// Writes a manifest or index under a tag or its digest.
    pub async fn put_manifest(&self, reference: &str, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        let put = self.repository.put_manifest(reference, media_type, bytes).await;
        put.map_err(|error| error.asked("Put", &self.repository.url(&format!("manifests/{reference}"))))
    }
}
