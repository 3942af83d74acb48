//! Networks: what is asked of them (rows), what they hold (addresses, members) and what the kernel has of them.
//!
//! ```text
//! create ── row (intent) ── bridge and firewall ── event
//! start of a container ── lease ── prepare ── its interface (container's side) …
//! its end ── … interface gone ── release
//! remove ── nobody leases any more ── firewall and bridge ── row gone ── event
//! open ── rows, predefined ones ── bridges, firewall ── running containers claim theirs ── strangers removed
//! ```
//!
//! A [`Network`] never changes once it is made; it is shared by `Arc`. [`Networks`] is the one table of them. Here are
//! no containers: who is on a network is a [`Member`], told by the side of containers, which keeps an [`Endpoint`] in
//! its state for each.

pub(crate) mod asked;
mod config;
mod create;
pub(crate) mod endpoint;
mod failure;
mod kernel;
mod list;
pub(crate) mod model;
pub(crate) mod names;
mod neighbourhood;
mod networks;
mod occupancy;
mod options;
mod predefined;
pub(crate) mod publish;
mod reconcile;
mod relay;
mod remove;
mod rows;
pub(crate) mod sandbox;
mod subnets;
mod why;

pub use boxship_net::ipam::Pool;
pub use config::{FirewallMode, NetworkConfig};
pub(crate) use endpoint::Endpoint;
pub(crate) use model::{Driver, GatewayMode, Network};
pub(crate) use networks::Networks;
pub(crate) use occupancy::Lease;

#[cfg(test)]
mod tests;
