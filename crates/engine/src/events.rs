//! Events: told to all who listen, the last 256 kept for who asks about the past.
//!
//! One lock orders history and broadcast, so that a listener that asks for the past and the future sees each event
//! once. A listener that does not keep up loses events, never memory of ours.

mod filter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use boxship_api as api;
use boxship_api::event::{Actor, Message};
use boxship_api::timestamp::Timestamp;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::broadcast;

use crate::{Engine, Error, Result};

/// How many past events are kept.
const HISTORY: usize = 256;
/// How many events a slow listener may be behind.
const BACKLOG: usize = 1024;

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

/// The bus and its memory.
pub(crate) struct Events {
    history: Mutex<VecDeque<Arc<Message>>>,
    sender: broadcast::Sender<Arc<Message>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { history: Mutex::new(VecDeque::with_capacity(HISTORY)), sender: broadcast::channel(BACKLOG).0 }
    }

    /// How many listen (`info`).
    pub(crate) fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Tells that `action` happened to the object `id` of `kind` (`container`, `image`, `daemon` …).
    pub(crate) fn tell(&self, kind: &str, action: &str, id: &str, attributes: BTreeMap<String, String>) {
        let now = Timestamp::from_system(SystemTime::now());
        let mut message = Message {
            kind: kind.into(),
            action: action.into(),
            scope: "local".into(),
            time: now.seconds,
            time_nano: now.to_nanos() as i64,
            ..Message::default()
        };
        if kind == "container" || kind == "image" {
            message.status = action.into();
            message.id = id.into();
        }
        if kind == "container" {
            message.from = attributes.get("image").cloned().unwrap_or_default();
        }
        message.actor = Actor { id: id.into(), attributes };
        let message = Arc::new(message);
        let mut history = self.lock();
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(message.clone());
        // An error only says that nobody listens.
        let _ = self.sender.send(message);
    }

    /// The past between two times (newest 256) and what comes from now on.
    fn subscribe(
        &self,
        since: Option<i64>,
        until: Option<i64>,
    ) -> (Vec<Arc<Message>>, broadcast::Receiver<Arc<Message>>) {
        let history = self.lock();
        let receiver = self.sender.subscribe();
        if since.is_none() && until.is_none() {
            return (Vec::new(), receiver);
        }
        let wanted = |message: &&Arc<Message>| {
            since.is_none_or(|since| message.time_nano >= since)
                && until.is_none_or(|until| message.time_nano <= until)
        };
        (history.iter().filter(wanted).cloned().collect(), receiver)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Message>>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a `since`/`until`; the empty text is none.
fn parse_time(text: Option<&str>, now: Timestamp) -> Result<Option<i64>> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => Timestamp::parse_parameter(text, now, 0)
            .map(|time| Some(time.to_nanos() as i64))
            .ok_or_else(|| Error::invalid(format!("failed to parse value as time or duration: {text:?}"))),
    }
}

impl Engine {
    /// The past events asked for, then those to come until `until`.
    pub fn events(&self, options: EventsOptions) -> Result<impl Stream<Item = Message> + Send + use<>> {
        let now = Timestamp::from_system(SystemTime::now());
        let since = parse_time(options.since.as_deref(), now)?;
        let until = parse_time(options.until.as_deref(), now)?;
        if let (Some(from), Some(to)) = (since, until)
            && from > to
        {
            return Err(Error::invalid(format!(
                "`since` time ({}) cannot be after `until` time ({})",
                options.since.unwrap_or_default(),
                options.until.unwrap_or_default()
            )));
        }
        options.filters.validate(filter::KEYS)?;
        let (past, receiver) = self.inner.events.subscribe(since, until);
        let left = until.map(|until| Duration::from_nanos((until - now.to_nanos() as i64).max(0) as u64));
        let filters = Arc::new(options.filters);
        let past_filters = filters.clone();
        let past = past.into_iter().filter(move |message| filter::includes(&past_filters, message));
        let coming = coming(receiver).filter(move |message| {
            let keep = filter::includes(&filters, message);
            async move { keep }
        });
        let coming = coming.take_until(async move {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        });
        Ok(stream::iter(past).chain(coming).map(|message| (*message).clone()))
    }
}

/// The events to come; a listener too slow misses some.
fn coming(receiver: broadcast::Receiver<Arc<Message>>) -> impl Stream<Item = Arc<Message>> + Send {
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(message) => return Some((message, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_bounded_and_ordered() {
        let events = Events::new();
        for n in 0..300 {
            events.tell("container", "start", &n.to_string(), BTreeMap::new());
        }
        let (past, _) = events.subscribe(Some(0), None);
        assert_eq!(past.len(), HISTORY);
        assert_eq!(past[0].actor.id, "44");
        assert_eq!(past[255].actor.id, "299");
        assert!(events.subscribe(None, None).0.is_empty(), "no past unless asked");
    }

    #[test]
    fn containers_and_images_carry_the_old_fields() {
        let events = Events::new();
        events.tell("container", "die", "x", [("image".into(), "busybox".into())].into());
        events.tell("daemon", "reload", "y", BTreeMap::new());
        let (past, _) = events.subscribe(Some(0), None);
        assert_eq!((past[0].status.as_str(), past[0].from.as_str()), ("die", "busybox"));
        assert_eq!(past[1].status, "");
    }

    #[tokio::test]
    async fn listeners_get_what_comes() {
        let events = Events::new();
        let (_, receiver) = events.subscribe(None, None);
        events.tell("image", "tag", "sha256:1", BTreeMap::new());
        let first = Box::pin(coming(receiver)).next().await.unwrap();
        assert_eq!(first.action, "tag");
    }

    #[test]
    fn times_are_judged() {
        let now = Timestamp { seconds: 100, nanos: 0 };
        assert_eq!(parse_time(Some("10s"), now).unwrap(), Some(90_000_000_000));
        assert_eq!(parse_time(Some(""), now).unwrap(), None);
        assert!(parse_time(Some("bogus"), now).is_err());
    }
}
