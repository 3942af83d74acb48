//! Ports and their bindings: `80/tcp` keys, bindings on the host, and the summary shown by `ps`.

use crate::json::wire;
use std::collections::BTreeMap;

/// Bindings by container port (`80/tcp`); `null` tells of a port that is exposed and not published.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// A set of container ports (`80/tcp`).
pub type PortSet = BTreeMap<String, crate::Empty>;

wire! {
    /// Where a container's port is published on the host.
    pub struct PortBinding {
        /// The host's address; empty for all.
        pub host_ip: String,
        /// The host's port or range; empty for any.
        pub host_port: String,
    }

    /// One published or exposed port in a container's summary.
    pub struct PortSummary {
        /// The host's address.
        #[serde(rename = "IP")]
        opt ip: String,
        /// The container's port.
        pub private_port: u16,
        /// The host's port.
        opt public_port: u16,
        /// `tcp`, `udp` or `sctp`.
        #[serde(rename = "Type")]
        pub protocol: String,
    }
}
