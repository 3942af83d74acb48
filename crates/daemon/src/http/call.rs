//! One request on its way through a route, and what all requests share.

use std::sync::Arc;

use axum::body::Body;
use boxship_engine::Engine;
use futures_util::{Stream, StreamExt};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use super::query::Query;
use super::{Failure, Version, body};

/// What all requests share.
pub(crate) struct App {
    /// The domain.
    pub engine: Engine,
    /// Becomes true when the daemon stops: endless answers end then.
    pub stopping: watch::Receiver<bool>,
    /// What a reload may change.
    pub reloadable: watch::Sender<Reloadable>,
}

/// Settings that SIGHUP reads anew and `info` tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reloadable {
    /// Whether everything is logged.
    pub debug: bool,
    /// The daemon's labels.
    pub labels: Vec<String>,
}

impl Reloadable {
    /// As configured.
    pub(crate) fn of(config: &crate::config::Config) -> Reloadable {
        Reloadable {
            debug: config.level == crate::config::Level::Debug,
            labels: config.engine.labels.clone(),
        }
    }
}

/// One request.
pub(crate) struct Call {
    /// What all requests share.
    pub app: Arc<App>,
    /// The API version it speaks.
    pub version: Version,
    /// The object's name from the path; empty where the path names none.
    pub name: String,
    /// The parameters.
    pub query: Query,
    /// Method, path, headers.
    pub parts: Parts,
    /// The body.
    pub body: Body,
}

impl Call {
    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// The JSON body, which must be there.
    pub(crate) async fn json(&mut self) -> Result<Value, Failure> {
        body::json(&self.parts.headers, std::mem::take(&mut self.body)).await
    }

    /// The JSON body as `T`; a missing one is `T`'s default.
    pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T, Failure> {
        match body::optional_json(&self.parts.headers, std::mem::take(&mut self.body)).await? {
            None => Ok(T::default()),
            Some(value) => body::typed(value),
        }
    }

    /// A stream that also ends when the daemon stops.
    pub(crate) fn until_stop<S: Stream + Send>(
        &self,
        stream: S,
    ) -> impl Stream<Item = S::Item> + Send + use<S> {
        stream.take_until(stopped(self.app.stopping.clone()))
    }
}

/// Resolves when the daemon stops.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // The sender gone means the same as its word.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
