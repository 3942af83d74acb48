//! The distribution protocol over HTTP/1.1: requests become calls of the storage, errors become the specification's
//! codes. Nothing here touches a file itself.

mod blobs;
mod body;
mod failure;
mod following;
mod lists;
mod manifests;
mod patience;
mod range;
mod reply;
mod route;
pub(crate) mod server;
pub(crate) mod tls;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::auth::{Access, Action, Caller};
use crate::error::Error;
use crate::mirror::Mirror;
use crate::name::RepositoryName;
use crate::storage::{Storage, Uploads};
use body::Pool;
pub(crate) use failure::Failure;
use reply::Reply;
use route::{Query, Route};

/// What all requests share.
pub(crate) struct App {
    pub(crate) storage: Arc<Storage>,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) access: Access,
    /// Where content comes from that is not here.
    pub(crate) mirror: Option<Arc<Mirror>>,
    pub(crate) read_only: bool,
    /// How long a client may let the other side wait for a next piece.
    pub(crate) patience: Duration,
    pub(crate) pool: Arc<Pool>,
}

/// One request.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) caller: Caller,
    pub(crate) parts: Parts,
    pub(crate) query: Query,
    pub(crate) body: Incoming,
}

impl Call {
    /// A header's text.
    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Refuses a caller who may not do this here.
    fn require(&self, repository: &RepositoryName, action: Action) -> Result<(), Failure> {
        self.app.access.require(&self.caller, &self.parts, Some((repository, action)))?;
        if self.app.mirror.is_some() && action != Action::Pull {
            return Err(Failure::unsupported(
                "the registry is a mirror: push to the registry that it mirrors",
            ));
        }
        if self.app.read_only && action != Action::Pull {
            return Err(Failure::unsupported("the registry is read-only"));
        }
        Ok(())
    }

    /// The next piece of the request's body, in time.
    async fn piece(body: &mut Incoming, patience: Duration) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(patience, body.frame()).await;
            match frame.map_err(|_| Failure::too_slow())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Failure::broken(&error)),
                // Trailers say nothing here.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    _ => continue,
                },
            }
        }
    }
}

/// Runs what may block on a thread for that.
async fn blocking<T: Send + 'static>(
    action: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(action).await {
        Ok(done) => done.map_err(Failure::from),
        Err(error) => {
            tracing::error!(%error, "a request's task failed");
            Err(Failure::internal())
        }
    }
}

/// Answers a request.
async fn dispatch(call: Call, route: Route) -> Result<Reply, Failure> {
    match route {
        Route::Base => {
            call.app.access.require(&call.caller, &call.parts, None)?;
            Ok(Reply::json(&serde_json::json!({})))
        }
        Route::Token => call.app.access.issue(&call.caller, &call.parts).map(|t| Reply::json(&t)),
        Route::Catalog => lists::catalog(call).await,
        Route::Tags(repository) => lists::tags(call, repository).await,
        Route::Referrers(repository, digest) => lists::referrers(call, repository, digest).await,
        Route::Blob(repository, digest) => blobs::answer(call, repository, digest).await,
        Route::Uploads(repository) => uploads::begin(call, repository).await,
        Route::Upload(repository, id) => uploads::answer(call, repository, id).await,
        Route::Manifest(repository, reference) => manifests::answer(call, repository, reference).await,
    }
}
