//! Stats: what a container uses.

use boxship_api as api;

use crate::{Engine, Result};

use std::pin::Pin;

use futures_util::Stream;

/// How to tell (`GET /containers/{id}/stats`).
#[derive(Clone, Copy, Debug)]
pub struct StatsOptions {
    /// One record a second until the container is removed.
    pub stream: bool,
    /// With `stream: false`: one record at once, without the one before it.
    pub one_shot: bool,
}

impl Engine {
    /// `GET /containers/{id}/stats`: one item when not streaming.
    pub async fn container_stats(
        &self,
        _reference: &str,
        _options: StatsOptions,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<api::container::StatsResponse>> + Send>>> {
        todo!()
    }
}
