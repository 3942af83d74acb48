//! Container networks as the kernel sees them: namespaces, links, addresses, the firewall table, published ports,
//! names. All of it through netlink, in this process; no program is called.
//!
//! It knows no containers: it is told of networks (a bridge with subnets), attachments (an interface for a namespace)
//! and ports, and it never decides who gets which. State lives in the kernel; the caller's rows say what should be
//! there, and every operation is idempotent so that a caller can repair by asking again.
//!
//! Everything is synchronous and quick (a few netlink messages) but [`resolver`], which serves on tokio.

mod error;
pub mod firewall;
pub mod ipam;
pub mod link;
pub mod mac;
pub mod namespace;
pub mod netlink;
mod nft;
pub mod pool;
pub mod ports;
pub mod resolver;
mod rtnetlink;
#[cfg(test)]
mod scratch;
pub mod sockets;
mod sysctl;
pub mod why;

pub use error::{Error, Result};
pub use mac::MacAddress;
