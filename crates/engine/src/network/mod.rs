//! Networks: what is asked of them (rows), what they hold (addresses, members) and what the kernel has of them.
//!
//! ```text
//! create ── row (intent) ── bridge and firewall ── event
//! start of a container ── lease ── prepare ── its interface (container's side) …
//! its end ── … interface gone ── release
//! remove ── nobody leases any more ── firewall and bridge ── row gone ── event
//! open ── rows ── predefined ones made or repaired ── bridges ── running containers claim theirs ── strangers removed
//! ```
//!
//! A [`Network`] never changes once it is made; it is shared by `Arc`. [`Networks`] is the one table of them. Here are
//! no containers: who is on a network is a [`Member`], told by the side of containers, which keeps an [`Endpoint`] in
//! its state for each.

mod config;
pub(crate) mod endpoint;
pub(crate) mod model;
mod networks;

pub use config::{FirewallMode, NetworkConfig};
pub(crate) use endpoint::Endpoint;
pub(crate) use model::{Driver, GatewayMode, Network, Subnet};
pub(crate) use networks::{Lease, Leased, Networks};
