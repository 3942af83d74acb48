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

    /// The servers of a registry, one after the other, until one does what is wanted.
    pub(crate) async fn servers(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        can: fn(&Abilities) -> bool,
    ) -> Result<Servers> {
        let endpoints = self.endpoints(reference.domain(), can).await?.into_iter();
        Ok(Servers {
            client: self.clone(),
            path: reference.path().to_owned(),
            credentials: credentials.clone(),
            endpoints,
            official: false,
            last: None,
        })
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

/// Servers that are asked one after the other.
///
/// A mirror's failure is nobody's concern. Of the registry itself the first answer counts; only when it can't be
/// reached by TLS and is insecure it is asked in the clear.
pub(crate) struct Servers {
    client: Client,
    path: String,
    credentials: Credentials,
    endpoints: std::vec::IntoIter<Endpoint>,
    /// Whether the last one handed out is the registry itself.
    official: bool,
    last: Option<Error>,
}

impl Servers {
    /// The next one that answers. After the last one: the last failure.
    pub async fn next(&mut self) -> Result<Repository> {
        for endpoint in self.endpoints.by_ref() {
            self.official = endpoint.official;
            let base = endpoint.base.to_string();
            match self.client.session(endpoint, &self.credentials).await {
                Ok(session) => return Ok(Repository { session, path: self.path.clone() }),
                Err(error) if self.official && !error.is_unreachable() => return Err(error),
                Err(error) => {
                    tracing::debug!(endpoint = base, %error, "not reached");
                    self.last = Some(error);
                }
            }
        }
        Err(self.last.take().unwrap_or_else(|| Error::Configuration("no server to ask".into())))
    }

    /// The work on the one handed out failed: whether there is a reason to ask the next.
    pub fn failed(&mut self, error: Error) -> Result<()> {
        // What concerns this machine won't be better elsewhere.
        let ours = matches!(error, Error::Store(_) | Error::Image(_) | Error::Layer(_) | Error::Cancelled);
        if self.official || ours {
            return Err(error);
        }
        tracing::info!(%error, "a mirror failed, trying the next server");
        self.last = Some(error);
        Ok(())
    }
}
