//! What can go wrong in this room.

use std::net::IpAddr;

use boxship_sys::Errno;
use boxship_sys::error::text;

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
    /// The kernel answered a message of ours with an error: `operation` on `object`, with its words if it had any.
    #[error("{operation} {object}: {}{}", text(*.errno), in_parentheses(.detail))]
    Refused {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        object: String,
        /// The kernel's number.
        errno: Errno,
        /// The kernel's words beyond the number; often empty.
        detail: String,
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
    /// The host's port cannot be had for another reason: no permission, not an address of this host.
    #[error("failed to bind host port {address}/{protocol}: {}", text(*.errno))]
    PortRefused {
        /// `address:port`.
        address: String,
        /// `tcp`, `udp` or `sctp`.
        protocol: &'static str,
        /// The kernel's number.
        errno: Errno,
    },
    /// Anything else that was asked for and cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// The kernel's number, if it was the kernel that refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Kernel { source, .. } => Some(source.errno),
            Error::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

fn in_parentheses(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}
