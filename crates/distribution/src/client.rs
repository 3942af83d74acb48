//! The client of registries: its settings, and the way from a name to a server that answers.

use std::sync::Arc;

use boxship_oci::reference::Reference;
use boxship_store::Store;

use crate::auth::Credentials;
use crate::error::{Error, Result};
use crate::hosts::{Abilities, Endpoint, Hosts};
use crate::layer::Pool;
use crate::proxy::Proxies;
use crate::repository::Repository;
use crate::session::{Patience, Session};
use crate::transport::{Timeouts, Transport};

/// The settings of a [`Client`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Mirrors, insecure registries, folders with certificates.
    pub hosts: Hosts,
    /// The proxies.
    pub proxies: Proxies,
    /// Blobs fetched at a time.
    pub downloads: usize,
    /// Blobs sent at a time.
    pub uploads: usize,
    /// How often failures are tried again.
    pub patience: Patience,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Who asks.
    pub user_agent: String,
    /// Bytes that layers' archives may take which a registry has too; beyond it the oldest are removed.
    pub budget: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            hosts: Hosts::default(),
            proxies: Proxies::default(),
            downloads: 3,
            uploads: 5,
            patience: Patience::default(),
            timeouts: Timeouts::default(),
            user_agent: concat!("boxship/", env!("CARGO_PKG_VERSION"), " (linux)").to_owned(),
            budget: 20 << 30,
        }
    }
}

/// Pulls, pushes and asks. Cheap to clone; all clones share connections and transfers.
#[derive(Clone)]
pub struct Client {
    pub(crate) settings: Arc<Settings>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) uploads: Arc<tokio::sync::Semaphore>,
}

impl Client {
    /// A client that keeps what it fetches in this store.
    #[must_use]
    pub fn new(store: Store, settings: Settings) -> Client {
        let transport = Transport::new(settings.proxies.clone(), settings.timeouts, &settings.user_agent);
        let pool = Pool::new(store, settings.downloads, settings.patience, settings.timeouts.stall);
        let uploads = Arc::new(tokio::sync::Semaphore::new(settings.uploads.max(1)));
        Client { settings: Arc::new(settings), transport: Arc::new(transport), pool, uploads }
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.pool.store
    }

    /// The servers of a registry that can do this, in the order in which they are asked.
    pub(crate) async fn endpoints(&self, domain: &str, can: fn(&Abilities) -> bool) -> Result<Vec<Endpoint>> {
        let mut endpoints = self.settings.hosts.endpoints(domain).await?;
        endpoints.retain(|endpoint| can(&endpoint.abilities));
        if endpoints.is_empty() {
            return Err(Error::Configuration(format!("no server of {domain} is configured for this")));
        }
        Ok(endpoints)
    }

    /// Asks one server; credentials are for the registry itself only, never for its mirrors.
    pub(crate) async fn session(
        &self,
        endpoint: Endpoint,
        credentials: &Credentials,
    ) -> Result<Arc<Session>> {
        let credentials = if endpoint.official { credentials.clone() } else { Credentials::Anonymous };
        let patience = self.settings.patience;
        let session = Session::open(self.transport.clone(), endpoint, credentials, patience).await?;
        Ok(Arc::new(session))
    }

    /// Runs `work` on the servers of a registry, one after the other, until one succeeds.
    ///
    /// A mirror's failure is nobody's concern. Of the registry itself the first answer counts; only when it can't be
    /// reached by TLS and is insecure it is asked in the clear.
    pub(crate) async fn on_endpoints<T>(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        can: fn(&Abilities) -> bool,
        work: impl AsyncFn(Repository) -> Result<T>,
    ) -> Result<T> {
        let mut last = None;
        for endpoint in self.endpoints(reference.domain(), can).await? {
            let official = endpoint.official;
            let base = endpoint.base.to_string();
            let session = match self.session(endpoint, credentials).await {
                Ok(session) => session,
                Err(error) => {
                    tracing::debug!(endpoint = base, %error, "not reached");
                    let answered = official && !error.is_unreachable();
                    last = Some(error);
                    if answered {
                        break;
                    }
                    continue;
                }
            };
            match work(Repository { session, path: reference.path().to_owned() }).await {
                Ok(done) => return Ok(done),
                Err(error) if official => return Err(error),
                // What concerns this machine won't be better elsewhere.
                Err(error @ (Error::Store(_) | Error::Image(_) | Error::Layer(_) | Error::Cancelled)) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::info!(endpoint = base, %error, "a mirror failed, trying the next server");
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::Configuration("no server to ask".into())))
    }

    /// Runs blocking work on the store.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store().clone();
        tokio::task::spawn_blocking(move || work(&store)).await.unwrap_or(Err(Error::Cancelled))
    }
}
