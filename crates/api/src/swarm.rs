//! Swarm on the wire: this host is never part of one, and says so in `info`.

use crate::json::wire;

wire! {
    /// The swarm's part of `GET /info`.
    pub struct Info {
        /// This node.
        #[serde(rename = "NodeID")]
        pub node_id: String,
        /// Its address.
        pub node_addr: String,
        /// `inactive`, `pending`, `active`, `error` or `locked`.
        pub local_node_state: String,
        /// Whether it is a manager.
        pub control_available: bool,
        /// What is wrong.
        pub error: String,
        /// Other managers.
        pub remote_managers: Option<Vec<Peer>>,
    }

    /// Another node.
    pub struct Peer {
        /// Its identifier.
        #[serde(rename = "NodeID")]
        pub node_id: String,
        /// Its address.
        pub addr: String,
    }
}

impl Info {
    /// A host that is in no swarm.
    pub fn inactive() -> Self {
        Self { local_node_state: "inactive".to_owned(), ..Self::default() }
    }
}
