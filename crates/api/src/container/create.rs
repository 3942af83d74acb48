//! `POST /containers/create`: request and answer.

use super::{Config, HostConfig};
use crate::json::wire;
use crate::network::NetworkingConfig;

wire! {
    /// A container to be made.
    pub struct CreateRequest {
        /// What runs.
        flat config: Config,
        /// How it runs here.
        opt host_config: Option<HostConfig>,
        /// Its network endpoints.
        opt networking_config: Option<NetworkingConfig>,
    }

    /// The container that was made.
    pub struct CreateResponse {
        /// Its identifier.
        pub id: String,
        /// What the user should know; never null.
        pub warnings: Vec<String>,
    }
}
