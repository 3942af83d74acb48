//! The engine itself: what is shared, how it opens and closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use boxship_store::{Paths, Store};

use crate::container::exec::Execs;
use crate::container::registry::Registry;
use crate::container::request::Request;
use crate::container::rows::Rows;
use crate::events::Events;
use crate::network::Networks;
use crate::shim_link::Launcher;
use crate::spec::Host;
use crate::{EngineConfig, Error, Kind, Result, error::blocking, reconcile};

/// How many network namespaces are kept ready.
const NAMESPACES: usize = 3;

/// The door to everything: clone it freely.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones share. Nothing here is locked across an await.
pub(crate) struct Inner {
    /// The settings, as opened with.
    pub(crate) config: EngineConfig,
    /// Blobs, layers, images, snapshots and the database. Blocking: only inside `blocking`.
    pub(crate) store: Store,
    /// Speaks to registries; what it fetches is in the store.
    pub(crate) registries: boxship_distribution::Client,
    /// The bus of events.
    pub(crate) events: Events,
    /// All containers, by id and by name.
    pub(crate) registry: Registry,
    /// All execs, by id.
    pub(crate) execs: Execs,
    /// The rows of containers; states are written lazily by its own thread.
    pub(crate) rows: Rows,
    /// Starts shims from a sealed copy of our executable.
    pub(crate) launcher: Launcher,
    /// All networks. What touches the kernel is blocking.
    pub(crate) networks: Networks,
    /// Network namespaces made ahead of need.
    pub(crate) namespaces: boxship_net::pool::Pool,
    /// Who answers to which name on which network.
    pub(crate) names: Arc<crate::network::names::Directory>,
    /// What the host offers.
    pub(crate) host: Host,
    /// The engine's own identifier, kept in the data root.
    pub(crate) id: String,
    /// Set when closing: nothing is restarted any more.
    pub(crate) closing: AtomicBool,
}

impl Engine {
    /// Opens the folders and the database, meets the shims that ran on, repairs what differs.
    /// Call inside a tokio runtime.
    pub async fn open(config: EngineConfig) -> Result<Self> {
        let opened = blocking(move || {
            let (store, recovered) = Store::open(Paths::new(&config.data_root, &config.exec_root))?;
            if recovered != boxship_store::Recovered::default() {
                tracing::info!(?recovered, "a crash had left things over");
            }
            std::fs::create_dir_all(store.paths().exec_containers())
                .map_err(|e| Error::caused(Kind::Internal, "create exec root", e))?;
            crate::container::init_layer::make(&store.paths().init_layer())?;
            let rows = Rows::open(store.clone())?;
            let launcher = Launcher::new(config.exe.as_deref())?;
            let id = crate::info::engine_id(&store.paths().engine_id())?;
            let networks = Networks::open(store.clone(), &config, &id)?;
            Ok(Inner {
                host: Host::discover(),
                registries: crate::image::distribution::client(&config, &store)?,
                config,
                store,
                events: Events::new(),
                registry: Registry::default(),
                execs: Execs::default(),
                rows,
                launcher,
                networks,
                names: Arc::default(),
                namespaces: boxship_net::pool::Pool::new(NAMESPACES),
                id,
                closing: AtomicBool::new(false),
            })
        })
        .await?;
        let engine = Self { inner: Arc::new(opened) };
        reconcile::run(&engine).await?;
        engine.sweep();
        Ok(engine)
    }

    /// Ends gracefully: state rows are written; containers run on when `live_restore`, else are stopped.
    pub async fn shutdown(&self) -> Result<()> {
        self.inner.closing.store(true, Ordering::SeqCst);
        if !self.inner.config.live_restore {
            self.stop_all().await;
        }
        for container in self.inner.registry.all() {
            // A driver that ended by itself needs no telling.
            let _ = container.ask(Request::Quit).await;
            self.inner.registry.remove(&container.id);
        }
        let inner = self.inner.clone();
        blocking(move || inner.rows.flush()).await
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    /// The store, for operations on images.
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Whether the engine closes.
    pub(crate) fn is_closing(&self) -> bool {
        self.inner.closing.load(Ordering::SeqCst)
    }

    /// Empties the store's trash off everybody's path.
    pub(crate) fn sweep(&self) {
        let store = self.inner.store.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.sweep() {
                tracing::warn!(%error, "the trash could not be emptied");
            }
        });
    }

    /// Stops every running container, each with its own timeout, none longer than the configured one.
    async fn stop_all(&self) {
        let stops =
            self.inner.registry.all().into_iter().filter(|c| c.state().is_running()).map(|container| {
                let options = crate::container::StopOptions {
                    timeout: Some(self.inner.config.shutdown_timeout),
                    signal: None,
                };
                async move {
                    if let Err(error) = self.container_stop(&container.id, options).await {
                        tracing::warn!(container = container.id, %error, "not stopped");
                    }
                }
            });
        futures_util::future::join_all(stops).await;
    }
}
