//! What can go wrong in this room.

use std::net::IpAddr;

/// The outcome of an operation on the network.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused: `operation` on `object`.
    #[error("{operation} {object}")]
    Kernel {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what: a link, an address, a table.
        object: String,
        /// The kernel's answer.
        #[source]
        source: boxship_sys::Error,
    },
    /// No address is left in the pool.
    #[error("no available IPv{version} addresses on this network's address pools: {pool}")]
    Exhausted {
        /// 4 or 6.
        version: u8,
        /// The pool.
        pool: String,
    },
    /// The address is somebody's already.
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    /// The address is not of the subnet.
    #[error("no configured subnet or ip-range contain the IP address {0}")]
    OutsideSubnet(IpAddr),
    /// Every pool of subnets is used up.
    #[error("all predefined address pools have been fully subnetted")]
    NoPool,
    /// The host's port is somebody's already.
    #[error("failed to bind host port {address}/{protocol}: address already in use")]
    PortInUse {
        /// `address:port`.
        address: String,
        /// `tcp`, `udp` or `sctp`.
        protocol: &'static str,
    },
    /// Anything else that was asked for and cannot be.
    #[error("{0}")]
    Invalid(String),
}
