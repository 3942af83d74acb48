//! `GET /events`: one message per thing that happened.

use crate::json::wire;
use std::collections::BTreeMap;

wire! {
    /// One thing that happened.
    pub struct Message {
        /// Obsolete: the action (containers and images).
        #[serde(rename = "status")]
        opt status: String,
        /// Obsolete: the actor's identifier (containers and images).
        #[serde(rename = "id")]
        opt id: String,
        /// Obsolete: the container's image.
        #[serde(rename = "from")]
        opt from: String,
        /// `container`, `image`, `network`, `volume`, `daemon` …
        #[serde(rename = "Type")]
        pub kind: String,
        /// What happened.
        pub action: String,
        /// To whom.
        pub actor: Actor,
        /// `local` or `swarm`.
        #[serde(rename = "scope")]
        opt scope: String,
        /// When (Unix seconds).
        #[serde(rename = "time")]
        opt time: i64,
        /// When (Unix nanoseconds).
        #[serde(rename = "timeNano")]
        opt time_nano: i64,
    }

    /// To whom it happened.
    pub struct Actor {
        /// The identifier.
        #[serde(rename = "ID")]
        pub id: String,
        /// Labels, name, image, exit code …
        pub attributes: BTreeMap<String, String>,
    }
}
