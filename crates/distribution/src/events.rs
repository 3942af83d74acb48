//! What a transfer tells while it goes: the lines that Docker's users know.

use serde_json::Value;
use tokio::sync::mpsc;

/// One thing told.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What it is about: a layer's short digest, a tag; empty: the whole.
    pub id: String,
    /// What is being done.
    pub status: String,
    /// Bytes done and in all, where bytes are counted.
    pub progress: Option<(u64, u64)>,
    /// A result for programs.
    pub aux: Option<Value>,
}

impl Event {
    /// About the whole.
    #[must_use]
    pub fn status(status: impl Into<String>) -> Event {
        Event { id: String::new(), status: status.into(), progress: None, aux: None }
    }

    /// About one thing.
    #[must_use]
    pub fn of(id: impl Into<String>, status: impl Into<String>) -> Event {
        Event { id: id.into(), ..Event::status(status) }
    }
}

/// Takes events. A listener that is slow slows the telling, not the transfer; one that is gone is not told.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Event>);

impl Events {
    /// To this channel.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Event>) -> Events {
        Events(sender)
    }

    /// Tells one thing.
    pub async fn tell(&self, event: Event) {
        // Nobody listens any more: whoever started the transfer ends it.
        let _ = self.0.send(event).await;
    }
}
