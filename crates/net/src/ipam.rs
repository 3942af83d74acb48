//! Address management, pure: which subnet a new network gets, which address an endpoint gets. Rows are the caller's.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::{Error, Result};

/// A range that subnets for new networks are cut from (`default-address-pools`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The whole range.
    pub base: IpNet,
    /// Prefix length of each subnet.
    pub size: u8,
}

impl Pool {
    /// Docker's own pools: 172.17-31.0.0/16, then 192.168.0.0/16 in /20s.
    pub fn defaults() -> Vec<Pool> {
        Vec::new()
    }
}

/// The first subnet of the pools, of the wanted family, that overlaps none of `used`.
pub fn choose_subnet(_pools: &[Pool], _v6: bool, _used: &[IpNet]) -> Result<IpNet> {
    Err(Error::NoPool)
}

/// The addresses of one subnet: which are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    subnet: IpNet,
    range: IpNet,
    taken: BTreeSet<IpAddr>,
}

impl Addresses {
    /// All of `subnet` is free but its network and broadcast address; new ones come from `range` (default: all).
    pub fn new(subnet: IpNet, range: Option<IpNet>) -> Self {
        Self { subnet, range: range.unwrap_or(subnet), taken: BTreeSet::new() }
    }

    /// Takes one address: of an endpoint that asks for it, of a gateway, an auxiliary one.
    pub fn claim(&mut self, _address: IpAddr) -> Result<()> {
        Err(Error::NoPool)
    }

    /// Takes the next free one of the range, lowest first.
    pub fn next(&mut self) -> Result<IpAddr> {
        Err(Error::NoPool)
    }

    /// Gives one back.
    pub fn release(&mut self, address: IpAddr) {
        self.taken.remove(&address);
    }
}
