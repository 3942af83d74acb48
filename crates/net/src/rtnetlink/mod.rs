//! The vocabulary of rtnetlink: links, addresses, routes, neighbours, as messages to the kernel and as what it tells.
//! Every function works in the namespace of the connection it is given; none decides what should be there.

pub(crate) mod address;
pub(crate) mod classifier;
pub(crate) mod link;
pub(crate) mod neighbour;
pub(crate) mod route;

use std::net::IpAddr;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The kernel's number of an address's family.
fn family(v6: bool) -> u8 {
    if v6 { AF_INET6 } else { AF_INET }
}

/// An address's bytes, as attributes carry them.
fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
